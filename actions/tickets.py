"""Tickets: each opens one socket (docs/protocol.md section 6).

With them a page need never put a lasting token into a URL.
"""

import hmac
import itertools
import secrets
from collections.abc import Callable

from actions.tokens import Claims, unauthorized
from protocol.errors import Refused

TICKET_SECONDS = 30
MOST_USED = 100_000
"""So many used ones are remembered; with more, who brings another is told to come back."""


class Tickets:
    """Issues and redeems tickets. `clock` gives seconds, and is never set back.

    The key lives and dies with the process. So a ticket need not be remembered before it is used, and afterwards
    only for as long as it would still be good.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._numbers = itertools.count(1)
        self._used: dict[int, float] = {}
        """The numbers of those used lately, and when each may be forgotten: the oldest first."""

    def issue(self, user_id: int, session_id: int) -> str:
        """A ticket for this session, good for `TICKET_SECONDS`."""
        ends_at = int((self._clock() + TICKET_SECONDS) * 1000)
        payload = f"{user_id}-{session_id}-{next(self._numbers)}-{ends_at}"
        return f"{payload}-{self._sign(payload)}"

    def redeem(self, ticket: str) -> Claims:
        """What the ticket says; it is used up by this.

        Raises Refused: `unauthorized` where it is none of ours, used or expired; `unavailable` where too many were
        used lately. Whether its session goes on is the database's to say.
        """
        payload, _, signature = ticket.rpartition("-")
        if not hmac.compare_digest(self._sign(payload).encode(), signature.encode(errors="replace")):
            raise unauthorized()
        user_id, session_id, number, ends_at = map(int, payload.split("-"))
        now = self._clock()
        self._forget(now)
        if now * 1000 >= ends_at or number in self._used:
            raise unauthorized()
        if len(self._used) >= MOST_USED:
            raise Refused(
                "unavailable", "Too many tickets were used in a short time.", retry_after=TICKET_SECONDS
            )
        self._used[number] = now + TICKET_SECONDS
        return Claims(user_id, session_id, None)

    def _forget(self, now: float) -> None:
        while self._used and (oldest := next(iter(self._used.items())))[1] <= now:
            del self._used[oldest[0]]

    def _sign(self, payload: str) -> str:
        return hmac.digest(self._key, payload.encode(errors="replace"), "sha256").hex()
