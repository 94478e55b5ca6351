"""What goes out on one socket: one write per commit, as fast as the client reads, and the close frame last."""

from typing import TYPE_CHECKING, Any

from websockets.protocol import OPEN as PROTOCOL_OPEN
from websockets.protocol import SEND_EOF
from websockets.server import ServerProtocol

from hub import frames
from hub.counts import By
from hub.endpoint import Endpoint, State
from hub.pulse import Pulse
from hub.replay import Replay
from protocol import closing
from protocol.tracing import Fields

if TYPE_CHECKING:
    from hub.hub import Hub


_USUAL = (1000, 1001, 1005)
"""What clients close with. Other codes of theirs are told as one: they can be whatever a client makes up."""


class Outgoing(Endpoint):
    """The outgoing half of a socket.

    What is added with `add` leaves in one write with everything else of the same commit or turn of the loop.
    """

    __slots__ = ("_protocol", "hub", "number", "pending", "pulse", "replay")

    _protocol: ServerProtocol

    def __init__(self, connections: set[Any], hub: "Hub") -> None:
        super().__init__(connections, hub.settings, hub.timers)
        self.hub = hub
        self.number = next(hub.numbers)
        """What the log calls it."""
        self.pending: list[bytes] = []
        self.pulse = Pulse(hub.timers, hub.settings, self._ping, self._give_up)
        self.replay: Replay | None = None
        """What keeps the socket from the live traffic, if it resumes."""

    # What asyncio calls.

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        super().pause_writing()
        if self.state is State.OPEN:
            self.hub.backlogs.grew(self.backlog)

    def resume_writing(self) -> None:
        """The client caught up."""
        super().resume_writing()
        if self.replay is not None:
            self.replay.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        super().connection_lost(exc)
        # Left to the garbage collector, a socket that was open for long would stay in memory: it hardly ever looks at
        # what is old. So no cycle may be left.
        self.pulse.let_go()
        if hasattr(self, "_protocol"):
            self._protocol.parser.close()

    # What the hub calls.

    def add(self, frame: bytes) -> None:
        """Send a frame with the next write."""
        if not self.pending:
            self.hub.has_pending(self)
        self.pending.append(frame)

    def flush(self, now: float) -> None:
        """Write all that is pending, and after messages the ping that proves them."""
        if not self.pending:
            return
        if self.state is not State.OPEN or self._transport.is_closing():
            self.pending.clear()
            return
        if self.is_paused and not self._has_room():
            return
        if self.pulse.handed:
            self.pulse.beat(now)
        self._transport.write(b"".join(self.pending))
        self.pending.clear()

    def close(self, code: int, reason: str) -> None:
        """Close with a code that says what to do, after what is pending."""
        if self.state is not State.OPEN:
            return
        # The client may have closed, or broken the protocol, later in what was just read: that is answered already.
        if self._protocol.state is PROTOCOL_OPEN:
            self._protocol.send_close(code, reason)
        self._finish()

    # For who watches.

    @property
    def log_fields(self) -> Fields:
        """What lines of the log say of it."""
        return {"connection_id": self.number}

    @property
    def ending(self) -> tuple[By, str]:
        """Who closed it, and with which code: 1006 where the connection broke without one."""
        came, sent = self._protocol.close_rcvd, self._protocol.close_sent
        if came is not None and self._protocol.close_rcvd_then_sent is not False:
            return "client", str(int(came.code)) if came.code in _USUAL else "other"
        return ("client", "1006") if sent is None else ("server", str(int(sent.code)))

    # The end.

    def _has_room(self) -> bool:
        """Whether the client, which is behind, may be sent what is pending."""
        if self.backlog > self.hub.settings.backlog_bytes:
            self.fall_behind(f"{self.hub.settings.backlog_bytes} bytes wait (limits.backlog_bytes)")
        else:
            self.hub.backlogs.grew(sum(map(len, self.pending)))
        return self.state is State.OPEN

    def fall_behind(self, why: str) -> None:
        """The client reads too slowly: what waits is dropped, and it may come back for it."""
        self.pending.clear()
        self.close(closing.TOO_SLOW, f"the client reads too slowly: {why}")

    def left(self) -> None:
        """Frames reach the client no more."""
        self.pending.clear()
        self.pulse.stop()
        if self.replay is not None:
            self.replay.go_on()

    def _ping(self, payload: bytes) -> None:
        self.add(frames.ping(payload))

    def _give_up(self) -> None:
        self.close(closing.NO_PONG, "no pong in time")

    def _finish(self) -> None:
        """End both halves, this one by `_send_last`."""
        raise NotImplementedError

    def _send_last(self, *, is_unread: bool) -> None:
        """Send what is left, the close frame last. `is_unread`: there is more of the client's that nobody will read."""
        outgoing = [*self.pending, *self._protocol.data_to_send()]
        self._depart(b"".join(outgoing), is_last=SEND_EOF in outgoing or is_unread)
