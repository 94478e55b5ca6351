"""A TCP proxy between a client and a server, on the test's own loop: it passes bytes on until the test decides
otherwise.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

from tests.support.server import ServerProcess

BUFFER_BYTES = 4096
"""What the proxy's end of a connection to the server holds: the server feels soon that nobody reads."""


class Wire:
    """A way to a server at `ws_url`."""

    def __init__(self, ws_url: str) -> None:
        self.ws_url = ws_url
        self._reads = asyncio.Event()
        self._reads.set()
        self._is_dead = False

    def stall(self) -> None:
        """Read nothing more of what the server sends; the client's bytes still reach it."""
        self._reads.clear()

    def flow(self) -> None:
        """Read on."""
        self._reads.set()

    def die(self) -> None:
        """Swallow whatever comes from either side, and close nothing: a cable was pulled out."""
        self._is_dead = True

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may_read: Callable[[], bool]
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                if not may_read():
                    await self._reads.wait()
                if not (data := await reader.read(65536)):
                    break
                if not self._is_dead:
                    writer.write(data)
                    await writer.drain()
        if not self._is_dead:
            writer.close()

    async def _connect(
        self, server: ServerProcess, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        end = socket.socket()
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", _port(server)))
        theirs, ours = await asyncio.open_connection(sock=end, limit=BUFFER_BYTES)
        try:
            await asyncio.gather(
                self._pass(reader, ours, lambda: True), self._pass(theirs, writer, self._reads.is_set)
            )
        finally:
            ours.transport.abort()
            writer.transport.abort()


def _port(server: ServerProcess) -> int:
    return int(server.base_url.rpartition(":")[2])


@contextlib.asynccontextmanager
async def wired(server: ServerProcess) -> AsyncIterator[Wire]:
    """A wire to a server, as long as the block lasts."""
    connected: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connected.add(task)
        with contextlib.suppress(asyncio.CancelledError):  # asyncio's streams would call it a bug
            await wire._connect(server, reader, writer)
        connected.discard(task)

    listener = await asyncio.start_server(take, "127.0.0.1", 0)
    wire = Wire(f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}/ws")
    try:
        yield wire
    finally:
        listener.close()
        for task in list(connected):
            task.cancel()
        await asyncio.gather(*connected)
