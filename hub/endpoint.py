"""One end of a TCP connection that uvicorn hands over: its life to the last byte, whatever is said on it.

HANDSHAKE ──request──▶ ADMITTING ──SocketAdmitted──▶ OPEN ──our close frame──▶ CLOSING ──theirs──▶ ENDED ──▶ LOST
    └─────────────────────┴───────────── an HTTP refusal ────────────────────────────────────────────▲
"""

import asyncio
import enum
from typing import Any, cast

from hub.settings import Settings
from hub.timers import Timer, Timers

HIGH_WATER_BYTES = 64 * 1024


class State(enum.Enum):
    """Where a socket is in its life."""

    HANDSHAKE = enum.auto()
    ADMITTING = enum.auto()
    OPEN = enum.auto()
    CLOSING = enum.auto()
    """We have sent a close frame, and wait for the client's."""
    ENDED = enum.auto()
    """We have ended our half of the stream; what still comes is discarded."""
    LOST = enum.auto()


class Endpoint(asyncio.Protocol):
    """What a socket's transport needs: a bounded backlog, and an end that the client gets to see."""

    __slots__ = ("_connections", "_settings", "_timer", "_timers", "_transport", "is_paused", "state")

    _transport: asyncio.Transport

    def __init__(self, connections: set[Any], settings: Settings, timers: Timers) -> None:
        self._connections = connections
        self._settings = settings
        self._timers = timers
        self._timer: Timer | None = None
        self.state = State.HANDSHAKE
        self.is_paused = False

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is ours from here on."""
        # uvloop's transports are none of asyncio's classes, but do the same.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=min(HIGH_WATER_BYTES, self._settings.backlog_bytes))
        self._connections.add(self)

    def eof_received(self) -> None:
        """The client sends no more. The transport closes itself once all that was written is gone."""
        # A client that doesn't read must not hold it open for ever.
        self._leave(State.ENDED)
        self._abort_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._connections.discard(self)
        self._leave(State.LOST)

    def pause_writing(self) -> None:
        """The client reads slower than we write; once the socket is open, it has some time to catch up."""
        if self.state in (State.HANDSHAKE, State.ADMITTING, State.OPEN):
            self.is_paused = True
            self._await_reading()

    def resume_writing(self) -> None:
        """The client caught up."""
        if self.is_paused:
            self.is_paused = False
            self._cancel_timer()

    # What its owner calls.

    @property
    def is_waiting(self) -> bool:
        """Whether the client still waits to be admitted."""
        return self.state is State.ADMITTING and not self._transport.is_closing()

    @property
    def is_open(self) -> bool:
        """Whether frames reach the client."""
        return self.state is State.OPEN

    @property
    def backlog(self) -> int:
        """How many bytes wait for the client to read on."""
        return self._transport.get_write_buffer_size()

    @property
    def is_gone(self) -> bool:
        """Whether the transport is gone."""
        return self.state is State.LOST

    def abort(self) -> None:
        """Let go of a client that does not answer."""
        self._transport.abort()

    def pause_reading(self) -> None:
        """Take no more frames."""
        if self.state is State.OPEN:
            self._transport.pause_reading()

    def _await_reading(self) -> None:
        """Give a client that doesn't read its time, if the socket is open."""
        if self.is_paused and self.state is State.OPEN:
            seconds = self._settings.stuck_seconds
            self._timer = self._timers.call_later(seconds, self.fall_behind, f"stuck for {seconds:g} s")

    # What a socket adds.

    def fall_behind(self, why: str) -> None:
        """The client has not read for too long, or too much waits for it."""
        raise NotImplementedError

    def left(self) -> None:
        """The socket is open no more."""
        raise NotImplementedError

    # The end.

    def _depart(self, data: bytes, *, is_last: bool) -> None:
        """Write `data`, and wait a while for the client's close frame or, after the last, its end of the stream."""
        self._leave(State.CLOSING)
        self._abort_later()
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if is_last:
            self._end()
        self._transport.resume_reading()

    def _end(self) -> None:
        """End our half of the stream only.

        Closing would reset the connection if more of the client's bytes are under way, and the reset would overtake
        the close frame. What still comes is discarded.
        """
        self.state = State.ENDED
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _leave(self, state: State) -> None:
        was_open = self.state is State.OPEN
        self.state = state
        self.is_paused = False
        self._cancel_timer()
        if was_open:
            self.left()

    def _abort_later(self) -> None:
        self._timer = self._timers.call_later(self._settings.close_seconds, self._transport.abort)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
