"""Passwords: argon2id with the library's defaults.

Each takes a tenth of a second and 64 MiB, so never on the event loop.
"""

from typing import Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()
_NOBODYS = _hasher.hash("nobody's password")


class Passwords(Protocol):
    """Hashing, a bounded number at a time. Raises Refused `unavailable` when too many wait."""

    async def hash(self, password: str) -> str:
        """The encoded hash to keep."""

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether the password is the one. Takes as long for None, the account that does not exist."""


def hash_password(password: str) -> str:
    """The encoded argon2id hash of a password."""
    return _hasher.hash(password)


def verify_password(encoded: str | None, password: str) -> bool:
    """Whether `password` is the one that was hashed; False, as slowly, where there is none."""
    try:
        _hasher.verify(encoded or _NOBODYS, password)
        return encoded is not None
    except (VerificationError, InvalidHashError):
        return False
