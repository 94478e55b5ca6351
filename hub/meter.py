"""What the frames of one socket cost its user (docs/protocol.md, Limits)."""

from actions.rates import Rates
from protocol.commands import Command, SendMessage
from protocol.errors import Refused

FLOOD = 300
"""So many refusals for the rate on end, and the socket is closed: its client doesn't listen."""

PATIENCE = 20
"""So many, and it is read slowly. Who waits when it is told to never gets there."""


class Meter:
    """Takes payment, and keeps the order of messages.

    A message behind one that was refused must not overtake it. So until the moment for which the client was told to
    wait, this socket's other messages are refused with it.
    """

    __slots__ = ("_rates", "_refusals", "_wait_until")

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._refusals = 0
        self._wait_until = 0.0

    def pay(self, user_id: int, command: Command | None) -> None:
        """Pay for a frame; None for one that is wrong in itself. Raises Refused `rate_limited`."""
        try:
            if isinstance(command, SendMessage):
                self._pay_for_message(user_id, len(command.text))
            else:
                self._rates.call(user_id)
        except Refused:
            self._refusals += 1
            raise
        self._refusals = 0

    @property
    def is_refusing(self) -> bool:
        """Whether its frames have been refused for a while."""
        return self._refusals >= PATIENCE

    @property
    def is_flood(self) -> bool:
        """Whether the client goes on and on, whatever it is told."""
        return self._refusals >= FLOOD

    def _pay_for_message(self, user_id: int, chars: int) -> None:
        if self._wait_until:
            wait = self._wait_until - self._rates.clock()
            if wait > 0:
                raise self._rates.refusal(wait)
            self._wait_until = 0.0
        try:
            self._rates.message(user_id, chars)
        except Refused as refusal:
            self._wait_until = self._rates.clock() + (refusal.retry_after or 0)
            raise
