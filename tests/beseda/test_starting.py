"""Starting: what is told, what is refused, and how all parts are put together."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import jwt
import pytest

from beseda import server as root
from beseda.http import HttpProtocol
from beseda.listening import CannotListen, bind
from beseda.server import assemble
from tests.beseda.inside import serving, settings
from tests.support.fixtures import StartServer
from tests.support.server import ROOT, ServerProcess

pytestmark = pytest.mark.genuine


def test_a_start_tells_where_it_listens_where_its_data_is_and_what_to_do_next(
    start_server: StartServer, tmp_path: Path
) -> None:
    process = start_server(data_dir=tmp_path / "new" / "data")
    lines = process.output().splitlines()
    assert lines[0] == f"Beseda listens on {process.base_url}"
    assert lines[1] == f"Its data is in {tmp_path}/new/data"
    assert f"  python -m beseda chat {process.base_url}\n" in process.output()
    body = {"email": "ann@example.org", "username": "ann", "password": "12345678"}
    assert httpx.post(f"{process.base_url}/auth/register", json=body, timeout=20).status_code == 201
    process.restart()
    assert process.output().splitlines()[3] == "Press Ctrl-C to stop it."


def test_a_folder_and_what_is_in_it_belong_to_its_owner_alone(fresh_server: ServerProcess) -> None:
    names = {path.name for path in fresh_server.data_dir.iterdir()}
    assert {"beseda.db", "lock", "signing.key"} <= names
    assert fresh_server.data_dir.stat().st_mode & 0o777 == 0o700


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "beseda",
            "serve",
            "--port",
            str(port),
            "--data",
            str(tmp_path / "data"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, cwd=ROOT)
    line = f"beseda: cannot listen on 127.0.0.1 port {port}: something else listens there\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)
    assert not (tmp_path / "data").exists(), "it made a folder for nothing"


async def test_a_port_that_was_taken_between_is_told_the_same_way(tmp_path: Path) -> None:
    first = bind("127.0.0.1", 0)
    # Two may be bound as long as neither listens.
    second = bind("127.0.0.1", first[0].getsockname()[1])
    first[0].listen()
    try:
        with pytest.raises(CannotListen, match="something else listens there"):
            async with assemble(settings(tmp_path)) as server:
                await server.serve(second)
    finally:
        first[0].close()
        second[0].close()


@pytest.mark.parametrize(
    ("name", "content", "mode", "reason"),
    [
        ("signing.key", b"k" * 32, 0o644, "the signing key is open to others"),
        ("signing.key", b"short", 0o600, "the signing key has 5 bytes"),
        ("beseda.db", b"this is no database, whatever its name says" * 100, 0o600, "beseda.db"),
        ("beseda.db", b"", 0o600, "the file is empty"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_in_one_line(
    start_server: StartServer, tmp_path: Path, name: str, content: bytes, mode: int, reason: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / name).write_bytes(content)
    (folder / name).chmod(mode)
    process = start_server(data_dir=folder, wait=False)
    assert process.wait() == 1
    assert process.output().startswith(f"beseda: {folder / name}: ")
    assert reason in process.output()
    assert process.output().count("\n") == 1


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="only Linux tells a process's limits")
def test_the_server_may_open_as_many_files_as_the_system_lets_it(fresh_server: ServerProcess) -> None:
    limits = Path(f"/proc/{fresh_server.pid}/limits").read_text("utf-8")
    line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
    soft, hard = line.split()[3:5]
    assert soft == hard


def test_without_uvloop_the_standard_loop_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert root._loop_factory().__module__ == "uvloop"
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert root._loop_factory() is asyncio.new_event_loop


async def test_every_setting_reaches_its_part(tmp_path: Path) -> None:
    config = settings(
        tmp_path / "data",
        SERVER__PUBLIC_URL="https://chat.example.org",
        SERVER__ORIGINS='["https://a.example"]',
        SERVER__TRUSTED_PROXIES='["10.0.0.0/8"]',
        AUTH__REGISTRATION="closed",
        AUTH__ACCESS_MINUTES="7",
        AUTH__REFRESH_DAYS="2",
        AUTH__HASH_CONCURRENCY="3",
        LIMITS__SOCKETS="11",
        LIMITS__SOCKETS_PER_USER="12",
        LIMITS__FRAME_BYTES="2048",
        LIMITS__BACKLOG_BYTES="70000",
        LIMITS__MESSAGE_CHARS="14",
        LIMITS__BODY_BYTES="2049",
        LIMITS__HEADER_BYTES="2050",
        LIMITS__GROUP_MEMBERS="15",
        LIMITS__LIVE_MEMBERS="16",
        PRESENCE__LINGER_SECONDS="17",
        RECEIPTS__INTERVAL_SECONDS="18",
        STORAGE__SYNCHRONOUS="normal",
        ATTACHMENTS__MAX_BYTES="19",
        ATTACHMENTS__URL_HOURS="5",
        ATTACHMENTS__UNSENT_FILES="20",
        ATTACHMENTS__UNSENT_BYTES="21",
        ATTACHMENTS__MIN_FREE_BYTES="22",
        ATTACHMENTS__UNSENT_HOURS="2",
    )
    async with serving(config) as (url, server):
        hub, store = server._hub, server._store
        assert hub.settings.public_url == "https://chat.example.org"
        assert hub.settings.origins == ("https://a.example",)
        assert hub.settings.trusted_proxies == ("10.0.0.0/8",)
        assert (hub.settings.sockets, hub.settings.sockets_per_user) == (11, 12)
        assert (hub.settings.frame_bytes, hub.settings.backlog_bytes) == (2048, 70000)
        assert (hub.settings.linger_seconds, hub.settings.receipt_seconds) == (17, 18)
        assert hub.settings.live_members == hub.rules.live_members == 16
        assert (hub.rules.registration, hub.rules.message_chars) == ("closed", 14)
        assert (hub.rules.group_members, hub.rules.refresh_seconds) == (15, 2 * 86400)
        assert hub.rules.links.download(1).startswith("https://chat.example.org/files/1?")
        assert store.settings.synchronous == "normal"
        assert await store.write(lambda tx: tx.value("PRAGMA synchronous")) == 1
        assert store.on_fatal is root._stop_at_once
        services = server.services
        assert services.body_bytes == 2049
        assert issubclass(server.config.http_protocol_class, HttpProtocol)
        assert server.config.http_protocol_class.header_bytes == 2050
        assert services.public_url == hub.settings.public_url
        assert services.origins == hub.settings.origins
        assert services.trusted_proxies == hub.settings.trusted_proxies
        limits = services.attachments
        assert (limits.max_bytes, limits.unsent_files, limits.unsent_bytes) == (19, 20, 21)
        assert (limits.min_free_bytes, limits.unsent_seconds) == (22, 2 * 3600)
        claims = jwt.decode(hub.rules.tokens.issue_access(1, 1), options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 7 * 60
        assert 5 * 3600 <= hub.rules.links.fresh(1).expires_in < 6 * 3600 + 1
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            answer = await client.post(
                "/auth/register", json={"email": "a@b", "username": "ann", "password": "12345678"}
            )
            assert answer.json()["code"] == "registration_closed"


def test_what_only_s3_needs_is_loaded_only_where_s3_is_configured(tmp_path: Path) -> None:
    script = """
import asyncio, os, sys
from pathlib import Path
from beseda.config import load
from beseda.server import assemble

async def main() -> None:
    async with assemble(load(None, os.environ, {"server.data_dir": Path(sys.argv[1])})):
        print("aiobotocore" in sys.modules, "botocore" in sys.modules)

asyncio.run(main())
"""
    s3 = {"BUCKET": "b", "ACCESS_KEY": "a", "SECRET_KEY": "s"}
    for number, configured in enumerate(({}, {f"BESEDA_ATTACHMENTS__S3__{k}": v for k, v in s3.items()})):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / str(number))],
            env={
                "PYTHONPATH": str(ROOT),
                "BESEDA_ATTACHMENTS__S3__ENDPOINT": "http://127.0.0.1:1",
                **configured,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout == ("True True\n" if configured else "False False\n"), done.stderr
