"""Reading: beside the writer, never writing, and each time from one consistent view."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from storage import Snapshot, database
from tests.support.store import House, keep, kept, open_house, refusal

WAIT = 20


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO departures VALUES (1, 0, 0)",
        "UPDATE log SET last_event_id = 7",
        "DELETE FROM users",
        "CREATE TABLE mischief (x)",
        "PRAGMA user_version = 9",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    ],
)
def test_a_reader_can_neither_write_nor_checkpoint(tmp_path: Path, statement: str) -> None:
    path = tmp_path / database.FILE_NAME
    writer = database.connect(path, "full")
    writer.execute("INSERT INTO departures VALUES (1, 0, 0)")
    reader = database.connect_reader(path)
    assert kept(reader) == [1]
    before = path.read_bytes()
    with pytest.raises(sqlite3.OperationalError):
        reader.execute(statement).fetchall()
    assert kept(reader) == [1]
    assert path.read_bytes() == before
    reader.close()
    writer.close()


async def test_a_read_that_writes_changes_nothing_and_is_refused(house: House) -> None:
    def query(snapshot: Snapshot) -> None:
        snapshot.db.execute("UPDATE log SET last_event_id = 7")

    assert (await refusal(house.read(query))).code == "unavailable"
    assert await house.read(lambda snapshot: snapshot.value("SELECT last_event_id FROM log")) == 0


async def test_what_was_acknowledged_is_read_at_once_by_every_reader(tmp_path: Path) -> None:
    async with open_house(tmp_path, readers=3) as house, asyncio.timeout(WAIT):
        for number in range(1, 20):
            await house.write(keep(number))
            views = await asyncio.gather(*(house.read(kept) for _ in range(3)))
            assert views == [list(range(1, number + 1))] * 3


async def test_a_read_sees_one_moment_however_long_it_takes(house: House) -> None:
    looked, go_on = threading.Event(), threading.Event()

    def look_twice(snapshot: Snapshot) -> tuple[list[int], list[int]]:
        first = kept(snapshot)
        looked.set()
        assert go_on.wait(WAIT)
        return first, kept(snapshot)

    await house.write(keep(1))
    reading = asyncio.create_task(house.read(look_twice))
    await asyncio.to_thread(looked.wait, WAIT)
    async with asyncio.timeout(WAIT):
        await house.write(keep(2))
        # The other reader is free, and sees it already.
        assert await house.read(kept) == [1, 2]
        go_on.set()
        assert await reading == ([1], [1])
    assert await house.read(kept) == [1, 2]


async def test_a_reader_goes_on_after_a_query_that_raised(tmp_path: Path) -> None:
    def stumble(snapshot: Snapshot) -> None:
        snapshot.value("SELECT count(*) FROM users")
        raise ZeroDivisionError

    async with open_house(tmp_path, readers=1) as house:
        with pytest.raises(ZeroDivisionError):
            await house.read(stumble)
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await house.read(lambda snapshot: snapshot.rows("SELECT * FROM nowhere"))
        await house.write(keep(1))
        assert await house.read(kept) == [1]


async def test_a_disk_that_fails_under_a_read_makes_it_unavailable_and_the_next_one_may_succeed(
    tmp_path: Path,
) -> None:
    def fail(snapshot: Snapshot) -> None:
        # What SQLite does by itself when it cannot read a page.
        snapshot.db.execute("ROLLBACK")
        error = sqlite3.OperationalError("disk I/O error, says the test")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
        raise error

    async with open_house(tmp_path, readers=1) as house:
        assert (await refusal(house.read(fail))).code == "unavailable"
        assert await house.read(kept) == []


async def test_every_snapshot_knows_its_time(house: House) -> None:
    assert await house.read(lambda snapshot: snapshot.now) == house.clock.now
    house.clock.advance(1.5)
    assert await house.read(lambda snapshot: snapshot.now) == house.clock.now
    assert await house.write(lambda tx: tx.now) == house.clock.now


async def test_any_folder_name_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "a?mode=rwc&b#c %20 'ё' \"x\""
    async with open_house(folder) as house:
        await house.write(keep(1))
        assert await house.read(kept) == [1]
    assert (folder / database.FILE_NAME).is_file()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
