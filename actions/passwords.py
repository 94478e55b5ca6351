"""Passwords: argon2id with the library's defaults.

Each takes a tenth of a second and 64 MiB, so never on the event loop.
"""

import base64
from typing import Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

_hasher = PasswordHasher()


def _nobodys() -> str:
    """A hash that no password has, as slow to check as any. To make a real one took a sixth of each start."""
    cost = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    salt, tag = (
        base64.b64encode(bytes(size)).decode().rstrip("=") for size in (_hasher.salt_len, _hasher.hash_len)
    )
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${tag}"


_NOBODYS = _nobodys()


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
