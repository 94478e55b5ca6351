"""The audit trail: logins, refusals and what admins do, as lines of the log under a name of their own."""

import logging
import time
from collections import Counter
from collections.abc import Callable

from actions.buckets import Buckets
from protocol.errors import Refused

logger = logging.getLogger("audit")

LINES_A_SECOND = 5
LINES_AT_ONCE = 50


def record(event: str, **fields: int | str | bool | None) -> None:
    """Log that something happened, once it is durable. Fields name users by their ids; they are never secrets."""
    logger.info(event, extra={"fields": fields})


class Refusals:
    """The lines about what was refused, which anyone can cause as often as they like: so many of each event.

    The next line of an event tells how many were `left_out` before it. `clock` gives seconds, and is never set back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._room = Buckets[str]("the audit trail", "lines", LINES_A_SECOND, LINES_AT_ONCE, clock)
        self._left_out = Counter[str]()

    def record(self, event: str, **fields: int | str | bool | None) -> None:
        """Log that something was refused, if there is room."""
        try:
            self._room.take(event)
        except Refused:
            self._left_out[event] += 1
            return
        if left_out := self._left_out.pop(event, 0):
            fields["left_out"] = left_out
        record(event, **fields)


refused = Refusals().record
"""As there is one log, there is one such bound."""
