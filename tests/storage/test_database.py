"""The start: what is made, what is refused, and that nothing is touched then."""

import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from storage import Snapshot, Transaction, Unusable, database, sessions
from storage.transaction import Unit
from tests.support.store import House, keep, kept, open_house

ROOT = Path(database.__file__).parents[1]
WAIT = 20

SERVE = """
import asyncio, sys
from pathlib import Path
from storage import Settings, Unusable, open_store

async def main():
    async with open_store(Settings(Path(sys.argv[1]), "full")):
        print("open", flush=True)
        sys.stdin.readline()

try:
    asyncio.run(main())
except Unusable as error:
    print(error, flush=True)
"""

DIE = """
import os, signal, sqlite3, sys
from pathlib import Path
from storage import database

scripts = database.migrations()
database.migrations = lambda: [scripts[0] + "SELECT die();"]
plain = database.connect_alone

def connect(path):
    db = plain(path)
    db.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    # So that half of it is on the disk already.
    db.execute("PRAGMA cache_size = 1")
    return db

database.connect_alone = connect
database.connect(Path(sys.argv[1]) / database.FILE_NAME, "full")
"""


def run(script: str, folder: Path) -> subprocess.Popen[str]:
    """Another process of ours."""
    command = [sys.executable, "-c", script, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file under the folder, with its mode and bytes; the lock aside."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


async def refused(folder: Path) -> str:
    """Why a store on this folder can't be opened. Nothing in it may change by trying."""
    before = contents(folder)
    assert before
    with pytest.raises(Unusable) as caught:
        async with open_house(folder):
            pass
    assert contents(folder) == before
    reason = str(caught.value)
    assert "\n" not in reason
    assert str(folder / database.FILE_NAME) in reason
    return reason


async def make(folder: Path, *units: Unit) -> Path:
    """A database in good order; its file."""
    async with open_house(folder) as house:
        await house.write(keep(1))
        for unit in units:
            await house.write(unit)
    return folder / database.FILE_NAME


def keep_much(tx: Transaction) -> None:
    """Enough rows for some dozens of pages."""
    for number in range(1000, 6000):
        keep(number)(tx)


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


# What is made


async def test_everything_missing_is_made_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "yet"
    before = os.umask(0)
    try:
        async with open_house(folder) as house:
            await house.write(keep(1))
            files = {path.name: mode(path) for path in folder.iterdir()}
    finally:
        os.umask(before)
    assert mode(folder) == 0o700
    assert files == dict.fromkeys(["beseda.db", "beseda.db-wal", "beseda.db-shm", "lock"], 0o600)


async def test_a_new_database_is_ours_of_this_version_and_has_a_name(house: House) -> None:
    async def ask(sql: str) -> object:
        return await house.read(lambda snapshot: snapshot.value(sql))

    assert await ask("PRAGMA application_id") == 0x62736461
    assert await ask("PRAGMA user_version") == len(database.migrations()) >= 1
    assert await ask("SELECT last_event_id FROM log") == 0
    name = await ask("SELECT name FROM log")
    assert isinstance(name, str)
    assert len(name) == 16


async def test_the_logs_name_stays_with_its_database_and_no_other_has_it(tmp_path: Path) -> None:
    def name(snapshot: Snapshot) -> str:
        found: str = snapshot.value("SELECT name FROM log")
        return found

    names = []
    for folder in ("one", "one", "another"):
        async with open_house(tmp_path / folder) as house:
            names.append(await house.read(name))
    assert names[0] == names[1] != names[2]


async def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    await make(tmp_path)
    async with open_house(tmp_path) as house:
        assert await house.read(kept) == [1]


def test_a_start_that_is_killed_while_it_makes_the_database_bricks_nothing(tmp_path: Path) -> None:
    process = run(DIE, tmp_path)
    process.communicate(timeout=WAIT)
    assert process.returncode == -signal.SIGKILL
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["beseda.db.new", "beseda.db.new-journal"]
    db = database.connect(tmp_path / database.FILE_NAME, "full")
    db.execute("INSERT INTO departures VALUES (1, 0, 0)")
    assert kept(db) == [1]
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    assert (tmp_path / database.FILE_NAME).stat().st_size > 0


@pytest.mark.parametrize("left", [b"", b"half a database", b"SQLite format 3\0" + b"\0" * 5000])
async def test_what_a_broken_off_start_has_left_is_no_obstacle(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "beseda.db.new").write_bytes(left)
    await make(tmp_path)
    assert not (tmp_path / "beseda.db.new").exists()


# What is refused


async def test_an_empty_file_is_no_database(tmp_path: Path) -> None:
    (tmp_path / database.FILE_NAME).touch()
    assert "the file is empty" in await refused(tmp_path)


@pytest.mark.parametrize(
    "data",
    [b"\0" * 8192, b"hello\n", b"SQLite format 3\0", b"SQLite format 3\0" + b"x" * 8000, os.urandom(20_000)],
)
async def test_a_file_that_is_no_database_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / database.FILE_NAME).write_bytes(data)
    await refused(tmp_path)


@pytest.mark.parametrize("journal", ["delete", "wal"])
async def test_somebody_elses_database_is_refused(tmp_path: Path, journal: str) -> None:
    db = sqlite3.connect(tmp_path / database.FILE_NAME)
    db.execute(f"PRAGMA journal_mode = {journal}")
    db.execute("CREATE TABLE bookmarks (url)")
    db.execute("PRAGMA user_version = 1")
    db.close()
    assert "no database of Beseda's" in await refused(tmp_path)


async def test_a_database_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = await make(tmp_path)
    later = len(database.migrations()) + 1
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {later}")
    db.close()
    reason = await refused(tmp_path)
    assert f"later version of Beseda (schema {later}, and this one knows {later - 1})" in reason
    assert "install that version" in reason


@pytest.mark.parametrize("bytes_left", [1, 50, 100, 2048, 4096, 40_000, -4096, -1000, -1])
async def test_a_truncated_database_is_refused(tmp_path: Path, bytes_left: int) -> None:
    path = await make(tmp_path, keep_much)
    whole = path.read_bytes()
    assert len(whole) > 50_000
    path.write_bytes(whole[:bytes_left])
    await refused(tmp_path)


async def test_a_damaged_page_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    path = await make(tmp_path, keep_much)
    whole = path.read_bytes()
    pages = len(whole) // 4096
    noticed = 0
    for page in range(1, pages):
        path.write_bytes(whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :])
        with pytest.raises(Unusable, match=re.escape(str(path))):
            async with open_house(tmp_path):
                pass
        noticed += 1
    assert noticed > 30


async def test_a_database_whose_log_lost_its_name_is_refused(tmp_path: Path) -> None:
    path = await make(tmp_path)
    db = sqlite3.connect(path)
    db.execute("DELETE FROM log")
    db.commit()
    db.close()
    assert "log has no name" in await refused(tmp_path)


async def test_above_the_limit_of_the_full_check_the_log_is_looked_at_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await make(tmp_path)
    monkeypatch.setattr(database, "FULL_CHECK_BYTES", 4096)
    async with open_house(tmp_path) as house:
        assert await house.read(kept) == [1]
    db = sqlite3.connect(path)
    db.execute("DELETE FROM log")
    db.commit()
    db.close()
    assert "log has no name" in await refused(tmp_path)


@pytest.mark.parametrize(
    "file", ["beseda.db-wal", "beseda.db-shm", "before-1-2026-11-24T030000Z.db", "attachments/ab/abcdef"]
)
async def test_a_missing_database_beside_data_that_belongs_to_it_is_never_made_anew(
    tmp_path: Path, file: str
) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"precious")
    assert "the database is missing" in await refused(tmp_path)


async def test_the_key_and_an_empty_attachments_folder_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "attachments").mkdir()
    (tmp_path / "signing.key").write_bytes(b"k" * 32)
    await make(tmp_path)


async def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.write_text("not a folder")
    with pytest.raises(Unusable, match="data folder cannot be used") as caught:
        async with open_house(folder):
            pass
    assert str(folder) in str(caught.value)
    assert folder.read_text() == "not a folder"


async def test_a_database_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / database.FILE_NAME).mkdir()
    with pytest.raises(Unusable) as caught:
        async with open_house(tmp_path):
            pass
    assert str(tmp_path / database.FILE_NAME) in str(caught.value)


# The lock


async def test_a_second_store_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        with pytest.raises(Unusable) as caught:
            async with open_house(tmp_path):
                pass
        assert str(caught.value) == f"{tmp_path}: another beseda serves from this folder."
        # The first one never notices.
        assert await house.write(keep(1)) == 1
    async with open_house(tmp_path) as house:
        assert await house.read(kept) == [1]


async def test_another_process_holds_the_folder_until_it_is_gone(tmp_path: Path) -> None:
    with run(SERVE, tmp_path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(Unusable) as caught:
            async with open_house(tmp_path):
                pass
        assert str(tmp_path) in str(caught.value)
        other.kill()
        other.wait(WAIT)
    async with open_house(tmp_path) as house:
        assert await house.write(keep(1)) == 1


async def test_another_process_is_refused_while_this_one_holds_the_folder(house: House) -> None:
    folder = house.store.settings.data_dir
    with run(SERVE, folder) as other:
        output, _ = other.communicate(timeout=WAIT)
    assert output == f"{folder}: another beseda serves from this folder.\n"


async def test_a_start_that_is_refused_lets_go_of_the_folder(tmp_path: Path) -> None:
    path = tmp_path / database.FILE_NAME
    path.touch()
    await refused(tmp_path)
    path.unlink()
    await make(tmp_path)


async def test_a_start_that_is_refused_leaves_no_thread_behind(tmp_path: Path) -> None:
    (tmp_path / database.FILE_NAME).touch()
    before = threading.enumerate()
    for _ in range(5):
        await refused(tmp_path)
        # One that ended after the event loop would put a trace behind the line that says what is wrong.
        assert threading.enumerate() == before


# Ids


async def test_the_id_of_a_session_that_ended_is_never_given_again(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        first = await house.person()
        second = await house.log_in(first)
        await house.write(lambda tx: sessions.delete(tx, second.session_id))
        third = await house.log_in(first)
        await house.write(lambda tx: sessions.delete(tx, third.session_id))
    async with open_house(tmp_path) as house:
        fourth = await house.log_in(first)
    given = [actor.session_id for actor in (first, second, third, fourth)]
    assert given == sorted(set(given))


async def test_the_id_of_a_user_is_never_given_again(house: House) -> None:
    first = (await house.person()).user_id

    def forget(tx: Transaction) -> None:
        tx.execute("DELETE FROM refresh_tokens")
        tx.execute("DELETE FROM sessions")
        tx.execute("DELETE FROM users")

    await house.write(forget)
    assert (await house.person()).user_id > first


async def test_event_ids_go_on_after_a_restart_even_where_the_last_unit_failed(tmp_path: Path) -> None:
    def take(tx: Transaction) -> int:
        return tx.new_event_id()

    def take_and_stumble(tx: Transaction) -> None:
        keep(9)(tx)
        tx.new_event_id()
        raise ZeroDivisionError

    async with open_house(tmp_path) as house:
        assert [await house.write(take) for _ in range(3)] == [1, 2, 3]
        with pytest.raises(ZeroDivisionError):
            await house.write(take_and_stumble)
    async with open_house(tmp_path) as house:
        assert await house.write(take) > 3


async def test_a_database_that_was_not_closed_is_whole_again_at_the_next_start(tmp_path: Path) -> None:
    running, copy = tmp_path / "running", tmp_path / "copy"
    async with open_house(running) as house:
        for number in range(1, 50):
            await house.write(keep(number))
        # What a power cut would leave: nobody writes meanwhile, so the copy is of one moment.
        shutil.copytree(running, copy)
    assert (copy / "beseda.db-wal").stat().st_size > 0
    async with open_house(copy) as house:
        assert await house.read(kept) == list(range(1, 50))
