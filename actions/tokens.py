"""Tokens: JWTs, HS256 only (docs/protocol.md section 1)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import jwt

from protocol.errors import Refused
from protocol.ids import parse_id

TokenType = Literal["access", "refresh"]

LEEWAY_SECONDS = 30
"""A clock that was stepped back must not log everyone out."""


KNOWN_TOKENS = 1000
"""So many of the tokens that were shown last are known to be genuine: to verify one takes 0.1 ms and more, as much as
most of what is asked for with it."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a genuine token says. `refresh_id` is the `jti` of a refresh token."""

    user_id: int
    session_id: int
    refresh_id: str | None
    has_expired: bool = False


class _Genuine(NamedTuple):
    """A token that is ours; its times in seconds since the epoch."""

    kind: str
    claims: Claims
    issued_at: int
    expires_at: int


class Tokens:
    """Issues and reads tokens. `clock` gives milliseconds since the epoch; lives are in seconds."""

    def __init__(
        self, key: bytes, access_seconds: int, refresh_seconds: int, clock: Callable[[], int]
    ) -> None:
        self._key = key
        self._access_seconds = access_seconds
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        # Expiry is checked here and not by the library: it would ask its own clock.
        self._options: Any = {
            "require": ["exp", "iat", "sub", "sid", "typ"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        }
        self._genuine = lru_cache(maxsize=KNOWN_TOKENS)(self._verify)

    def issue_access(self, user_id: int, session_id: int) -> str:
        """A token that opens REST and the socket."""
        return self._issue(user_id, {"sid": session_id, "typ": "access"}, self._access_seconds)

    def issue_refresh(
        self, user_id: int, session_id: int, refresh_id: str, life: tuple[int, int] | None = None
    ) -> str:
        """A token that gets new access tokens, and nothing else.

        `life` is when it begins and when it ends, in milliseconds since the epoch; by default it begins now. With
        the same arguments it is the same token, byte for byte: so none need be stored to be told again.
        """
        claims = {"sid": session_id, "typ": "refresh", "jti": refresh_id}
        if life is None:
            return self._issue(user_id, claims, self._refresh_seconds)
        return self._sign(user_id, claims, life[0] // 1000, life[1] // 1000)

    def read(self, token: str, kind: TokenType, *, expired_too: bool = False) -> Claims:
        """What `token` says, if it is ours, of this kind and not expired. Raises Refused `unauthorized`.

        With `expired_too` one that has expired is read as well.

        Whether its session goes on is the database's to say.
        """
        found, now = self._genuine(token), self._clock() // 1000
        has_expired = found.expires_at <= now
        if found.kind != kind or found.issued_at > now + LEEWAY_SECONDS or (has_expired and not expired_too):
            raise unauthorized()
        return replace(found.claims, has_expired=True) if has_expired else found.claims

    def _verify(self, token: str) -> _Genuine:
        """What holds of a token whatever the time is. Raises Refused `unauthorized`."""
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"], options=self._options)
        except (jwt.InvalidTokenError, UnicodeError):
            raise unauthorized() from None
        user_id, session_id = parse_id(claims["sub"]), claims["sid"]
        issued_at, expires_at = claims["iat"], claims["exp"]
        if user_id is None or any(type(number) is not int for number in (session_id, issued_at, expires_at)):
            raise unauthorized()
        return _Genuine(claims["typ"], Claims(user_id, session_id, claims.get("jti")), issued_at, expires_at)

    def _issue(self, user_id: int, claims: dict[str, Any], seconds: int) -> str:
        now = self._clock() // 1000
        return self._sign(user_id, claims, now, now + seconds)

    def _sign(self, user_id: int, claims: dict[str, Any], begin: int, end: int) -> str:
        return jwt.encode({"sub": str(user_id), **claims, "iat": begin, "exp": end}, self._key, "HS256")


def unauthorized() -> Refused:
    """The refusal of whatever is no token of ours that is still good: which it was is not told."""
    return Refused("unauthorized", "The token is missing, invalid or expired.")
