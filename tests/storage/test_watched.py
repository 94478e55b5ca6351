"""Looking up from what SQLite does in one long step."""

import contextlib
import sqlite3

import pytest

from storage.watched import watched

LONG = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT max(i) FROM n"
)


def test_what_a_look_raises_ends_the_step() -> None:
    def look() -> None:
        raise TimeoutError

    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        with pytest.raises(TimeoutError), watched(db, look):
            db.execute(LONG)
        assert db.execute("SELECT 1").fetchone() == (1,)


def test_a_signal_that_comes_between_two_looks_is_no_error_of_the_database() -> None:
    with (
        contextlib.closing(sqlite3.connect(":memory:")) as db,
        pytest.raises(KeyboardInterrupt),
        # SQLite says the same where it was the callback that a signal's exception broke off.
        watched(db, db.interrupt),
    ):
        db.execute(LONG)
