"""A socket that costs the generator next to nothing: it counts what it hears, unparsed, and answers pings."""

import asyncio
import resource
import time
from typing import Any

from bench.wire import PONG, masked

PING = b"\x89\x08"
MESSAGE = b'{"type":"new_message",'
RESUMED = b'{"type":"resumed","eve'
# Both are of one length, so that the tail kept of each read can complete either, and hold neither.
TAIL = len(RESUMED) - 1
OPEN_SECONDS = 120.0


class Listener(asyncio.Protocol):
    """Made by `listen`."""

    __slots__ = ("_rest", "hello", "messages", "opened", "request", "resumed", "transport")

    def __init__(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.messages = 0
        self.opened: asyncio.Future[None] = loop.create_future()
        self.resumed: asyncio.Future[float] = loop.create_future()
        """When, on the performance counter."""
        self.hello = b""
        self.request = request
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self.opened.done():
            at = data.find(b'{"type":"hello"')
            if at < 0:
                if data.startswith(b"HTTP/1.1 101"):
                    self._rest = data
                else:
                    self.opened.set_exception(RuntimeError(data.decode(errors="replace")))
                return
            self.opened.set_result(None)
            data = data[at:]
        self.messages += data.count(MESSAGE)
        if not self.resumed.done() and RESUMED in data:
            self.resumed.set_result(time.perf_counter())
        self._rest = self._answer_pings(data)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self.opened, self.resumed):
            if not future.done():
                future.set_exception(ConnectionError("the connection was lost"))
                future.exception()

    def _answer_pings(self, data: bytes) -> bytes:
        """What is to be kept of the data."""
        answered, at = 0, data.find(PING)
        while 0 <= at <= len(data) - 10:
            answered = at + 10
            self.transport.write(masked(PONG, data[at + 2 : answered]))
            at = data.find(PING, answered)
        return data[at:] if at >= 0 else data[max(answered, len(data) - TAIL) :]


async def listen(port: int, token: str, query: str = "", source: str = "127.0.0.1") -> Listener:
    """A socket that has had its hello, from a loopback address. Raises RuntimeError with what it was told instead."""
    request = (
        f"GET /ws?token={token}{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    _, listener = await asyncio.get_running_loop().create_connection(
        lambda: Listener(request), "127.0.0.1", port, local_addr=(source, 0)
    )
    await asyncio.wait_for(listener.opened, OPEN_SECONDS)
    return listener


def raise_descriptor_limit(sockets: int) -> None:
    """For so many sockets of this process. Raises RuntimeError where the system forbids it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < sockets + 100:
        raise RuntimeError(
            f"{sockets} sockets need as many descriptors, and the hard limit is {hard}: raise it (ulimit -Hn)."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
