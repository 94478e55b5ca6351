"""kill -9 while a new version migrates an old version's database, wherever it is by then."""

import contextlib
import itertools
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

from actions.tokens import Tokens
from beseda.keys import derive, signing_key
from storage import database
from storage.store import wall_clock
from tests.support.faults import Faults
from tests.support.rest import Person, Rest
from tests.support.server import ROOT, ServerFailed, ServerProcess

pytestmark = pytest.mark.gate

FIRST_SCHEMA = ROOT / "tests" / "storage" / "first_schema.sql"
PEOPLE, MESSAGES = 200, 50


def build_old(folder: Path) -> None:
    """A data folder as the first release left it: many sessions, which is what has to move."""
    folder.mkdir(mode=0o700)
    now = wall_clock()
    with contextlib.closing(sqlite3.connect(folder / database.FILE_NAME)) as db:
        db.executescript(FIRST_SCHEMA.read_text("utf-8"))
        db.execute("INSERT INTO log VALUES ('0123456789abcdef', ?)", (MESSAGES + 1,))
        for number in range(1, PEOPLE + 1):
            name = f"person{number}"
            person = (number, name, name, f"{name}@x", f"{name}@x", "-", 0, now, None)
            db.execute("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", person)
            session = (number, number, f"jti{number}" * 8, now, now, now + 10**9, "127.0.0.1", "old" * 20)
            db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", session)
        group = (1, "group", "Old", None, now, 1, MESSAGES + 1, MESSAGES, MESSAGES + 1, 1)
        db.execute("INSERT INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", group)
        db.execute("INSERT INTO members VALUES (1, 1, 'owner', ?, 1, 0, 0)", (now,))
        for number in range(1, MESSAGES + 1):
            message = (number + 1, 1, number, 1, now, 0, None, f"message {number}")
            db.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", message)
        db.execute("PRAGMA user_version = 1")
        db.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
        db.commit()


def looked_at(folder: Path, aside: Path, messages: int = MESSAGES) -> int:
    """Its version. Looked at in a copy, since even that would mend what a crash has left; nothing may be missing."""
    shutil.copytree(folder, aside)
    with contextlib.closing(sqlite3.connect(aside / database.FILE_NAME)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        jtis = "SELECT jti FROM refresh_tokens" if version > 1 else "SELECT refresh_id FROM sessions"
        assert len(set(db.execute(jtis))) == PEOPLE
        assert db.execute("SELECT count(*) FROM messages").fetchone() == (messages,)
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
        assert ("invites" in tables) == (version > 1), "half a migration"
    return version


async def test_however_often_a_migration_is_killed_the_next_start_is_whole(
    tmp_path: Path, faults: Faults
) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    build_old(folder / "data")
    tokens = Tokens(derive(signing_key(folder / "data"), "tokens"), 3600, 3600, wall_clock)
    with ServerProcess(folder, environment=faults.environment) as server:
        # In the midst of it, and then ever closer to its end, which is where it writes what it has done.
        versions = []
        for place in itertools.chain((20,), itertools.count(46, 5)):
            if is_started(server, faults, place):
                break
            versions.append(looked_at(server.data_dir, tmp_path / f"copy{place}"))
        assert len(versions) > 1
        assert versions[0] == 1, "there was nothing left to migrate"
        assert versions == sorted(versions)
        person = Person(server, 1, "person1", "person1@x", "", tokens.issue_access(1, 1), "")
        async with Rest(server) as rest:
            history = await rest.whole_history(person, 1)
            assert [message["text"] for message in history] == [
                f"message {number}" for number in range(1, MESSAGES + 1)
            ]
            assert (await rest.send(person, 1, "and on it goes"))["seq"] == MESSAGES + 1
    assert looked_at(server.data_dir, tmp_path / "last", MESSAGES + 1) == len(database.migrations())


def is_started(server: ServerProcess, faults: Faults, place: int) -> bool:
    """Start the server, to be killed at this write of its; whether it came to that."""
    faults.kill_at_write(place)
    try:
        server.start()
    except ServerFailed:
        assert server.wait() == -signal.SIGKILL
        return False
    faults.kill_at_write(0)
    return True
