"""Stopping: in good order, in time, and with the right exit code."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from beseda import server
from tests.beseda.inside import settings
from tests.support.faults import locked
from tests.support.fixtures import Connect, StartServer
from tests.support.raw import RawSocket, upgrade_bytes
from tests.support.rest import Person, Rest
from tests.support.server import ROOT, ServerProcess


async def begin_login(raw: RawSocket, body: bytes, length: int) -> None:
    """Have a request under way of whose body this is all that came; the server has begun with it."""
    head = (
        f"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}"
    )
    await raw.send(head.encode() + b"\r\nExpect: 100-continue\r\n\r\n" + body)
    assert (await raw.answer()).status == 100


@contextlib.asynccontextmanager
async def person(server: ServerProcess) -> AsyncIterator[Person]:
    async with Rest(server) as rest:
        yield await rest.register()


async def until_it_takes_no_more(server: ServerProcess) -> None:
    """Wait until the server has begun to stop."""
    async with asyncio.timeout(20):
        while True:
            try:
                (await RawSocket.open(server.base_url)).close()
            except ConnectionError:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_an_idle_server_soon_and_with_0(
    start_server: StartServer, number: signal.Signals
) -> None:
    process = start_server()
    # An idle connection is nobody to wait for.
    with await RawSocket.open(process.base_url) as idle:
        await idle.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await idle.answer()).status == 200
        process.signal(number)
        assert await asyncio.to_thread(process.wait) == 0
        assert "took too long" not in process.output()
    assert not (process.data_dir / "beseda.db-wal").exists(), "the write-ahead log was not folded in"


async def test_a_request_that_is_under_way_is_answered_before_the_end(start_server: StartServer) -> None:
    process = start_server()
    async with person(process) as ann:
        with await RawSocket.open(process.base_url) as raw:
            body = f'{{"email":"{ann.email}","password":"{ann.password}"}}'.encode()
            await begin_login(raw, body[:-1], len(body))
            process.signal(signal.SIGTERM)
            await until_it_takes_no_more(process)
            await raw.send(body[-1:])
            answer = await raw.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await asyncio.to_thread(process.wait) == 0


async def test_sockets_are_told_that_the_server_restarts(start_server: StartServer, connect: Connect) -> None:
    process = start_server()
    async with person(process) as ann:
        socket = await connect(ann)
        process.signal(signal.SIGTERM)
        assert await socket.closed() == 1012
        assert await asyncio.to_thread(process.wait) == 0


async def test_clients_that_hang_cannot_hold_the_server_up(start_server: StartServer) -> None:
    process = start_server()
    async with person(process) as ann:
        with contextlib.ExitStack() as stack:
            hung = [stack.enter_context(await RawSocket.open(process.base_url)) for _ in range(3)]
            # One that never sends the rest of its body, one that never answers its close, one half a handshake.
            await begin_login(hung[0], b"{", 30)
            answer = await hung[1].upgrade(f"/ws?token={ann.token}")
            assert answer.status == 101
            await hung[2].send(upgrade_bytes("/ws")[:40])
            process.signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait) == 0
    assert "1 requests took too long" in process.output()


async def test_a_request_that_hangs_does_not_keep_sockets_from_being_told(
    start_server: StartServer, connect: Connect
) -> None:
    process = start_server()
    async with person(process) as ann:
        socket = await connect(ann)
        with await RawSocket.open(process.base_url) as hung:
            await begin_login(hung, b"{", 30)
            process.signal(signal.SIGTERM)
            assert await socket.closed() == 1012
            assert "took too long" not in process.output()
            assert process.is_running, "it did not wait for the request"
        assert await asyncio.to_thread(process.wait) == 0


async def test_a_database_that_another_process_has_locked_holds_the_server_up_no_longer_than_10_s(
    start_server: StartServer, connect: Connect
) -> None:
    process = start_server()
    async with Rest(process) as rest:
        ann, bob = await rest.people("ann", "bob")
        dialog = await rest.dialog(ann, bob)
        socket = await connect(ann)
        told = await socket.say(dialog, "before")
        with locked(process):
            temp_id = await socket.send_message(dialog, "meanwhile")
            request = asyncio.create_task(
                rest.post(f"/chats/{dialog}/messages", {"text": "meanwhile"}, by=ann)
            )
            await asyncio.sleep(0.2)
            await socket.settle()  # However long that took: the server has read what lay there.
            process.signal(signal.SIGTERM)
            refused = await socket.next("error")
            assert (refused["code"], refused["temp_id"]) == ("unavailable", temp_id)
            assert await socket.closed() == 1012
            assert (await request).status_code == 503
            assert await asyncio.to_thread(process.wait) == 0
        process.start()
        assert [message["id"] for message in await rest.history(ann, dialog)] == [told["id"]]


async def test_a_second_signal_ends_the_server_at_once(start_server: StartServer) -> None:
    process = start_server()
    with await RawSocket.open(process.base_url) as hung:
        await begin_login(hung, b"{", 30)
        process.signal(signal.SIGTERM)
        await until_it_takes_no_more(process)
        assert process.is_running
        process.signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait) == 1
        assert "took too long" not in process.output()


def test_a_disk_that_fails_stops_the_server_with_a_line_and_a_code_of_its_own() -> None:
    code = "from beseda import log, server; log.set_up('info', 'text'); server._stop_at_once(OSError('bad sector'))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False, cwd=ROOT
    )
    assert done.returncode == 70
    assert (
        "CRITICAL beseda.server: The database's disk failed, and the server stops: bad sector" in done.stderr
    )


async def test_the_store_tells_the_server_of_a_disk_that_fails(tmp_path: Path) -> None:
    async with server.assemble(settings(tmp_path / "data")) as assembled:
        assert assembled.services.store.on_fatal is server._stop_at_once
