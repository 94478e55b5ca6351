"""Opening sockets, some at a time: a crowd that comes at once must not hold up those who are there already."""

import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from actions import sessions
from protocol.errors import Refused
from protocol.tracing import extra
from storage import Store
from storage.writer import Outcome, unavailable

if TYPE_CHECKING:
    from hub.connection import Connection

AT_ONCE = 16
"""So many handshakes are under way. Those of one commit are answered, and told to others, in one turn of the loop;
after a restart it took seconds for two thousand, and every message waited behind that."""

logger = logging.getLogger(__name__)


class Admission:
    """The upgrade requests, in the order in which they came. Those behind the first AT_ONCE wait, `most` at most.

    0 for no limit but that of the system.
    """

    def __init__(self, store: Store, most: int) -> None:
        self._store = store
        self._most = most
        self.line: deque[tuple[Connection, bytes]] = deque()
        self.under_way = 0

    def line_up(self, connection: "Connection", request: bytes) -> None:
        """Have the connection shake hands when it is its turn. Raises Refused `unavailable`."""
        if self._most and len(self.line) >= self._most:
            raise Refused(
                "unavailable", f"{self._most} sockets wait to be opened (limits.sockets).", retry_after=5
            )
        self.line.append((connection, request))
        self._go_on()

    def admit(self, connection: "Connection") -> None:
        """Ask the store from where on the socket may listen; the fact opens it, or it is rejected here."""
        self.under_way += 1

        def done(outcome: Outcome) -> None:
            self.under_way -= 1
            error = outcome.error
            if error is not None:
                refusal = error if isinstance(error, Refused) else unavailable()
                connection.reject(refusal)
                if refusal.code == "unavailable":
                    self._turn_away(refusal)
            self._go_on()

        self._store.submit(partial(sessions.admit, actor=connection.actor), done, connection)

    def _turn_away(self, refusal: Refused) -> None:
        """Those in the line have waited for the store as long: they must not wait anew, so many at a time."""
        line, self.line = self.line, deque()
        for connection, _ in line:
            connection.reject(refusal)

    def _go_on(self) -> None:
        while self.line and self.under_way < AT_ONCE:
            connection, request = self.line.popleft()
            try:
                connection.shake_hands(request)
            except Exception:
                logger.exception("An upgrade was not answered", extra=extra(connection))
                connection.abort()
