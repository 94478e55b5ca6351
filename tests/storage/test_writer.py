"""Group commit: one transaction for many units, and what one failure may touch."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import Refused
from protocol.events import SessionEnded
from storage import Transaction, database, room
from storage.transaction import Unit
from storage.writer import Batch, Writer
from tests.support.store import Clock, keep, kept, told


@contextmanager
def statements(db: sqlite3.Connection) -> Iterator[list[str]]:
    """Every statement that SQLite runs on the connection meanwhile."""
    seen: list[str] = []
    db.set_trace_callback(seen.append)
    yield seen
    db.set_trace_callback(None)


def results(batch: Batch) -> list[Any]:
    """Each unit's result, or the refusal's code, or the exception's type."""
    return [
        outcome.result if outcome.error is None else getattr(outcome.error, "code", type(outcome.error))
        for outcome in batch.outcomes
    ]


def refuse(tx: Transaction) -> None:
    """A unit that is refused before it has written."""
    tx.tell(SessionEnded(666, 0))
    raise Refused("forbidden")


def write_and_refuse(tx: Transaction) -> None:
    """A unit that is refused after it has written."""
    keep(999)(tx)
    raise Refused("forbidden")


def raising(error: BaseException, *, after_writing: bool) -> Unit:
    """A unit with a bug."""

    def unit(tx: Transaction) -> None:
        if after_writing:
            keep(999)(tx)
        raise error

    return unit


def fill(db: sqlite3.Connection) -> None:
    """Let the database grow no further."""
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")


def make_room(db: sqlite3.Connection) -> None:
    """Let it grow again."""
    db.execute("PRAGMA max_page_count = 1000000")


def keep_much(tx: Transaction) -> None:
    """A unit that needs more pages than are left of a full database."""
    for number in range(10_000, 12_000):
        keep(number)(tx)


def test_many_units_share_one_transaction(writer: Writer, db: sqlite3.Connection) -> None:
    with statements(db) as seen:
        batch = writer.commit([keep(number) for number in range(100)])
    assert (seen.count("BEGIN IMMEDIATE"), seen.count("COMMIT")) == (1, 1)
    assert results(batch) == kept(db) == list(range(100))


def test_results_and_facts_come_in_the_order_of_the_units(writer: Writer) -> None:
    numbers = [5, 3, 9, 1, 7]
    batch = writer.commit([keep(number) for number in numbers])
    assert results(batch) == told(batch.facts) == numbers


def test_a_unit_that_is_refused_before_it_writes_fails_alone_and_costs_no_savepoint(
    writer: Writer, db: sqlite3.Connection
) -> None:
    with statements(db) as seen:
        batch = writer.commit([keep(1), refuse, keep(2)])
    assert results(batch) == [1, "forbidden", 2]
    assert told(batch.facts) == kept(db) == [1, 2]
    assert seen.count("BEGIN IMMEDIATE") == 1
    assert not any("SAVEPOINT" in statement for statement in seen)


def test_a_unit_that_is_refused_after_it_has_written_fails_alone(
    writer: Writer, db: sqlite3.Connection
) -> None:
    with statements(db) as seen:
        batch = writer.commit([keep(1), write_and_refuse, keep(2), refuse, keep(3)])
    assert results(batch) == [1, "forbidden", 2, "forbidden", 3]
    assert told(batch.facts) == kept(db) == [1, 2, 3]
    assert (seen.count("SAVEPOINT unit"), seen.count("COMMIT")) == (5, 1)


ROW = "INSERT INTO departures (user_id, conversation_id, event_id) VALUES (?, 0, 0)"


@pytest.mark.parametrize(
    "write",
    [
        lambda tx: tx.execute_many(ROW, [(7,), (8,), (7,)]),
        lambda tx: tx.execute(f"{ROW} RETURNING user_id", 7).fetchone(),
        lambda tx: tx.db.execute(ROW, (7,)),
    ],
    ids=["the third of many", "RETURNING", "the connection itself"],
)
def test_whatever_way_a_unit_has_written_nothing_of_it_stays_when_it_fails(
    writer: Writer, db: sqlite3.Connection, write: Unit
) -> None:
    def unit(tx: Transaction) -> None:
        write(tx)
        raise ValueError("a bug")

    (outcome,) = writer.commit([unit]).outcomes
    assert outcome.error is not None
    assert kept(db) == []


def test_units_that_run_twice_have_one_effect(writer: Writer, db: sqlite3.Connection) -> None:
    runs: list[int] = []

    def unit(tx: Transaction) -> int:
        runs.append(tx.new_event_id())
        return keep(1)(tx)

    batch = writer.commit([unit, write_and_refuse])
    assert len(runs) == 2
    assert results(batch) == [1, "forbidden"]
    assert told(batch.facts) == kept(db) == [1]


@pytest.mark.parametrize("after_writing", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        KeyError("a bug"),
        AssertionError("a bug"),
        StopIteration("a bug"),
        RecursionError("a bug"),
        MemoryError("a bug"),
        sqlite3.ProgrammingError("a bug of the module's own, without a code"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_unit_with_a_bug_fails_alone(
    writer: Writer, db: sqlite3.Connection, error: Exception, after_writing: bool
) -> None:
    batch = writer.commit([keep(1), raising(error, after_writing=after_writing), keep(2)])
    assert results(batch) == [1, type(error), 2]
    assert told(batch.facts) == kept(db) == [1, 2]
    assert batch.fatal is None


@pytest.mark.parametrize(
    "parameter, error",
    [
        (None, sqlite3.IntegrityError),
        (1, sqlite3.IntegrityError),
        ("text", sqlite3.IntegrityError),
        (2**64, OverflowError),
        (b"\0" * 10, sqlite3.IntegrityError),
    ],
)
def test_a_statement_that_sqlite_refuses_fails_its_unit_alone(
    writer: Writer, db: sqlite3.Connection, parameter: Any, error: type[Exception]
) -> None:
    batch = writer.commit([keep(1), keep(parameter), keep(2)])
    assert results(batch) == [1, error, 2]
    assert told(batch.facts) == kept(db) == [1, 2]


def test_an_empty_batch_and_one_of_failures_only_are_committed_too(
    writer: Writer, db: sqlite3.Connection
) -> None:
    assert writer.commit([]).outcomes == []
    assert results(writer.commit([refuse, write_and_refuse])) == ["forbidden", "forbidden"]
    assert kept(db) == []
    assert not db.in_transaction


def test_event_ids_rise_over_units_batches_and_failures(writer: Writer, db: sqlite3.Connection) -> None:
    def take(tx: Transaction) -> int:
        return tx.new_event_id()

    def take_and_refuse(tx: Transaction) -> None:
        tx.new_event_id()
        raise Refused("forbidden")

    assert results(writer.commit([take, take_and_refuse, take])) == [1, "forbidden", 3]
    writer.commit([write_and_refuse, take_and_refuse])
    assert results(writer.commit([take])) == [5]
    assert db.execute("SELECT last_event_id FROM log").fetchone() == (5,)
    assert results(Writer(db, Clock()).commit([take])) == [6]


def test_a_disk_that_fills_in_the_middle_fails_every_unit_and_keeps_nothing(
    writer: Writer, db: sqlite3.Connection
) -> None:
    assert results(writer.commit([keep(1)])) == [1]
    fill(db)
    units: list[Unit] = [keep(2), keep_much, keep(3)]
    batch = writer.commit(units)
    assert results(batch) == ["unavailable"] * 3
    assert (batch.facts, batch.fatal) == ([], None)
    assert kept(db) == [1]
    assert not db.in_transaction
    make_room(db)
    assert results(writer.commit([keep(2), keep(3)])) == [2, 3]
    assert kept(db) == [1, 2, 3]


def test_a_disk_that_fills_when_the_batch_runs_again_fails_every_unit_too(
    writer: Writer, db: sqlite3.Connection
) -> None:
    fill(db)
    # The first pass ends at the refusal, so only the second one meets the full disk.
    batch = writer.commit([keep(1), write_and_refuse, keep_much, keep(2)])
    assert results(batch) == ["unavailable"] * 4
    assert (batch.facts, kept(db), db.in_transaction) == ([], [], False)


def test_what_is_refused_while_the_disk_is_full_says_when_to_come_back(
    writer: Writer, db: sqlite3.Connection
) -> None:
    fill(db)
    error = writer.commit([keep_much]).outcomes[0].error
    assert isinstance(error, Refused)
    assert (error.status, error.retry_after) == (503, 1)


@pytest.mark.parametrize("then_raises", [False, True])
def test_nothing_runs_outside_the_transaction_when_it_vanishes(
    writer: Writer, db: sqlite3.Connection, then_raises: bool
) -> None:
    def lose(tx: Transaction) -> None:
        # What SQLite does by itself on a full disk, here even behind a unit's back.
        tx.execute("ROLLBACK")
        if then_raises:
            raise Refused("forbidden")

    batch = writer.commit([keep(1), lose, keep(2)])
    assert results(batch) == ["unavailable"] * 3
    assert (batch.facts, kept(db), db.in_transaction) == ([], [], False)
    assert results(writer.commit([keep(3)])) == [3]


def test_nothing_runs_outside_the_transaction_when_it_vanishes_among_savepoints(
    writer: Writer, db: sqlite3.Connection
) -> None:
    def lose(tx: Transaction) -> None:
        tx.execute("ROLLBACK")

    batch = writer.commit([keep(1), write_and_refuse, lose, keep(2)])
    assert results(batch) == ["unavailable"] * 4
    assert (batch.facts, kept(db), db.in_transaction) == ([], [], False)


def test_a_unit_that_hides_the_full_disk_does_not_save_its_batch(
    writer: Writer, db: sqlite3.Connection
) -> None:
    def hide(tx: Transaction) -> str:
        with pytest.raises(sqlite3.OperationalError):
            # Filling more than the page cache makes SQLite roll the whole transaction back.
            tx.execute("PRAGMA cache_size = 1")
            keep_much(tx)
        return "all is well"

    fill(db)
    batch = writer.commit([keep(1), hide, keep(2)])
    stored = kept(db)
    # Either the transaction was gone, and all of it failed; or SQLite undid that statement alone.
    if results(batch) == ["unavailable"] * 3:
        assert (stored, batch.facts) == ([], [])
    else:
        assert results(batch) == [1, "all is well", 2]
        assert {1, 2} <= set(stored)
    assert not db.in_transaction


def test_a_commit_that_fails_fails_every_unit_and_leaves_no_transaction_open(
    writer: Writer, db: sqlite3.Connection
) -> None:
    def orphan(tx: Transaction) -> None:
        tx.execute("PRAGMA defer_foreign_keys = ON")
        tx.execute("INSERT INTO sessions VALUES (1, 12345, 0, 0, 0, '', '')")

    batch = writer.commit([keep(1), orphan])
    assert results(batch) == ["unavailable", "unavailable"]
    assert (batch.facts, kept(db), db.in_transaction) == ([], [], False)
    assert results(writer.commit([keep(2)])) == [2]


@pytest.mark.parametrize(
    "code, is_fatal",
    [
        (sqlite3.SQLITE_IOERR_FSYNC, True),
        (sqlite3.SQLITE_IOERR_WRITE, True),
        (sqlite3.SQLITE_CORRUPT, True),
        (sqlite3.SQLITE_NOTADB, True),
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_BUSY, False),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, False),
        (sqlite3.SQLITE_NOMEM, False),
        (sqlite3.SQLITE_READONLY, False),
        (sqlite3.SQLITE_CANTOPEN, False),
    ],
)
def test_when_the_database_fails_so_does_the_batch_and_only_an_untrustworthy_disk_is_fatal(
    writer: Writer, db: sqlite3.Connection, code: int, is_fatal: bool
) -> None:
    error = sqlite3.OperationalError("told by the test")
    error.sqlite_errorcode = code
    batch = writer.commit([keep(1), raising(error, after_writing=True), keep(2)])
    assert results(batch) == ["unavailable"] * 3
    assert (batch.facts, kept(db), db.in_transaction) == ([], [], False)
    assert (batch.fatal is not None) == is_fatal


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE])
def test_a_disk_that_fails_to_write_and_has_no_room_is_only_full(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(room, "is_left_beside", asked.append)
    error = sqlite3.OperationalError("told by the test")
    error.sqlite_errorcode = code
    batch = writer.commit([keep(1), raising(error, after_writing=True)])
    assert results(batch) == ["unavailable"] * 2
    assert batch.fatal is None
    assert [path.name for path in asked] == [database.FILE_NAME]


def test_a_disk_that_really_fails_to_write_is_fatal(tmp_path: Path) -> None:
    path = tmp_path / database.FILE_NAME
    db = database.connect(path, "full")
    writer = Writer(db, Clock())
    assert results(writer.commit([keep(1)])) == [1]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # From here on write() past this size fails with EFBIG, which SQLite takes for an I/O error.
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name(path.name + "-wal").stat().st_size, hard))
    try:
        batch = writer.commit([keep(2), keep_much])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert results(batch) == ["unavailable", "unavailable"]
    assert batch.facts == []
    assert isinstance(batch.fatal, sqlite3.OperationalError)
    db.close()
    again = database.connect(path, "full")
    assert kept(again) == [1]
    again.close()


def test_the_writer_waits_for_the_disk_before_it_says_that_a_message_is_kept(db: sqlite3.Connection) -> None:
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)
