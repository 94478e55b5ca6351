"""A server that speaks TLS itself: everything works over it, and a new certificate disturbs nobody."""

import asyncio
import os
import pty
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from beseda import listening
from beseda.cli.health import health
from tests.beseda.inside import serving, settings
from tests.support.certificates import NAME, Authority, served
from tests.support.files import PNG, sent, uploaded
from tests.support.fixtures import Connect, StartServer
from tests.support.raw import upgrade_bytes
from tests.support.rest import Rest
from tests.support.server import ROOT, ServerProcess, variable


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("tls"))
    made.issue()
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[ServerProcess]:
    """It takes little room for what waits unsent, and tells at once who is gone."""
    limits = {"limits.backlog_bytes": 65_536, "presence.linger_seconds": 0.0}
    with ServerProcess(tmp_path_factory.mktemp("server"), {**authority.settings, **limits}) as process:
        process.trust = authority.trust()
        yield process.start()
        # Who is in the middle of shaking hands does not hold up the end.
        with socket.create_connection((NAME, port(process))):
            assert process.stop() == 0
        assert "WARNING" not in process.output()
        assert "ERROR" not in process.output()


def port(server: ServerProcess) -> int:
    return int(server.base_url.rpartition(":")[2])


async def until_served_another(server: ServerProcess, than: bytes) -> None:
    assert server.trust is not None
    async with asyncio.timeout(20):
        while await asyncio.to_thread(served, server.base_url, server.trust) == than:
            await asyncio.sleep(0.02)


async def test_requests_sockets_and_files_go_over_tls(
    server: ServerProcess, rest: Rest, connect: Connect
) -> None:
    ann, bob = await rest.people("ann", "bob")
    chat = await rest.dialog(ann, bob)
    socket = await connect(ann)
    await socket.say(chat, "before")
    await rest.send(bob, chat, "while she is away")
    back = await connect(ann, since=socket.hello["event_id"])
    missed = [(await back.next("new_message"))["message"]["text"] for _ in range(2)]
    assert missed == ["before", "while she is away"]
    data = PNG * 4000
    url = await sent(rest, bob, chat, await uploaded(rest, bob, data))
    part = await rest.request("GET", url, headers={"Range": "bytes=1000000-"})
    assert (part.status_code, part.content) == (206, data[1_000_000:])


async def test_the_first_line_and_the_urls_of_files_name_https(server: ServerProcess, rest: Rest) -> None:
    assert server.output().startswith(f"Beseda listens on https://{NAME}:")
    ann = await rest.register()
    body = {"filename": "a.png", "content_type": "image/png"}
    url = (await rest.post("/attachments/presign", body, ann)).json()["url"]
    assert url.startswith(f"{server.base_url}/files/")
    assert await asyncio.to_thread(health, server.base_url) == 0


async def test_a_new_certificate_is_served_on_sighup_and_open_sockets_stay(
    server: ServerProcess, rest: Rest, connect: Connect, authority: Authority
) -> None:
    assert server.trust is not None
    ann = await rest.register()
    chat = await rest.group(ann)
    socket = await connect(ann)
    old = await asyncio.to_thread(served, server.base_url, server.trust)
    authority.issue()
    server.signal(signal.SIGHUP)
    await until_served_another(server, old)
    assert (await socket.say(chat, "on the old connection"))["text"] == "on the old connection"
    await rest.history(ann, chat)


async def test_what_is_no_tls_is_hung_up_on_without_a_line_in_the_log(server: ServerProcess) -> None:
    before = server.output()
    for said in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x16"):
        reader, writer = await asyncio.open_connection(NAME, port(server))
        writer.write(said)
        writer.write_eof()
        async with asyncio.timeout(20):
            # At the most an alert, which is no HTTP.
            assert not (await reader.read()).startswith(b"HTTP")
        writer.close()
        await writer.wait_closed()
    # Whoever believes in another authority hangs up on the server.
    with pytest.raises(ssl.SSLError):
        await asyncio.to_thread(served, server.base_url, ssl.create_default_context())
    assert server.output() == before


async def test_a_slow_reader_over_tls_is_closed_with_4008(
    server: ServerProcess, rest: Rest, connect: Connect
) -> None:
    ann, bob = await rest.people("ann", "bob")
    chat = await rest.dialog(ann, bob)
    author = await connect(ann)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect((NAME, port(server)))
    reader, writer = await asyncio.open_connection(
        sock=narrow, ssl=server.trust, server_hostname=NAME, limit=4096
    )
    writer.write(upgrade_bytes(f"/ws?token={bob.token}"))
    assert b" 101 " in await reader.readline()

    def is_bob_gone() -> bool:
        return any(
            frame["type"] == "online_status" and frame["user_id"] == bob.id and not frame["online"]
            for frame in author.received
        )

    # The kernel takes some megabytes before anything waits in the server.
    async with asyncio.timeout(60):
        while not is_bob_gone():
            await asyncio.gather(*(author.say(chat, "ж" * 9000) for _ in range(20)))
    received = b""
    async with asyncio.timeout(20):
        while data := await reader.read(65_536):
            received = received[-200:] + data
    assert (4008).to_bytes(2, "big") + b"the client reads too slowly" in received
    writer.close()


async def test_a_handshake_that_is_not_finished_holds_nothing_for_ever(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "HANDSHAKE_SECONDS", 0.1)
    files = {variable(name).removeprefix("BESEDA_"): value for name, value in authority.settings.items()}
    async with serving(settings(tmp_path / "data", **files)) as (url, _):
        reader, writer = await asyncio.open_connection(NAME, int(url.rpartition(":")[2]))
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()


def test_sighup_changes_nothing_unless_it_is_the_terminal_that_was_closed(tmp_path: Path) -> None:
    mine, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "beseda", "serve", "--port", "0", "--data", str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=its,
    )
    with process:
        try:
            os.close(its)
            assert process.stdout is not None
            base_url = process.stdout.readline().decode().removeprefix("Beseda listens on ").strip()
            process.send_signal(signal.SIGHUP)
            assert httpx.get(f"{base_url}/readyz", timeout=20).status_code == 200
            os.close(mine)
            process.send_signal(signal.SIGHUP)
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert not (tmp_path / "beseda.db-wal").exists(), "the write-ahead log was not folded in"


def test_a_certificate_that_cannot_be_used_stops_the_start_and_nothing_was_made(
    start_server: StartServer, tmp_path: Path
) -> None:
    process = start_server({**Authority(tmp_path).settings}, data_dir=tmp_path / "data", wait=False)
    assert process.wait() == 1
    assert process.output() == f"beseda: {tmp_path}/chain.pem: No such file or directory\n"
    assert not (tmp_path / "data").exists()
