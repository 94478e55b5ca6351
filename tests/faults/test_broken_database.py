"""A database that is not to be trusted: the server refuses to start, names the file, and touches nothing."""

import contextlib
import hashlib
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import MakeScene
from tests.support.fixtures import Connect, StartServer
from tests.support.rest import Rest

PAGE = 4096


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: -3 * PAGE])


def corrupt(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: 5 * PAGE] + b"\xa5" * PAGE + data[6 * PAGE :])


def replace_by_another(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE bookmarks (url)")


def digests(folder: Path) -> dict[str, str]:
    """Every file in it."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "the (file is cut short|database cannot be read)"),
        (corrupt, "the database is damaged"),
        (replace_by_another, "this is no database of Beseda's"),
    ],
)
def test_a_broken_database_is_refused_by_name_and_left_as_it_is(
    make_scene: MakeScene, damage: Callable[[Path], None], reason: str
) -> None:
    server = make_scene(3, [[0, 1], [0, 1, 2]]).server
    path = server.data_dir / "beseda.db"
    damage(path)
    before = digests(server.data_dir)
    server.launch()
    assert server.wait() == 1
    [line] = server.output().splitlines()
    assert re.match(f"beseda: {re.escape(str(path))}: {reason}", line), line
    assert digests(server.data_dir) == before


async def test_a_second_server_on_the_same_folder_refuses_and_names_it(
    make_scene: MakeScene, start_server: StartServer, connect: Connect
) -> None:
    scene = make_scene(2, [[0, 1]])
    first, [ann, bob], [chat] = scene.server.start(), scene.people, scene.chats
    second = start_server(data_dir=first.data_dir, wait=False)
    assert second.wait() == 1
    [line] = second.output().splitlines()
    assert line.startswith("beseda: ")
    assert str(first.data_dir) in line
    # The first one has noticed nothing, and its end frees the folder.
    async with Rest(first) as rest:
        message = await (await connect(ann)).say(chat, "still here")
        first.kill()
        first.start()
        assert [found["id"] for found in await rest.history(bob, chat)] == [message["id"]]
