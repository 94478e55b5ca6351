"""What the README and `docs/operations.md` tell their readers to type, typed into a shell, at a real server."""

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from storage import database
from tests.storage.test_migrations import NAME, build_first
from tests.support.files import uploaded
from tests.support.fixtures import Connect, StartServer
from tests.support.rest import Person, Rest, succeeded
from tests.support.server import ServerProcess
from tests.support.shell import Shell, blocks, end, until
from tests.support.socket import open_socket
from tests.support.terminal import Terminal

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
ADDRESS = "127.0.0.1:8000"

pytestmark = pytest.mark.genuine


TOOLS = pytest.mark.parametrize("stand_ins", [False, True], ids=["the machine's tools", "stand-ins"])
"""Each runs twice: a machine without curl must not be the first to find that what stands in for it is wrong."""


def typed(text: str, server: ServerProcess) -> str:
    """What a reader types, at this server."""
    return text.replace(ADDRESS, server.base_url.removeprefix("http://"))


def test_the_readme_starts_the_server_in_two_commands() -> None:
    first = blocks(README)[0].splitlines()
    assert len(first) == 2
    assert first[0].startswith("git clone ")
    assert first[1] == "make run"
    assert re.search(r"^run:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert f"http://{ADDRESS}" in README


async def test_the_chat_of_the_readme_asks_a_stranger_who_they_are(
    fresh_server: ServerProcess, tmp_path: Path
) -> None:
    [line] = blocks(README)[1].splitlines()
    program, *arguments = shlex.split(typed(line, fresh_server))
    assert program == ".venv/bin/beseda"
    async with Terminal(*arguments, state=tmp_path) as terminal:
        await terminal.until("register a new account (r)?")


@TOOLS
async def test_the_first_conversation_of_the_readme_takes_place(
    fresh_server: ServerProcess, tmp_path: Path, stand_ins: bool
) -> None:
    _, _, register, log_in, talk, print_lines, post = blocks(README)
    async with Shell(ROOT, tmp_path / "tools", stand_ins=stand_ins) as reader:
        people = [json.loads(line) for line in (await reader.run(typed(register, fresh_server))).splitlines()]
        assert [(person["id"], person["username"]) for person in people] == [(1, "ann"), (2, "bob")]
        assert await reader.run(log_in) == ""
        sent, _, history = (await reader.run(talk)).partition("\n")
        assert [message["text"] for message in json.loads(history)] == ["Tea at five?"]
        assert json.loads(sent)["id"] == json.loads(history)[0]["id"]

        client, frame = (await reader.run(typed(print_lines, fresh_server))).splitlines()
        socket = await open_client(client)
        try:
            await until(socket, '"hello"')
            assert '"user_id":2' in await until(socket, "}")
            assert socket.stdin is not None
            socket.stdin.write(frame.encode() + b"\n")
            await until(socket, '"message_sent"')
            assert '"temp_id":"b-1"' in await until(socket, "}}")
            posted = json.loads(await reader.run(post))
            await until(socket, '"new_message"')
            assert posted["text"] in await until(socket, "}}")
        finally:
            await end(socket)


async def test_the_bot_of_the_readme_answers(fresh_server: ServerProcess, tmp_path: Path) -> None:
    register = blocks(README)[2]
    bot = tmp_path / "bot.py"
    [script] = blocks(README, "python")
    assert len([line for line in script.splitlines() if line]) == 10
    bot.write_text(typed(script, fresh_server), "utf-8")
    async with Shell(ROOT, tmp_path / "tools", stand_ins=True) as reader, Rest(fresh_server) as rest:
        await reader.run(typed(register, fresh_server))
        login = {"email": "ann@example.org", "password": "correct horse"}
        tokens = succeeded(await rest.post("/auth/login", login))
        ann = Person(fresh_server, 1, "ann", **login, token=tokens["access_token"], refresh_token="")
        bob = dataclasses.replace(ann, id=2)
        dialog = await rest.dialog(ann, bob)
        running = await asyncio.create_subprocess_exec(
            sys.executable, str(bot), cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        try:
            async with await open_socket(ann) as socket:
                await socket.next("online_status", where=lambda frame: frame["user_id"] == 2)
                await rest.send(ann, dialog, "live on time")
                file = await uploaded(rest, ann)
                await rest.send(ann, dialog, "", attachments=[file])
                answers = [await socket.next("new_message", where=_is_from_bob) for _ in range(2)]
                assert [frame["message"]["text"] for frame in answers] == ["emit no evil", "?"]
            fresh_server.port = int(fresh_server.base_url.rpartition(":")[2])
            await asyncio.to_thread(fresh_server.kill)
            await asyncio.to_thread(fresh_server.start)
            async with await open_socket(ann) as socket:
                await rest.send(ann, dialog, "reward")
                answer = await socket.next("new_message", where=_is_from_bob)
                assert answer["message"]["text"] == "drawer"
        finally:
            running.kill()
            await running.wait()


def _is_from_bob(frame: dict[str, Any]) -> bool:
    return bool(frame["message"]["sender_id"] == 2)


async def open_client(command: str) -> asyncio.subprocess.Process:
    """The WebSocket client of the README's line, run by this Python."""
    program, *arguments = shlex.split(command)
    assert program == ".venv/bin/python"
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_a_backup_of_a_server_under_load_brings_everything_back(
    start_server: StartServer, connect: Connect, tmp_path: Path
) -> None:
    back_up, _ = blocks(OPERATIONS)
    server = start_server(data_dir=tmp_path / "data")
    async with (
        Rest(server) as rest,
        Shell(tmp_path, tmp_path / "tools", stand_ins=False) as operator,
    ):
        ann, bob = await rest.people("ann", "bob")
        dialog = await rest.dialog(ann, bob)
        sent = await rest.send(ann, dialog, "before", attachments=[await uploaded(rest, ann, b"the file")])
        old = (await connect(ann)).hello["log"]
        backed_up = asyncio.create_task(operator.run(back_up))
        acknowledged = [sent["id"]]
        while not backed_up.done():
            file = await uploaded(rest, bob, b"another")
            acknowledged.append((await rest.send(bob, dialog, "meanwhile", attachments=[file]))["id"])
        await backed_up
        await asyncio.to_thread(server.stop)
    assert len(acknowledged) > 1

    restored = start_server(data_dir=tmp_path / "restored")
    async with Rest(restored) as rest:
        messages = await rest.whole_history(ann, dialog)
        assert [message["id"] for message in messages] == acknowledged[: len(messages)]
        for message, data in zip(messages, [b"the file", *[b"another"] * len(messages)], strict=False):
            assert (await rest.get(message["attachments"][0]["url"])).content == data
        hello = (await connect(dataclasses.replace(ann, server=restored))).hello
        assert hello["log"] != old
        assert (await rest.send(ann, dialog, "and on it goes"))["seq"] == len(messages) + 1


@TOOLS
async def test_the_way_back_from_an_upgrade_leads_to_the_database_before_it(
    tmp_path: Path, stand_ins: bool
) -> None:
    _, go_back = blocks(OPERATIONS)
    (tmp_path / "data").mkdir()
    path = build_first(tmp_path / "data")
    database.connect(path, "full").close()
    async with Shell(tmp_path, tmp_path / "tools", stand_ins=stand_ins) as operator:
        await operator.run(go_back)
    assert database.schema_of(path) == 1
    with contextlib.closing(database.connect_reader(path)) as db:
        assert db.execute("SELECT last_event_id FROM log WHERE name <> ?", (NAME,)).fetchall() == [(9,)]


def test_every_refusal_that_operations_explains_is_one_that_the_code_knows() -> None:
    files = [path for room in ("beseda", "storage") for path in (ROOT / room).rglob("*.py")]
    sources = "".join(path.read_text("utf-8") for path in files)
    rows = OPERATIONS.partition("## When it refuses to start")[2].partition("\n## ")[0].splitlines()
    first_cells = "".join(row.split("|")[1] for row in rows if row.startswith("| `"))
    explained = re.findall("`([^`]*)`", first_cells)
    assert len(explained) > 10
    for words in explained:
        assert words in sources, words
