"""Who is to be pinged when (docs/protocol.md section 6)."""

from collections.abc import Iterator

from hub.connection import Connection
from hub.timers import Timers

SPOKES = 20


class Wheel:
    """All open sockets. Pings are spread over their interval: each time it turns, one spoke of it is due."""

    def __init__(self, timers: Timers, ping_seconds: float) -> None:
        self._timers = timers
        self._seconds = ping_seconds / SPOKES
        self._spokes: list[set[Connection]] = [set() for _ in range(SPOKES)]
        self._due = 0
        timers.call_later(self._seconds, self._turn)

    def __len__(self) -> int:
        return sum(map(len, self._spokes))

    def __iter__(self) -> Iterator[Connection]:
        """All of them, as they are now: they may come and go meanwhile."""
        return iter([connection for spoke in self._spokes for connection in spoke])

    def add(self, connection: Connection) -> None:
        """A socket is open."""
        self._spoke_of(connection).add(connection)

    def discard(self, connection: Connection) -> None:
        """It is open no more."""
        self._spoke_of(connection).discard(connection)

    def _turn(self) -> None:
        self._timers.call_later(self._seconds, self._turn)
        self._due = (self._due + 1) % SPOKES
        now = self._timers.time()
        for connection in list(self._spokes[self._due]):
            connection.pulse.tick(now)

    def _spoke_of(self, connection: Connection) -> set[Connection]:
        # An address's last bits are the same for all of them.
        return self._spokes[id(connection) // 64 % SPOKES]
