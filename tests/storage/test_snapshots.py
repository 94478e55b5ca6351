"""What is kept of a database before an upgrade."""

import contextlib
import errno
import itertools
import os
import sqlite3
import stat
from pathlib import Path
from time import gmtime

import pytest

from storage import Unusable, database, snapshots
from storage.attachments import disk
from tests.storage.test_migrations import FIRST_SCHEMA, ROWS, build_first, schema, version
from tests.support.store import keep, open_house


def dump(path: Path) -> list[str]:
    """All that a database says."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def kept(folder: Path) -> list[str]:
    """The snapshots in a folder, oldest first."""
    return [path.name for path in snapshots.listed(folder)]


def test_an_upgrade_keeps_the_database_as_it_was_beside_it_whole_and_for_its_owner_alone(
    tmp_path: Path,
) -> None:
    path = build_first(tmp_path)
    before = dump(path)
    umask = os.umask(0)
    try:
        database.connect(path, "full").close()
    finally:
        os.umask(umask)
    [snapshot] = snapshots.listed(tmp_path)
    assert snapshot.name.startswith("before-1-")
    assert stat.S_IMODE(snapshot.stat().st_mode) == 0o600
    assert dump(snapshot) == before != dump(path)
    with contextlib.closing(sqlite3.connect(snapshot)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert version(db) == 1
    assert {entry.name for entry in tmp_path.iterdir()} == {"beseda.db", snapshot.name}


def test_the_way_back_is_to_put_the_snapshot_in_the_databases_place(tmp_path: Path) -> None:
    path = build_first(tmp_path)
    database.connect(path, "full").close()
    [snapshot] = snapshots.listed(tmp_path)
    snapshot.replace(path)
    with contextlib.closing(database.connect(path, "full")) as db:
        assert db.execute("SELECT id FROM messages").fetchall() == [(row[0],) for row in ROWS["messages"]]


def test_what_only_the_write_ahead_log_has_is_in_the_snapshot(tmp_path: Path) -> None:
    (tmp_path / "running").mkdir()
    path = build_first(tmp_path / "running")
    with contextlib.closing(sqlite3.connect(path)) as running:
        running.execute("PRAGMA journal_mode = WAL")
        running.execute("INSERT INTO departures VALUES (1, 1, 3)")
        running.commit()
        # What a crash would leave.
        crashed = tmp_path / "crashed"
        crashed.mkdir()
        for each in path.parent.iterdir():
            (crashed / each.name).write_bytes(each.read_bytes())
    database.connect(crashed / database.FILE_NAME, "full").close()
    with contextlib.closing(sqlite3.connect(snapshots.listed(crashed)[0])) as db:
        assert db.execute("SELECT count(*) FROM departures").fetchone() == (2,)


async def test_a_start_without_an_upgrade_keeps_nothing(tmp_path: Path) -> None:
    for number in range(2):
        async with open_house(tmp_path) as house:
            await house.write(keep(number))
    assert kept(tmp_path) == []


def test_the_last_two_are_kept_by_their_times(tmp_path: Path) -> None:
    for name in (
        "before-9-2026-01-01T000000Z.db",
        "before-10-2026-01-03T000000Z.db",
        "before-1-2026-01-02T000000Z.db",
    ):
        (tmp_path / name).write_text("")
    path = build_first(tmp_path)
    database.connect(path, "full").close()
    first, second = kept(tmp_path)
    assert first == "before-10-2026-01-03T000000Z.db"
    assert second.startswith("before-1-")


def test_files_that_are_named_like_one_by_somebody_else_neither_count_nor_go(tmp_path: Path) -> None:
    for name in ("before-my-move.db", "before-the-party.db", "before-1-tuesday.db"):
        (tmp_path / name).write_text("")
    database.connect(build_first(tmp_path), "full").close()
    assert len(kept(tmp_path)) == 1
    assert len(list(tmp_path.glob("before-*.db"))) == 4


def test_the_newest_stays_though_the_clock_was_ahead_when_others_were_made(tmp_path: Path) -> None:
    for name in ("before-2-2099-01-01T000000Z.db", "before-3-2099-01-02T000000Z.db"):
        (tmp_path / name).write_text("")
    database.connect(build_first(tmp_path), "full").close()
    assert [name[:9] for name in kept(tmp_path)] == ["before-1-", "before-3-"]


def test_an_upgrade_that_fails_again_and_again_keeps_what_was_before_the_first_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = build_first(tmp_path)
    before = dump(path)
    first = FIRST_SCHEMA.read_text("utf-8")
    monkeypatch.setattr(database, "migrations", lambda: [first, "DROP TABLE events;", "SELECT oops;"])
    clock = itertools.count(1_790_000_000)
    monkeypatch.setattr("storage.snapshots.time.gmtime", lambda: gmtime(next(clock)))
    for _ in range(4):
        with pytest.raises(Unusable, match="oops"):
            database.connect(path, "full")
    oldest, newest = snapshots.listed(tmp_path)
    assert dump(oldest) == before
    assert dump(newest) == dump(path)


def test_a_snapshot_that_the_disk_had_no_room_for_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(db: sqlite3.Connection, target: Path) -> None:
        target.write_bytes(b"half of one")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = build_first(tmp_path)
    monkeypatch.setattr(snapshots, "vacuum_into", fill)
    with pytest.raises(Unusable, match="No space left"):
        database.connect(path, "full")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_what_an_interrupted_snapshot_left_is_no_obstacle(tmp_path: Path) -> None:
    path = build_first(tmp_path)
    (tmp_path / "before.db.new").write_bytes(b"half of one")
    database.connect(path, "full").close()
    assert len(kept(tmp_path)) == 1
    assert not (tmp_path / "before.db.new").exists()


def test_without_room_for_the_snapshot_nothing_is_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = build_first(tmp_path)
    before = dump(path)
    monkeypatch.setattr(disk, "free_bytes", lambda folder: snapshots.SPARE_BYTES)
    with pytest.raises(
        Unusable, match="no room for an upgrade and the copy from before it: they take 65 MiB"
    ) as caught:
        database.connect(path, "full")
    assert str(path) in str(caught.value)
    assert dump(path) == before
    assert kept(tmp_path) == []


def test_a_migration_that_fails_leaves_the_snapshot_for_the_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = build_first(tmp_path)
    before = dump(path)
    first = FIRST_SCHEMA.read_text("utf-8")
    monkeypatch.setattr(database, "migrations", lambda: [first, "DROP TABLE events;", "SELECT oops;"])
    with pytest.raises(Unusable, match="no such column: oops"):
        database.connect(path, "full")
    assert dump(path) != before
    assert dump(snapshots.listed(tmp_path)[0]) == before


def test_an_upgraded_database_has_the_schema_of_a_new_one(tmp_path: Path) -> None:
    path = build_first(tmp_path)
    old, steps = database.upgraded(path)
    assert old == 1
    assert [step.schema for step in steps] == list(range(2, len(database.migrations()) + 1))
    assert database.upgraded(path) == (len(database.migrations()), [])
    (tmp_path / "new").mkdir()
    with (
        contextlib.closing(sqlite3.connect(path)) as db,
        contextlib.closing(database.connect(tmp_path / "new" / database.FILE_NAME, "full")) as new,
    ):
        assert schema(db) == schema(new)
