"""A WebSocket client made of bytes, written from RFC 6455 alone: it answers no ping, masks nothing and closes nothing
unless it is told to, so a test decides what the server sees, and when it is read at all.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support import described
from tests.support.rest import Person

TIMEOUT = 20.0

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The handshake of RFC 6455 section 1.3."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame as it came."""

    opcode: int
    payload: bytes
    is_final: bool = True

    @property
    def json(self) -> Json:
        """The JSON object of a text frame."""
        assert self.opcode == TEXT, self
        value = json.loads(self.payload)
        assert isinstance(value, dict), value
        return value

    @property
    def close_code(self) -> int:
        """The code of a close frame."""
        assert self.opcode == CLOSE, self
        assert len(self.payload) >= 2, self
        return int.from_bytes(self.payload[:2], "big")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer to an upgrade; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> Json:
        """The body of a refusal (RFC 9457)."""
        assert self.headers["content-type"] == "application/problem+json", self
        value = json.loads(self.body)
        assert isinstance(value, dict), value
        assert value["status"] == self.status, self
        return value


def frame_bytes(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bool = True,
    length: int = 7,
    declared: int | None = None,
) -> bytes:
    """A client's frame.

    `rsv` are the reserved bits, 0 to 7. The payload's length is written in at least `length` bits: 7, 16 or 64; it is
    `declared` instead of what it is.
    """
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    masked = 0x80 if mask else 0
    size = len(payload) if declared is None else declared
    if size < 126 and length == 7:
        head += bytes([masked | size])
    elif size < 65536 and length <= 16:
        head += struct.pack("!BH", masked | 126, size)
    else:
        head += struct.pack("!BQ", masked | 127, size)
    size = len(payload)
    if not mask:
        return head + payload
    key = os.urandom(4)
    pad = key * (size // 4 + 1)
    return (
        head
        + key
        + (int.from_bytes(payload, "big") ^ int.from_bytes(pad[:size], "big")).to_bytes(size, "big")
    )


def text_bytes(value: Json) -> bytes:
    """A client's text frame with JSON in it."""
    return frame_bytes(TEXT, json.dumps(value, ensure_ascii=False).encode())


def upgrade_bytes(target: str, headers: dict[str, str] | None = None, *, method: str = "GET") -> bytes:
    """An upgrade request. `headers` replace the usual ones; an empty value leaves one out."""
    all_headers = {
        "Host": "beseda.test",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        **(headers or {}),
    }
    lines = [
        f"{method} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in all_headers.items() if value),
    ]
    return "".join(line + "\r\n" for line in [*lines, ""]).encode("latin-1")


class RawSocket:
    """A TCP connection to the server. Reads only when it is asked to; every wait is bounded."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = bytearray()
        self.passed: list[RawFrame] = []
        """Frames that `text` and `until_close` have passed over."""
        self.pings: list[bytes] = []
        """Payloads of the server's pings that came while something else was waited for: one may come at any moment."""

    @classmethod
    async def open(cls, url: str, *, receive_buffer: int | None = None) -> Self:
        """Connect to the host of `url`. A small `receive_buffer` (bytes) makes the server feel it soon."""
        split = urlsplit(url)
        assert split.hostname is not None
        connection = socket.socket()
        connection.setblocking(False)
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            async with asyncio.timeout(TIMEOUT):
                await asyncio.get_running_loop().sock_connect(connection, (split.hostname, split.port))
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    async def upgrade(
        self, target: str, headers: dict[str, str] | None = None, *, method: str = "GET"
    ) -> Answer:
        """Send an upgrade request, and read the answer to it."""
        await self.send(upgrade_bytes(target, headers, method=method))
        answer = await self.answer()
        if answer.status != 101:
            described.check_upgrade(target, answer.status, answer.headers, answer.body)
        return answer

    async def send_upgrade(self, person: Person, *behind: Json, since: int | None = None) -> None:
        """Send a person's upgrade request, with text frames behind it in the same segment."""
        target = f"/ws?token={person.token}" + ("" if since is None else f"&since={since}")
        await self.send(upgrade_bytes(target) + b"".join(map(text_bytes, behind)))

    async def first_read(self) -> bytes:
        """All that one read from the connection brings."""
        await self._read()
        return bytes(self._buffer)

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        async with asyncio.timeout(TIMEOUT):
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def send_frame(self, opcode: int, payload: bytes = b"", **how: Any) -> None:
        """Send one frame."""
        await self.send(frame_bytes(opcode, payload, **how))

    async def send_json(self, *values: Json) -> None:
        """Send text frames, all in one piece."""
        await self.send(b"".join(map(text_bytes, values)))

    async def send_close(self, code: int = 1000) -> None:
        """Send a close frame."""
        await self.send_frame(CLOSE, code.to_bytes(2, "big"))

    async def send_close_after(self, sending: "asyncio.Task[None]") -> None:
        """Answer a close, once what is still being sent has left or the server has let go."""
        with contextlib.suppress(ConnectionError):
            await sending
            await self.send_close()

    async def answer(self) -> Answer:
        """The HTTP answer."""
        head = await self._until(lambda: b"\r\n\r\n" in self._buffer, "an HTTP answer")
        assert head, f"the connection ended within the answer {bytes(self._buffer)!r}"
        raw, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        status_line, *lines = raw.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0"))
        assert await self._until(lambda: len(self._buffer) >= size, "the answer's body")
        body = bytes(self._buffer[:size])
        del self._buffer[:size]
        return Answer(int(status_line.split(" ")[1]), headers, body)

    async def frame(self) -> RawFrame:
        """The next frame that is no ping. Pings are noted in `pings`."""
        while (found := await self._frame()).opcode == PING:
            self.pings.append(found.payload)
        return found

    async def text(self, kind: str | None = None, where: Callable[[Json], bool] | None = None) -> Json:
        """The next text frame (of this type, that `where` accepts). What else comes is noted in `passed`."""
        while True:
            frame = await self.frame()
            if (
                frame.opcode == TEXT
                and kind in (None, frame.json["type"])
                and (where is None or where(frame.json))
            ):
                return frame.json
            assert frame.opcode != CLOSE, f"closed with {frame.close_code} while waiting for {kind}"
            self.passed.append(frame)

    async def ping(self) -> bytes:
        """The payload of the next ping. What else comes is noted in `passed`."""
        while (frame := await self._frame()).opcode != PING:
            assert frame.opcode != CLOSE, frame
            self.passed.append(frame)
        return frame.payload

    async def settle(self) -> list[RawFrame]:
        """Send a ping, and read until its pong: all that the server had written before, pings aside."""
        payload = os.urandom(4)
        await self.send_frame(PING, payload)
        frames: list[RawFrame] = []
        while (frame := await self.frame()) != RawFrame(PONG, payload):
            frames.append(frame)
        return frames

    async def until_close(self) -> RawFrame:
        """The close frame. What comes before it is noted in `passed`."""
        while (frame := await self.frame()).opcode != CLOSE:
            self.passed.append(frame)
        return frame

    async def until_over(self) -> RawFrame | None:
        """Read until the connection is over, whichever way; the close frame, if one came. The rest is in `passed`."""
        close = None
        with contextlib.suppress(ConnectionError):
            while True:
                while (frame := self._parse()) is None:
                    if not await self._read():
                        return close
                if frame.opcode == CLOSE:
                    assert close is None, "closed twice"
                    close = frame
                self.passed.append(frame)
        return close

    async def ended(self) -> None:
        """Read until the server's end of the stream; a reset is an error."""
        while await self._read():
            pass
        assert not self._buffer, f"{bytes(self._buffer[:100])!r} came after all that was expected"

    async def all(self) -> bytes:
        """All that comes until the connection is over, whichever way."""
        with contextlib.suppress(ConnectionError):
            while await self._read():
                pass
        return bytes(self._buffer)

    async def broken(self) -> None:
        """Read until the connection is over, whichever way."""
        with contextlib.suppress(ConnectionError):
            while await self._read():
                self._buffer.clear()

    async def nothing(self, seconds: float) -> None:
        """Fail if anything but pings arrives meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                frame = await self.frame()
        except TimeoutError:
            return
        raise AssertionError(f"unexpected {frame}")

    def shut_down(self) -> None:
        """End our half of the stream."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break the connection off."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Close the connection without a word."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _frame(self) -> RawFrame:
        while (found := self._parse()) is None:
            assert await self._read(), f"the connection ended; {len(self._buffer)} bytes are left"
        if found.opcode == TEXT:
            described.check_frame(found.json)
        return found

    async def _until(self, condition: Callable[[], bool], what: str) -> bool:
        while not condition():
            if not await self._read():
                return False
        return True

    async def _read(self) -> bool:
        async with asyncio.timeout(TIMEOUT):
            data = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        self._buffer += data
        return bool(data)

    def _parse(self) -> RawFrame | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        assert not buffer[0] & 0x70, "reserved bits"
        assert not buffer[1] & 0x80, "a server masks nothing (RFC 6455 section 5.1)"
        size, start = buffer[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < start + size:
            return None
        frame = RawFrame(buffer[0] & 0x0F, bytes(buffer[start : start + size]), bool(buffer[0] & 0x80))
        del buffer[: start + size]
        return frame
