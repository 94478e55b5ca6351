"""Opening sockets, some at a time: a crowd that comes at once must not hold up those who are there already."""

import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from actions import sessions
from protocol.errors import Refused
from storage import Store
from storage.writer import Outcome, unavailable

if TYPE_CHECKING:
    from hub.connection import Connection

AT_ONCE = 16
"""So many handshakes are under way. Those of one commit are answered, and told to others, in one turn of the loop;
after a restart it took seconds for two thousand, and every message waited behind that."""

logger = logging.getLogger(__name__)


class Admission:
    """The upgrade requests, in the order in which they came. Those behind the first AT_ONCE wait, unread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.line: deque[tuple[Connection, bytes]] = deque()
        self.under_way = 0

    def __len__(self) -> int:
        """How many have asked, and have no answer yet."""
        return self.under_way + len(self.line)

    def line_up(self, connection: "Connection", request: bytes) -> None:
        """Have the connection shake hands when it is its turn."""
        self.line.append((connection, request))
        self._go_on()

    def admit(self, connection: "Connection") -> None:
        """Ask the store from where on the socket may listen; the fact opens it, or it is rejected here."""
        self.under_way += 1

        def done(outcome: Outcome) -> None:
            self.under_way -= 1
            if outcome.error is not None:
                connection.reject(outcome.error if isinstance(outcome.error, Refused) else unavailable())
            self._go_on()

        self._store.submit(partial(sessions.admit, actor=connection.actor), done)

    def _go_on(self) -> None:
        while self.line and self.under_way < AT_ONCE:
            connection, request = self.line.popleft()
            try:
                connection.shake_hands(request)
            except Exception:
                logger.exception("An upgrade was not answered")
                connection.abort()
