"""Upgrades: what reaches the socket's class, and what does not."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from beseda import http
from beseda.server import Server
from tests.beseda.inside import GET, REFRESH, head
from tests.support.raw import RawSocket, upgrade_bytes

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_request_for_another_protocol_is_served_as_if_it_had_not_asked(url: str) -> None:
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    request = head("/auth/refresh", *upgrade, f"Content-Length: {len(REFRESH)}") + REFRESH
    for pieces in ([request + GET], [request[:100], request[100:-5], request[-5:] + GET]):
        with await RawSocket.open(url) as raw:
            for piece in pieces:
                await raw.send(piece)
                await asyncio.sleep(0.01)
            answer = await raw.answer()
            assert (answer.status, answer.problem["code"]) == (401, "unauthorized")
            assert (await raw.answer()).status == 200


async def test_an_upgrade_behind_an_unanswered_request_is_not_made(url: str) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(GET + upgrade_bytes("/ws"))
        answer = await raw.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await raw.ended()


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/2.0"])
async def test_an_upgrade_within_another_version_of_http_is_ignored(url: str, version: bytes) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(upgrade_bytes("/ws").replace(b"HTTP/1.1", version))
        answer = await raw.answer()
        assert (answer.status, answer.problem["code"]) == (426, "upgrade_required")
        if version == b"HTTP/1.0":
            await raw.ended()


@pytest.mark.parametrize("path", ["/", "/chats", "/ws/", "/wss", "/nothing"])
async def test_an_upgrade_of_any_other_path_is_404(url: str, path: str) -> None:
    with await RawSocket.open(url) as raw:
        answer = await raw.upgrade(path)
        assert (answer.status, answer.problem["code"]) == (404, "not_found")
        await raw.ended()


class Heard(asyncio.Protocol):
    """Stands in for the hub's connection: keeps what it hears."""

    made: "list[Heard]" = []  # noqa: RUF012 - emptied by the fixture

    def __init__(self, config: Any, server_state: Any, app_state: Any) -> None:
        self.pieces: list[bytes] = []
        self.app_state = app_state
        Heard.made.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)


@pytest_asyncio.fixture(loop_scope="module")
async def upgraded(
    running: tuple[str, Server], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[str, Server]]:
    url, server = running
    Heard.made = []
    monkeypatch.setattr(server.config, "ws_protocol_class", Heard)
    yield url, server
    for heard in Heard.made:
        heard.transport.close()
    Heard.made = []


async def heard() -> Heard:
    async with asyncio.timeout(20):
        while not Heard.made or not Heard.made[0].pieces:
            await asyncio.sleep(0.01)
    return Heard.made[0]


async def test_the_socket_s_class_gets_the_request_as_it_was(upgraded: tuple[str, Server]) -> None:
    url, server = upgraded
    with await RawSocket.open(url) as raw:
        await raw.send(upgrade_bytes("/ws?token=abc%20d", {"X-A": "1", "Origin": "http://x"}))
        socket = await heard()
        assert socket.app_state["hub"] is server._hub
        lines = socket.pieces[0].split(b"\r\n")
        assert lines[0] == b"GET /ws?token=abc%20d HTTP/1.1"
        assert b"x-a: 1" in lines
        assert lines[-2:] == [b"", b""]


async def test_frames_in_the_same_segment_as_the_upgrade_reach_the_socket(
    upgraded: tuple[str, Server],
) -> None:
    url, _ = upgraded
    with await RawSocket.open(url) as raw:
        await raw.send(upgrade_bytes("/ws") + b"\x81\x85frames")
        socket = await heard()
        assert socket.pieces[0].endswith(b"\r\n\r\n")
        assert socket.pieces[1:] == [b"\x81\x85frames"]


async def test_nothing_of_the_http_protocol_outlives_the_upgrade(
    upgraded: tuple[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, server = upgraded
    protocols: list[weakref.ref[http.HttpProtocol]] = []
    make = server.config.http_protocol_class

    def remember(**arguments: Any) -> Any:
        made = make(**arguments)
        protocols.append(weakref.ref(made))  # type: ignore[arg-type]
        return made

    monkeypatch.setattr(server.config, "http_protocol_class", remember)
    gc.collect()
    gc.disable()
    try:
        with await RawSocket.open(url) as raw:
            await raw.send(upgrade_bytes("/ws"))
            await heard()
            await asyncio.sleep(0.01)
            assert len(protocols) == 1
            assert protocols[0]() is None, "a reference cycle keeps it alive"
    finally:
        gc.enable()
