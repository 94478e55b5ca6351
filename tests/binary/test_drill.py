"""What an admin does with the one file, from the first command to the worst day."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from tests.support.files import PNG, sent, uploaded
from tests.support.one_file import FILE, NO_PYTHON, SECONDS, OneFileServer
from tests.support.rest import PASSWORD, Json, Person, Rest

HERE = {"server.public_url": ""}
"""No proxy stands before it."""

pytestmark = pytest.mark.gate


def command(*arguments: str | Path) -> Json:
    """What a command prints as JSON; it must succeed. Who is asked for a password says it."""
    done = subprocess.run(
        [FILE, *arguments, "--json"],
        env=NO_PYTHON,
        input=PASSWORD + "\n",
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed: Json = json.loads(done.stdout)
    return printed


async def test_set_up_talked_on_backed_up_under_load_and_restored_elsewhere_all_is_there(
    tmp_path: Path,
) -> None:
    data, config, archive = tmp_path / "data", tmp_path / "beseda.toml", tmp_path / "beseda.tar"
    server_of = ("--config", config, "--data", data)
    command(
        "init", *server_of, "--url", "https://chat.example.org", "--registration", "closed",
        "--email", "ann@example.org", "--username", "ann", "--password-stdin",
    )  # fmt: skip
    with OneFileServer(tmp_path / "one", HERE, data_dir=data, config=config) as server:
        await asyncio.to_thread(server.start)
        added = await asyncio.to_thread(
            command, "user", "add", "bob", "bob@example.org", "--password-stdin", *server_of
        )
        async with Rest(server) as rest:
            ann = await rest.login(Person(server, 1, "ann", "ann@example.org", PASSWORD, "", ""))
            bob = await rest.login(Person(server, added["id"], "bob", "bob@example.org", PASSWORD, "", ""))
            dialog = await rest.dialog(ann, bob)
            await sent(rest, ann, dialog, await uploaded(rest, ann))
            before = await rest.whole_history(bob, dialog)
            made = asyncio.create_task(asyncio.to_thread(command, "backup", archive, *server_of))
            while not made.done():
                await rest.send(bob, dialog, "Written meanwhile")
            in_it = (await made)["counts"]["messages"]
            history = await rest.whole_history(bob, dialog)
    assert command("verify", archive)["counts"]["messages"] == in_it >= len(before)
    elsewhere = tmp_path / "elsewhere"
    command("restore", archive, "--data", elsewhere)
    with OneFileServer(tmp_path / "other", HERE, data_dir=elsewhere, config=config) as server:
        await asyncio.to_thread(server.start)
        async with Rest(server) as rest:
            bob = await rest.login(Person(server, bob.id, "bob", "bob@example.org", PASSWORD, "", ""))
            found = await rest.whole_history(bob, dialog)
            assert [as_written(message) for message in found] == [
                as_written(message) for message in history if message["seq"] <= in_it
            ]
            (picture,) = [file for message in found for file in message["attachments"]]
            assert (await rest.get(picture["url"])).content == PNG


def as_written(message: Json) -> Json:
    """A message without the URLs, which are signed anew."""
    files = [{**file, "url": None} for file in message["attachments"]]
    return {**message, "attachments": files}
