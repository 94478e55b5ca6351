"""Tokens: JWTs, HS256 only (docs/protocol.md section 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jwt

from protocol.errors import Refused
from protocol.ids import parse_id

TokenType = Literal["access", "refresh"]

LEEWAY_SECONDS = 30
"""A clock that was stepped back must not log everyone out."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a genuine token says. `refresh_id` is the `jti` of a refresh token."""

    user_id: int
    session_id: int
    refresh_id: str | None
    has_expired: bool = False


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
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"], options=self._options)
        except (jwt.InvalidTokenError, UnicodeError):
            raise unauthorized() from None
        now = self._clock() // 1000
        user_id = parse_id(claims["sub"])
        session_id, refresh_id = claims["sid"], claims.get("jti")
        times_hold = (
            type(claims["iat"]) is int
            and type(claims["exp"]) is int
            and claims["iat"] <= now + LEEWAY_SECONDS
        )
        if claims["typ"] != kind or user_id is None or type(session_id) is not int or not times_hold:
            raise unauthorized()
        has_expired = claims["exp"] <= now
        if has_expired and not expired_too:
            raise unauthorized()
        return Claims(user_id, session_id, refresh_id, has_expired)

    def _issue(self, user_id: int, claims: dict[str, Any], seconds: int) -> str:
        now = self._clock() // 1000
        return self._sign(user_id, claims, now, now + seconds)

    def _sign(self, user_id: int, claims: dict[str, Any], begin: int, end: int) -> str:
        return jwt.encode({"sub": str(user_id), **claims, "iat": begin, "exp": end}, self._key, "HS256")


def unauthorized() -> Refused:
    """The refusal of whatever is no token of ours that is still good: which it was is not told."""
    return Refused("unauthorized", "The token is missing, invalid or expired.")
