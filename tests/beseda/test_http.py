"""What the HTTP protocol answers to no HTTP at all, and its caps."""

import asyncio
from typing import Any

import pytest

from beseda import http
from beseda.server import Server
from tests.beseda.inside import GET, REFRESH, head
from tests.support.raw import Answer, RawSocket

pytestmark = pytest.mark.asyncio(loop_scope="module")


def refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.problem["code"]) == (status, code)
    assert answer.headers["connection"] == "close"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "server" not in answer.headers


# What is no HTTP.


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_malformed_and_the_connection_ends(url: str, garbage: bytes) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(garbage)
        refused(await raw.answer(), 400, "malformed")
        await raw.ended()


@pytest.mark.parametrize("host", [b"Host: \r\n", b"Host: anything/at all\r\n", b""])
async def test_which_host_is_named_is_no_concern_and_http_1_0_need_not(url: str, host: bytes) -> None:
    version = b"1.1" if host else b"1.0"
    with await RawSocket.open(url) as raw:
        await raw.send(b"GET /healthz HTTP/" + version + b"\r\n" + host + b"\r\n")
        assert (await raw.answer()).status == 200


async def test_a_body_that_breaks_the_rules_of_chunks_is_malformed(url: str) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(head("/auth/refresh", "Transfer-Encoding: chunked") + b"2\r\n{}")
        await asyncio.sleep(0.02)
        await raw.send(b"this is no chunk")
        refused(await raw.answer(), 400, "malformed")
        await raw.ended()


async def test_garbage_behind_a_request_does_not_overtake_its_answer(url: str) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(GET + GET + b"hello\r\n\r\n")
        assert (await raw.answer()).status == 200
        last = await raw.answer()
        assert (last.status, last.headers["connection"]) == (200, "close")
        await raw.ended()


async def test_a_queued_request_whose_body_breaks_the_rules_is_not_begun(
    running: tuple[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, server = running
    begun: list[str] = []
    make = server.config.loaded_app

    async def remember(scope: Any, receive: Any, send: Any) -> None:
        begun.append(scope["path"])
        await asyncio.sleep(0.05)
        await make(scope, receive, send)

    monkeypatch.setattr(server.config, "loaded_app", remember)
    broken = head("/auth/refresh", "Transfer-Encoding: chunked") + b"2\r\n{}"
    for count in (1, 2):
        begun.clear()
        with await RawSocket.open(url) as raw:
            await raw.send(GET * count + broken + b"this is no chunk")
            answers = [await raw.answer() for _ in range(count)]
            assert [answer.status for answer in answers] == [200] * count
            assert answers[-1].headers["connection"] == "close"
            await raw.ended()
        assert begun == ["/healthz"] * count
    while server.server_state.tasks:
        await asyncio.sleep(0.01)


async def test_what_follows_a_refusal_is_not_read_as_requests(url: str) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(b"hello\r\n\r\n")
        await raw.send(GET)
        refused(await raw.answer(), 400, "malformed")
        await raw.ended()


async def test_a_refused_client_that_does_not_go_is_left(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LINGER_SECONDS", 0.05)
    with await RawSocket.open(url) as raw:
        await raw.send(b"hello\r\n\r\n")
        refused(await raw.answer(), 400, "malformed")
        await raw.ended()
        with pytest.raises(ConnectionError):
            for _ in range(200):
                await raw.send(b"still here")
                await asyncio.sleep(0.01)


# Headers and bodies that are too large.


@pytest.mark.parametrize("size", [2048, 40_000])
async def test_a_url_that_is_too_large_is_431(url: str, size: int) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(b"GET /" + b"a" * size + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        refused(await raw.answer(), 431, "headers_too_large")
        await raw.ended()


async def test_headers_that_are_too_large_together_are_431(url: str) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(head("/", *(f"x-{number}: {'a' * 20}" for number in range(80)), method="GET"))
        refused(await raw.answer(), 431, "headers_too_large")
        await raw.ended()


async def test_headers_that_do_not_end_are_cut_off_before_more_is_kept(url: str) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        for _ in range(8):
            await raw.send(b"a" * 300)
            await asyncio.sleep(0.005)
        refused(await raw.answer(), 431, "headers_too_large")


async def test_headers_just_within_the_cap_are_served(url: str) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1900 + b"\r\n\r\n")
        assert (await raw.answer()).status == 200


async def test_the_cap_on_headers_counts_each_request_alone(url: str) -> None:
    with await RawSocket.open(url) as raw:
        for _ in range(3):
            body = b" " * 30_000 + REFRESH
            await raw.send(head("/auth/refresh", f"Content-Length: {len(body)}") + body[:15_000])
            # The rest of a body and the beginning of the next request, in one piece.
            await raw.send(body[15_000:] + GET[:20])
            assert (await raw.answer()).status == 401
            await raw.send(GET[20:])
            assert (await raw.answer()).status == 200


async def test_an_upgrade_with_headers_that_are_too_large_is_431_too(url: str) -> None:
    with await RawSocket.open(url) as raw:
        answer = await raw.upgrade("/ws", {"X": "a" * 3000})
        refused(answer, 431, "headers_too_large")
        await raw.ended()


async def test_the_answer_reaches_a_client_that_goes_on_sending(url: str) -> None:
    with await RawSocket.open(url) as raw:
        length = 5_000_000
        await raw.send(head("/auth/refresh", f"Content-Length: {length}"))
        for _ in range(5):
            await raw.send(b"x" * 1_000_000)
        assert (await raw.answer()).status == 413
        await raw.send(GET)
        assert (await raw.answer()).status == 200


async def test_a_client_that_never_stops_sending_is_cut_off(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "DISCARD_BYTES", 1_000_000)
    with await RawSocket.open(url) as raw:
        await raw.send(head("/auth/refresh", "Transfer-Encoding: chunked"))
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        with pytest.raises(ConnectionError):
            for _ in range(200):
                await raw.send(piece)


async def test_each_server_has_its_own_cap() -> None:
    assert http.protocol_class(5).header_bytes == 5
    assert http.HttpProtocol.header_bytes == 32 * 1024
