"""How much a user may do in a time, over all sockets and REST together (docs/protocol.md, Limits)."""

import time
from collections.abc import Callable

from actions.buckets import Buckets
from protocol.errors import Refused

CHARS_EACH = 1000
BYTES_EACH = 32 * 1024
MEMBERS_EACH = 50


class Rates:
    """What users have left: of messages and changes of conversations, and of all else that they may ask for.

    0 for no limit. `clock` gives seconds, and is never set back. What cannot be paid raises Refused `rate_limited`,
    and then nothing was taken. On the event loop only.
    """

    def __init__(
        self,
        messages_per_second: int = 0,
        message_burst: int = 0,
        requests_per_second: int = 0,
        request_burst: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self._events = Buckets[int](
            "limits.messages_per_second",
            "messages or changes of conversations at once",
            messages_per_second,
            message_burst,
            clock,
        )
        self._calls = Buckets[int](
            "limits.requests_per_second", "requests at once", requests_per_second, request_burst, clock
        )

    def message(self, user_id: int, chars: int) -> None:
        """A message, sent for the first time or again, costs 1 for each 1,000 characters that it has begun."""
        self._events.take(user_id, 1 if chars <= CHARS_EACH else _started(chars, CHARS_EACH))

    def change(self, user_id: int, told: int) -> None:
        """A change of a conversation costs 1 for each 50 members that it has begun to tell."""
        self._events.take(user_id, _started(told, MEMBERS_EACH))

    def require_event(self, user_id: int) -> None:
        """Take nothing yet: whoever has nothing left need not be read any further."""
        self._events.require(user_id)

    def refusal(self, wait: float) -> Refused:
        """What who has to wait for so many seconds with messages is told."""
        return self._events.refusal(wait)

    def call(self, user_id: int) -> None:
        """Any other frame or request costs 1."""
        self._calls.take(user_id)

    def body(self, user_id: int, size: int) -> None:
        """The JSON body of a request costs 1 for each 32 KiB that it has, besides the request."""
        if size >= BYTES_EACH:
            self._calls.take(user_id, size // BYTES_EACH)


def _started(amount: int, each: int) -> int:
    return max(1, -(-amount // each))
