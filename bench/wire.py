"""A small client of the socket that can misbehave: it stops reading, breaks off, and sends half a frame."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import urlencode

import orjson

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
LOST: Final = 1006
OPEN_SECONDS = 30.0

Frame = dict[str, Any]


class Rejected(Exception):
    """The upgrade was answered with an HTTP status, or the connection was lost before (0)."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the upgrade was answered with {status}")
        self.status = status


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame; a masking key of zeros leaves the payload as it is."""
    size = len(payload)
    if size < 126:
        header = bytes((0x80 | opcode, 0x80 | size))
    elif size < 2**16:
        header = bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    else:
        header = bytes((0x80 | opcode, 0xFF)) + size.to_bytes(8, "big")
    return header + b"\0\0\0\0" + payload


class Wire(asyncio.Protocol):
    """One socket. Every text frame goes to `on_frame`; pings are answered as long as it reads."""

    transport: asyncio.Transport

    def __init__(self, request: bytes, on_frame: Callable[[Frame], None]) -> None:
        self.opened: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        """The hello; or Rejected."""
        self.closed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The close code, `LOST` without one."""
        self._request = request
        self._on_frame = on_frame
        self._is_upgraded = False
        self._buffer = bytearray()
        self._code = LOST
        self._is_half_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_upgraded and not self._upgrade():
            return
        at = 0
        while self._code == LOST and (found := _frame_at(self._buffer, at)) is not None:
            opcode, payload, at = found
            self._take(opcode, payload)
        del self._buffer[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(Rejected(0))
        if not self.closed.done():
            self.closed.set_result(self._code)

    @property
    def is_open(self) -> bool:
        """Whether it is of any use to send."""
        return (
            not (self.closed.done() or self.transport.is_closing() or self._is_half_closed)
            and self._code == LOST
        )

    def send(self, frame: Frame) -> None:
        """Send a frame as JSON text."""
        self.write(masked(TEXT, orjson.dumps(frame)))

    def write(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        if self.is_open:
            self.transport.write(data)

    def half_close(self) -> None:
        """Say that nothing more will be sent, and go on reading."""
        if self.is_open:
            self._is_half_closed = True
            self.transport.write_eof()

    def abort(self) -> None:
        """Break the connection off."""
        self.transport.abort()

    def _upgrade(self) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        status = int(head[9:12])
        if status != 101:
            if not self.opened.done():
                self.opened.set_exception(Rejected(status))
            self.transport.abort()
            return False
        self._is_upgraded = True
        self._buffer = rest
        return True

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            frame = orjson.loads(payload)
            if not self.opened.done():
                self.opened.set_result(frame)
            self._on_frame(frame)
        elif opcode == PING:
            self.write(masked(PONG, payload))
        elif opcode == CLOSE:
            self.write(masked(CLOSE, payload[:2]))
            self._code = int.from_bytes(payload[:2], "big")
            self.transport.close()


def _frame_at(data: bytearray, at: int) -> tuple[int, bytes, int] | None:
    """A server's frame: its opcode, its payload and where it ends; None while it is not all there."""
    begin = at + 2
    if len(data) < begin:
        return None
    size = data[at + 1]
    if size >= 126:
        width = 2 if size == 126 else 8
        begin += width
        if len(data) < begin:
            return None
        size = int.from_bytes(data[begin - width : begin], "big")
    if len(data) < begin + size:
        return None
    return data[at] & 0xF, bytes(data[begin : begin + size]), begin + size


async def connect(
    port: int,
    token: str,
    on_frame: Callable[[Frame], None],
    query: Mapping[str, str | int] | None = None,
    receive_buffer: int | None = None,
) -> Wire:
    """A socket that has had its hello. `receive_buffer` bytes the kernel keeps for it. Raises Rejected, OSError."""
    request = (
        f"GET /ws?{urlencode({'token': token, **(query or {})})} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    end = socket.socket()
    end.setblocking(False)
    try:
        if receive_buffer is not None:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await loop.sock_connect(end, ("127.0.0.1", port))
        _, wire = await loop.create_connection(lambda: Wire(request, on_frame), sock=end)
    except BaseException:
        end.close()
        raise
    try:
        await asyncio.wait_for(asyncio.shield(wire.opened), OPEN_SECONDS)
    except BaseException:
        with contextlib.suppress(Exception):
            wire.transport.abort()
        # Nobody will ask again.
        wire.opened.cancel()
        raise
    return wire
