"""A TCP connection in memory: the server's transport on one end, a client on the other."""

import asyncio
from typing import Any, cast

from hub import Connection

WINDOW_BYTES = 300
"""So much is under way, unread, before the server's own buffer begins to fill."""


class Wire(asyncio.Transport):
    """Bytes move to the server in `flow`, and to the client in `read`: never by themselves."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._protocol: Connection | None = None
        self._up, self._down, self._buffer = bytearray(), bytearray(), bytearray()
        self._high, self._low = 65536, 16384
        self._is_paused = self._is_reading_paused = False
        self._is_closing = self._is_lost = False
        self._has_ended = self._client_has_ended = False
        self._is_dark = self._is_upgraded = False

    # The client's end.

    def attach(self, connection: Connection) -> None:
        """The server has accepted the connection."""
        self._protocol = connection
        connection.connection_made(self)

    @property
    def can_flow(self) -> bool:
        """Whether there is anything for the server to take, and it takes it."""
        is_deaf = self._is_lost or self._is_closing or self._is_dark or self._is_reading_paused
        return not is_deaf and (bool(self._up) or self._client_has_ended)

    @property
    def can_read(self) -> bool:
        """Whether there is anything for the client to read."""
        return not self._is_dark and bool(self._down)

    @property
    def is_over(self) -> bool:
        """Whether the client has read all there will ever be."""
        return not self._down and (self._is_lost or (self._has_ended and not self._buffer))

    def send(self, data: bytes) -> None:
        """The client writes."""
        self._up += data

    def flow(self, size: int) -> None:
        """The server takes up to so many bytes of what the client wrote, or after them its end."""
        assert self._protocol is not None
        # uvicorn hands the upgrade request over whole.
        size = size if self._is_upgraded else len(self._up)
        chunk = bytes(self._up[:size])
        del self._up[:size]
        if chunk:
            self._is_upgraded = True
            self._protocol.data_received(chunk)
        elif self._client_has_ended:
            self._client_has_ended = False
            self._protocol.eof_received()
            self.close()

    def read(self, size: int) -> bytes:
        """The client takes up to so many bytes."""
        chunk = bytes(self._down[:size])
        del self._down[:size]
        self._fill()
        if self._is_paused and len(self._buffer) <= self._low and not self._is_lost:
            self._is_paused = False
            assert self._protocol is not None
            self._protocol.resume_writing()
        return chunk

    def end(self) -> None:
        """The client writes no more."""
        self._client_has_ended = True

    def cut(self) -> None:
        """The connection breaks, and the server notices."""
        self._down.clear()
        self._lose_soon(ConnectionResetError("cut"))

    def go_dark(self) -> None:
        """The connection breaks, and the server does not notice: what it writes goes nowhere."""
        self._is_dark = True

    # What the server calls.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_closing or self._is_lost:
            return
        assert not self._has_ended, "written after its end"
        self._buffer += data
        self._fill()
        if len(self._buffer) > self._high and not self._is_paused:
            self._is_paused = True
            assert self._protocol is not None
            self._protocol.pause_writing()

    def write_eof(self) -> None:
        self._has_ended = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self._is_closing = self._has_ended = True
        if not self._buffer:
            self._lose_soon(None)

    def abort(self) -> None:
        self._buffer.clear()
        self._lose_soon(None)

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        self._is_reading_paused = True

    def resume_reading(self) -> None:
        self._is_reading_paused = False

    def is_reading(self) -> bool:
        return not self._is_reading_paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 65536 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("203.0.113.1", 40000) if name == "peername" else default

    # Inside.

    def _fill(self) -> None:
        room = WINDOW_BYTES - len(self._down)
        if room > 0 and not self._is_dark:
            self._down += self._buffer[:room]
            del self._buffer[:room]
        if self._is_closing and not self._buffer:
            self._lose_soon(None)

    def _lose_soon(self, error: Exception | None) -> None:
        self._is_closing = True
        self._loop.call_soon(self._lose, error)

    def _lose(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            cast(Connection, self._protocol).connection_lost(error)
