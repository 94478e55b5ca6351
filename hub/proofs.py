"""What pongs proved, stored together: a room answers its pings in one turn of the loop (docs/protocol.md section 6)."""

import logging
from collections.abc import Mapping

from actions import receipts, sessions
from actions.actor import Actor
from actions.rules import Rules
from hub.timers import Timers
from storage import Store, Transaction
from storage.writer import Outcome

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 100
"""So many sockets' proofs are one unit of work, so that others get their turn."""


class Proofs:
    """Proofs of this turn of the loop; one unit of work stores them at its end."""

    def __init__(self, store: Store, rules: Rules, timers: Timers) -> None:
        self._store = store
        self._rules = rules
        self._timers = timers
        self._waiting: list[tuple[Actor, Mapping[int, int]]] = []

    def add(self, actor: Actor, handed: Mapping[int, int]) -> None:
        """The actor's client has all messages of these conversations up to these ids."""
        if not self._waiting:
            self._timers.call_later(0, self.submit)
        self._waiting.append((actor, handed))
        if len(self._waiting) == MOST_AT_ONCE:
            self.submit()

    def submit(self) -> None:
        """Hand what waits to the store."""
        proofs, self._waiting = self._waiting, []

        def deliver(tx: Transaction) -> None:
            for actor, handed in proofs:
                # One whose session has ended since keeps its cursors.
                if sessions.goes_on(tx, actor):
                    for conversation_id, message_id in handed.items():
                        receipts.deliver(tx, self._rules, actor, conversation_id, message_id)

        if proofs:
            self._store.submit(deliver, _log_failure)


def _log_failure(outcome: Outcome) -> None:
    if outcome.error is not None:
        logger.info("What was delivered was not stored: %s", outcome.error)
