"""Looking at the data from outside the server."""

import sqlite3
from pathlib import Path

import pytest

from storage import Unusable, database, looking
from tests.support.store import keep, kept, open_house


async def test_it_sees_what_was_committed_beside_the_server_and_changes_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.write(keep(1))
        before = {path.name for path in tmp_path.iterdir()}
        with looking(tmp_path) as snapshot:
            assert kept(snapshot) == [1]
            await house.write(keep(2))
            assert kept(snapshot) == [1], "it is one view"
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                snapshot.db.execute("DELETE FROM log")
        assert {path.name for path in tmp_path.iterdir()} == before
    with looking(tmp_path) as snapshot:
        assert kept(snapshot) == [1, 2]


def test_what_it_cannot_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / database.FILE_NAME
    refusals = []

    def look() -> None:
        with pytest.raises(Unusable) as refused, looking(tmp_path):
            pass
        refusals.append(str(refused.value))

    look()
    path.write_bytes(b"no database" * 1000)
    look()
    path.unlink()
    db = sqlite3.connect(path)
    look()
    db.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
    look()
    db.execute(f"PRAGMA user_version = {len(database.migrations()) + 1}")
    look()
    db.close()
    assert all(refusal.startswith(f"{path}: ") for refusal in refusals)
    assert [word in refusal for word, refusal in zip(WORDS, refusals, strict=True)] == [True] * len(WORDS)


WORDS = ("unable to open", "not a database", "no database of Beseda", "earlier version", "later version")
"""What is said of no file, of anything, of an empty database, of an old one, and of a new one."""
