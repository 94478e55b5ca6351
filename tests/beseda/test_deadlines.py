"""Nobody is waited for without end, and whoever goes away is no error."""

import asyncio
import contextlib
import logging

import httpx
import pytest

from beseda import http
from beseda.server import Server
from hub import Connection
from tests.beseda.inside import GET, REFRESH, head
from tests.support.raw import RawSocket, upgrade_bytes

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOGIN = b'{"email":"a@b","password":"c"}'
"""The body of a request that takes a while: a password is checked."""


def troubles(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as a warning or worse, but for asyncio's complaints about a slow machine."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name != "asyncio" and record.levelno >= logging.WARNING
    ]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HEADER_SECONDS", 0.2)
    monkeypatch.setattr(http, "PACE_SECONDS", 0.2)


async def test_the_usual_times_are_the_protocols() -> None:
    assert (http.HEADER_SECONDS, http.PACE_SECONDS) == (10.0, 20.0)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost:", b"\r\n", GET[:-2]])
async def test_a_request_whose_headers_do_not_come_in_time_is_not_waited_for(url: str, sent: bytes) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(sent)
        await raw.ended()


@pytest.mark.usefixtures("hurried")
async def test_trickling_headers_buys_no_time(url: str) -> None:
    with await RawSocket.open(url) as raw:
        started = asyncio.get_running_loop().time()
        with contextlib.suppress(ConnectionError):
            for byte in b"GET /healthz HTTP/1.1\r\n" + b"x" * 1000:
                await raw.send(bytes([byte]))
                await asyncio.sleep(0.02)
        assert asyncio.get_running_loop().time() - started < 5
        await raw.broken()


@pytest.mark.usefixtures("hurried")
async def test_the_second_request_of_a_connection_has_the_same_deadline(url: str) -> None:
    with await RawSocket.open(url) as raw:
        await raw.send(GET)
        assert (await raw.answer()).status == 200
        await raw.send(GET[:10])
        await raw.ended()


@pytest.mark.usefixtures("hurried")
async def test_a_body_that_stops_coming_is_not_waited_for_and_is_no_error(
    running: tuple[str, Server], caplog: pytest.LogCaptureFixture
) -> None:
    url, server = running
    with await RawSocket.open(url) as raw:
        await raw.send(head("/auth/refresh", "Content-Length: 30") + b"{")
        await raw.ended()
    while server.server_state.tasks:
        await asyncio.sleep(0.01)
    assert not troubles(caplog)


@pytest.mark.usefixtures("hurried")
async def test_a_body_that_keeps_its_pace_may_take_its_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = asyncio.Event()
    check = http.HttpProtocol._check_pace

    def noted(self: http.HttpProtocol) -> None:
        check(self)
        checked.set()

    monkeypatch.setattr(http.HttpProtocol, "_check_pace", noted)
    with await RawSocket.open(url) as raw:
        pieces = [b" " * http.PACE_BYTES] * 3
        size = sum(map(len, pieces)) + len(REFRESH)
        await raw.send(head("/auth/refresh", f"Content-Length: {size}", "Expect: 100-continue"))
        assert (await raw.answer()).status == 100  # What comes with the head counts for no pace.
        for piece in pieces:
            await raw.send(piece)
            checked.clear()
            async with asyncio.timeout(20):
                await checked.wait()
        await raw.send(REFRESH)
        assert (await raw.answer()).status == 401


async def test_a_client_that_breaks_off_its_body_is_no_error(
    running: tuple[str, Server], caplog: pytest.LogCaptureFixture
) -> None:
    url, server = running
    with await RawSocket.open(url) as raw:
        await raw.send(head("/auth/refresh", "Content-Length: 30") + b"{")
        while not server.server_state.tasks:
            await asyncio.sleep(0.01)
    while server.server_state.tasks:
        await asyncio.sleep(0.01)
    assert not troubles(caplog)


async def test_a_client_that_goes_away_with_requests_queued_is_no_error(
    running: tuple[str, Server], caplog: pytest.LogCaptureFixture
) -> None:
    url, server = running
    with await RawSocket.open(url) as raw:
        await raw.send(head("/auth/login", f"Content-Length: {len(LOGIN)}") + LOGIN + GET + GET)
        while not server.server_state.tasks:
            await asyncio.sleep(0.01)
        raw.reset()
    while server.server_state.tasks:
        await asyncio.sleep(0.01)
    assert not troubles(caplog)


async def test_a_client_that_reads_nothing_of_its_answer_is_let_go(
    running: tuple[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, server = running
    monkeypatch.setattr(http, "STUCK_SECONDS", 0.2)
    path = await _large_file(url)
    with await RawSocket.open(url, receive_buffer=4096) as raw:
        await raw.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with asyncio.timeout(20):
            while not server.server_state.tasks:
                await asyncio.sleep(0.01)
            while server.server_state.tasks or server.server_state.connections:
                await asyncio.sleep(0.01)


async def test_the_time_for_reading_an_answer_ends_with_the_upgrade(
    running: tuple[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, server = running
    monkeypatch.setattr(http, "STUCK_SECONDS", 0.2)
    token = await _token(url, "bob")
    with await RawSocket.open(url) as raw:
        await raw.send(GET)
        assert (await raw.answer()).status == 200
        (connection,) = [one for one in server.server_state.connections if isinstance(one, http.HttpProtocol)]
        # As if the client had not read the whole of that answer yet.
        connection.pause_writing()
        await raw.send(upgrade_bytes(f"/ws?token={token}"))
        assert (await raw.answer()).status == 101
        await raw.text("hello")
        await raw.nothing(0.5)
        (socket,) = [one for one in server.server_state.connections if isinstance(one, Connection)]
        assert socket.is_paused, "the hub must know, or it would bound no backlog"
        socket.resume_writing()
        assert not socket.is_paused


async def _token(url: str, name: str) -> str:
    """An access token of a new account."""
    person = {"email": f"{name}@example.org", "password": "correct horse", "username": name}
    async with httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as client:
        await client.post("/auth/register", json=person)
        token: str = (await client.post("/auth/login", json=person)).json()["access_token"]
        return token


async def _large_file(url: str) -> str:
    """The signed path of 16 MiB, more than the system takes off our hands for a client that does not read."""
    token = await _token(url, "ann")
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20, trust_env=False) as client:
        wanted = {"filename": "large.bin", "content_type": "application/octet-stream"}
        place = (await client.post("/attachments/presign", json=wanted)).json()
        assert (await client.put(place["url"], content=b"x" * 16 * 1024 * 1024)).status_code == 200
        link = await client.get(f"/attachments/{place['id']}", headers={"Accept": "application/json"})
        path: str = link.json()["url"]
        return path
