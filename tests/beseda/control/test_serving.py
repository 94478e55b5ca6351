"""The control socket: who may connect, what it answers, and what harms it (nothing)."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from beseda.control import commands, serving
from beseda.control.folder import LONGEST, SOCKET, socket_path
from beseda.server import Server, assemble
from tests.beseda.inside import settings

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def folder(running: tuple[str, Server]) -> Path:
    """The data folder of the module's server."""
    return running[1].services.store.settings.data_dir


async def say(folder: Path, line: bytes) -> bytes:
    """All that is answered to these bytes."""
    with socket_path(folder) as path:
        reader, writer = await asyncio.open_unix_connection(path)
    try:
        async with asyncio.timeout(20):
            writer.write(line)
            # Who is refused for too long a line may be hung up on before all of it is said.
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            return await reader.read()
    finally:
        writer.close()


async def ask(folder: Path, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a request."""
    line = json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"
    answer: dict[str, Any] = json.loads(await say(folder, line))
    return answer


async def test_the_socket_is_its_owners_alone_from_its_first_moment_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    listen = socket.socket.listen

    def note_the_mode(listener: socket.socket, *backlog: int) -> None:
        modes.append(stat.S_IMODE((tmp_path / SOCKET).stat().st_mode))
        listen(listener, *backlog)

    monkeypatch.setattr(socket.socket, "listen", note_the_mode)
    before = os.umask(0)
    try:
        serving._bind(tmp_path).close()
        assert os.umask(0) == 0, "the umask was not put back"
    finally:
        os.umask(before)
    assert modes == [0o600]


async def test_a_dead_servers_socket_is_replaced_and_ours_is_gone_in_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    serving._bind(folder).close()
    assert (folder / SOCKET).is_socket(), "there is nothing to be replaced"
    async with assemble(settings(folder)):
        assert "result" in await ask(folder, serving.LIVE, {})
    assert not (folder / SOCKET).exists()


async def test_the_folders_path_may_be_longer_than_a_sockets(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    assert len(str(folder)) > LONGEST
    async with assemble(settings(folder)):
        assert "result" in await ask(folder, serving.LIVE, {})
    assert not (folder / SOCKET).exists()


async def test_a_server_that_can_have_no_socket_says_so_and_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / SOCKET).mkdir()
    async with assemble(settings(tmp_path)) as server:
        assert await server.services.store.read(lambda snapshot: snapshot.value("SELECT 1")) == 1
    (record,) = [record for record in caplog.records if record.name == "beseda.control.serving"]
    assert str(tmp_path / SOCKET) in record.getMessage()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"\n", "malformed"),
        (b"hello\n", "malformed"),
        (b"\xff\xfe\n", "malformed"),
        (b'{"command": "\\ud800", "arguments": {}}\n', "malformed"),
        (b"[" * 5000 + b"\n", "malformed"),
        (b"[]\n", "invalid"),
        (b"{}\n", "invalid"),
        (b'{"command": 1, "arguments": {}}\n', "invalid"),
        (b'{"command": "user.enable"}\n', "invalid"),
        (b'{"command": "user.enable", "arguments": []}\n', "invalid"),
        (b'{"command": "user.enable", "arguments": {}}\n', "invalid"),
        (b'{"command": "user.enable", "arguments": {"user": 1}}\n', "invalid"),
        (b'{"command": "session.end", "arguments": {"id": true}}\n', "invalid"),
        (b'{"command": "session.end", "arguments": {"id": 9007199254740992}}\n', "invalid"),
        (b'{"command": "user.enable", "arguments": {"user": "nobody"}}\n', "not_found"),
        (b'{"command": "user.enable", "arguments": {"user": "a\\u0000b"}}\n', "not_found"),
        (b'{"command": "nothing", "arguments": {}}\n', "unknown_type"),
        (b"x" * serving.REQUEST_BYTES * 3, "too_large"),
    ],
)
async def test_a_bad_request_is_answered_and_harms_nothing(folder: Path, line: bytes, code: str) -> None:
    answer = json.loads(await say(folder, line))
    assert answer["error"]["code"] == code
    assert answer["error"]["detail"]
    assert "result" in await ask(folder, serving.LIVE, {})


async def test_a_password_must_have_been_hashed(folder: Path) -> None:
    person = {"username": "eve", "email": "eve@example.org", "password": "12345678", "is_admin": False}
    answer = await ask(folder, "user.add", person)
    assert answer["error"]["code"] == "invalid"
    assert "12345678" not in str(answer)


async def test_who_hangs_up_or_says_nothing_is_let_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as hasty:
        hasty.connect(str(folder / SOCKET))
        hasty.sendall(b'{"comm')
    with monkeypatch.context() as patch:
        patch.setattr(serving, "REQUEST_SECONDS", 0.01)
        assert await say(folder, b'{"comm') == b""
    assert "result" in await ask(folder, serving.LIVE, {})


async def test_a_bug_is_logged_and_not_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> commands.Done:
        raise ZeroDivisionError("canary")

    operation = commands.Operation(commands.OfUser, fail, "nothing")
    monkeypatch.setitem(commands.OPERATIONS, "user.enable", operation)
    answer = await ask(folder, "user.enable", {"user": "ann"})
    assert answer["error"]["code"] == "internal"
    assert "canary" not in str(answer)
    assert "ZeroDivisionError" in caplog.text


async def test_two_at_once_are_both_answered_and_told_in_the_audit_trail(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "audit")
    people = [
        {"username": name, "email": f"{name}@example.org", "password": "$argon2id$", "is_admin": False}
        for name in ("one", "two", "one")
    ]
    answers = await asyncio.gather(*(ask(folder, "user.add", person) for person in people))
    assert sorted("result" in answer for answer in answers) == [False, True, True]
    (refused,) = (answer["error"] for answer in answers if "error" in answer)
    assert refused["code"] in ("email_taken", "username_taken")
    lines = [record for record in caplog.records if record.name == "audit"]
    assert [(line.getMessage(), line.fields["by"]) for line in lines] == [("user_added", "control")] * 2  # type: ignore[attr-defined]


async def test_what_was_asked_before_the_end_is_answered_and_who_only_connected_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def slowly(*arguments: object) -> dict[str, Any]:
        begun.set()
        await may_go_on.wait()
        return {"done": True}

    monkeypatch.setattr(serving, "perform", slowly)
    async with assemble(settings(tmp_path)) as server:
        # Whoever connects first is let in first: once the other is at work, so is this one.
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
        asked = asyncio.create_task(ask(tmp_path, "user.enable", {"user": "ann"}))
        await begun.wait()
        closing = asyncio.create_task(server._control.close())
        async with asyncio.timeout(20):
            assert await reader.read() == b"", "who said nothing was not let go"
        writer.close()
        assert not (tmp_path / SOCKET).exists()
        assert not closing.done()
        may_go_on.set()
        assert await asked == {"result": {"done": True}}
        await closing
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
