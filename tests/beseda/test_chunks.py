"""What comes beside the bytes of a chunked body: sizes, extensions, trailers."""

import asyncio
import contextlib
from typing import Any

import pytest

from beseda import http
from beseda.server import Server
from tests.beseda.inside import GET, REFRESH, head
from tests.support.raw import RawSocket

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEGIN = head("/auth/refresh", "Transfer-Encoding: chunked")
BODY = b"%x\r\n%b\r\n" % (len(REFRESH), REFRESH)


async def pour(raw: RawSocket, piece: bytes, count: int) -> None:
    """Send a piece again and again, in segments of their own, until the server has had enough."""
    with contextlib.suppress(ConnectionError):
        for _ in range(count):
            await raw.send(piece)
            await asyncio.sleep(0.002)


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        (BODY + b"0\r\n", b"a:\r\n" * 100),
        (BODY + b"0\r\na: ", b"b" * 400),
        (BODY + b"0\r\n", b"b" * 400),
        (b"1;", b"x" * 400),
        (BODY + b"0;", b"x" * 400),
    ],
)
async def test_trailers_and_extensions_that_do_not_end_are_431(url: str, before: bytes, piece: bytes) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(BEGIN + before)
        await pour(raw, piece, 30)
        answer = await raw.answer()
        assert (answer.status, answer.problem["code"]) == (431, "headers_too_large")
        await raw.ended()


async def test_trailers_count_as_headers_even_when_they_end_in_the_same_segment(url: str) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(BEGIN + BODY + b"0\r\n" + b"a: b\r\n" * 500 + b"\r\n")
        assert (await raw.answer()).status == 431
        await raw.ended()


async def test_trailers_are_read_and_not_kept(
    running: tuple[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, server = running
    seen: list[list[tuple[bytes, bytes]]] = []
    make = server.config.loaded_app

    async def remember(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["headers"])
        await make(scope, receive, send)

    monkeypatch.setattr(server.config, "loaded_app", remember)
    with await RawSocket.open(url) as raw:
        await raw.send(BEGIN + BODY)
        await asyncio.sleep(0.02)
        await raw.send(b"0\r\nX-Late: 1\r\nExpect: 100-continue\r\n\r\n" + GET)
        assert (await raw.answer()).status == 401
        assert (await raw.answer()).status == 200
    assert [name for name, _ in seen[0]] == [b"host", b"content-type", b"transfer-encoding"]


async def test_trailers_behind_an_early_answer_are_cut_off_without_a_second_one(url: str) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(head("/nothing", "Transfer-Encoding: chunked") + BODY)
        assert (await raw.answer()).status == 404
        await raw.send(b"0\r\n")
        await pour(raw, b"a:\r\n" * 100, 30)
        # Sooner than a body that has lost its pace is.
        async with asyncio.timeout(http.PACE_SECONDS / 2):
            await raw.ended()


async def test_chunks_of_one_byte_are_served_however_they_are_cut(url: str) -> None:
    body = b" " * 20_000 + REFRESH
    for size in (b"1", b"00000001", b"1;a=b"):
        chunks = b"".join(size + b"\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        with await RawSocket.open(url) as raw:
            await raw.send(BEGIN)
            for start in range(0, len(chunks), 7001):
                await raw.send(chunks[start : start + 7001])
                await asyncio.sleep(0)
            assert (await raw.answer()).status == 401
            await raw.send(GET)
            assert (await raw.answer()).status == 200


async def test_large_chunks_that_come_in_many_segments_are_served(url: str) -> None:
    body = b" " * 30_000 + REFRESH
    with await RawSocket.open(url) as raw:
        await raw.send(BEGIN + b"%x;signature=%b\r\n" % (len(body), b"0" * 64))
        for start in range(0, len(body), 1500):
            await raw.send(body[start : start + 1500])
        await raw.send(b"\r\n0\r\n\r\n")
        assert (await raw.answer()).status == 401


async def test_chunks_that_are_nearly_all_extension_are_malformed(url: str) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(BEGIN)
        await pour(raw, b"1;" + b"x" * 1000 + b"\r\n \r\n", 30)
        answer = await raw.answer()
        assert (answer.status, answer.problem["code"]) == (400, "malformed")
        await raw.ended()
