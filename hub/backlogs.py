"""What waits unsent for all sockets together (docs/protocol.md, Limits)."""

from collections.abc import Iterable

from hub.connection import Connection

SLACK = 16
"""It is looked at again once another 1/16 of the limit was added, and no sooner: that costs nothing worth mention."""


class Backlogs:
    """Lets go of the slowest readers once all that waits is more than `limit` bytes; 0 for no limit.

    Only what is added for clients that are behind is counted. Nobody is asked before that could be too much.
    """

    def __init__(self, limit: int, connections: Iterable[Connection]) -> None:
        self._limit = limit
        self._connections = connections
        self._room = limit

    def grew(self, size: int) -> None:
        """So many bytes more wait for someone who is behind."""
        self._room -= size
        if self._room < 0 and self._limit:
            self._relieve()

    def _relieve(self) -> None:
        """The largest go first."""
        waiting = sorted(self._connections, key=lambda connection: connection.backlog, reverse=True)
        total = sum(connection.backlog for connection in waiting)
        for connection in waiting:
            if total <= self._limit:
                break
            total -= connection.backlog
            connection.fall_behind(f"{self._limit} bytes wait for all (limits.total_backlog_bytes)")
        self._room = max(self._limit - total, self._limit // SLACK)
