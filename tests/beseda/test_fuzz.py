"""Whatever bytes come over HTTP: no 5xx, no trace, nothing is left of them, and others are served meanwhile."""

import asyncio
import contextlib
import gc
import logging
import re
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import example, given
from hypothesis import strategies as st

from beseda.http import HttpProtocol
from beseda.server import Server
from tests.beseda.inside import GET, serving, settings
from tests.support.fuzz import bounded, cut, requests
from tests.support.raw import RawSocket

SMUGGLED = b"GET /server HTTP/1.1\r\nHost: x\r\n\r\n"


class Target:
    """A server that stands for all examples, and the loop that it lives on."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.stack = contextlib.AsyncExitStack()
        self.statuses: set[int] = set()
        self.run(self.open(folder))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def open(self, folder: Path) -> None:
        config = settings(folder / "data", LIMITS__HEADER_BYTES="2048")
        self.server: Server
        self.url, self.server = await self.stack.enter_async_context(serving(config))
        self.honest = await RawSocket.open(self.url)

    async def idle(self) -> None:
        """Let the server answer; it may wait for the rest of a body, and then there is nothing to be waited for."""
        for _ in range(10):
            await asyncio.sleep(0.001)
            if not self.server.server_state.tasks:
                return

    async def throw(self, segments: list[bytes], *, hangs_up: bool = True) -> bytes:
        """Send all this on a new connection, and see what comes of it; and whether another is served still."""
        with await RawSocket.open(self.url) as client:
            with contextlib.suppress(OSError):
                for segment in segments:
                    await client.send(segment)
                    await asyncio.sleep(0)
                if hangs_up:
                    await self.idle()
                    client.shut_down()
            said = await client.all()
        assert not said or said.startswith(b"HTTP/1.1 "), said[:200]
        statuses = {int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", said)}
        assert not statuses or max(statuses) < 500, said
        self.statuses |= statuses
        await self.honest.send(GET)
        assert (await self.honest.answer()).status == 200
        return said

    async def close(self) -> None:
        self.honest.close()
        state = self.server.server_state
        async with asyncio.timeout(20):
            while state.connections or state.tasks:
                await asyncio.sleep(0.01)
            # Told apart by their state, for other tests have servers in this process, too.
            while any(isinstance(one, HttpProtocol) and one.server_state is state for one in collected()):
                await asyncio.sleep(0.1)
        await self.stack.aclose()


def collected() -> list[object]:
    """All that is in memory, whoever holds it."""
    gc.collect()
    return gc.get_objects()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    target = Target(tmp_path_factory.mktemp("fuzz"))
    with target.runner:
        yield target
        target.run(target.close())


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as wrong; asyncio's complaints about a slow machine aside."""
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    return [record.getMessage() for record in records]


def test_no_bytes_make_a_5xx_or_a_trace(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    @bounded(150)
    @given(cut(requests() | requests() | requests() | st.binary(max_size=50), most=4))
    # One of each kind, whatever hypothesis comes upon.
    @example([GET, GET + GET])
    @example([GET.replace(b"/healthz", b"/chats"), GET.replace(b"/healthz", b"/nothing")])
    @example([GET.replace(b"GET", b"PUT")])
    @example([b"garbage\r\n\r\n"])
    @example([b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"])
    def throw(segments: list[bytes]) -> None:
        target.run(target.throw(segments))
        assert errors(caplog) == []

    throw()
    assert {200, 400, 401, 404, 405, 431} <= target.statuses


AMBIGUOUS = {
    "both lengths": "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "both lengths, the other way round": "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "two lengths": "Content-Length: 5\r\nContent-Length: 0",
    "two equal lengths": "Content-Length: 5\r\nContent-Length: 5",
    "a list of lengths": "Content-Length: 5, 5",
    "a signed length": "Content-Length: +5",
    "a negative length": "Content-Length: -5",
    "a hexadecimal length": "Content-Length: 0x5",
    "a length of two words": "Content-Length: 5 5",
    "an endless length": "Content-Length: " + "9" * 30,
    "no length": "Content-Length:",
    "a space before the colon": "Content-Length : 5",
    "a folded length": "Content-Length:\r\n 5",
    "a space before the encoding's colon": "Transfer-Encoding : chunked",
    "chunked, and not at last": "Transfer-Encoding: chunked, identity",
    "nearly chunked": "Transfer-Encoding: xchunked",
    "an encoding behind a vertical tab": "Transfer-Encoding:\x0bchunked",
    "no chunks": "Transfer-Encoding: identity",
    "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "a bare line feed": "X: y\nContent-Length: 5",
    "a bare carriage return": "X: y\rContent-Length: 5",
    "a NUL": "X: \0\r\nContent-Length: 5",
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_a_request_whose_end_is_not_certain_is_the_last_of_its_connection(
    target: Target, headers: str
) -> None:
    """Otherwise a proxy that reads it in another way would let the next one through unseen (RFC 9112, section 11.2)."""
    head = f"POST /nothing HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode("latin-1")
    for body in (b"0\r\n\r\n", b""):
        said = target.run(target.throw([head + body + SMUGGLED], hangs_up=False))
        assert said.startswith(b"HTTP/1.1 400 "), said
        assert said.count(b"HTTP/1.1 ") == 1, said


def test_the_request_that_would_be_smuggled_is_otherwise_answered(target: Target) -> None:
    head = b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    last = SMUGGLED.replace(b"Host", b"Connection: close\r\nHost")
    said = target.run(target.throw([head + last], hangs_up=False))
    assert said.count(b"HTTP/1.1 ") == 2
