"""Group commit, the half that runs on the database's thread: many units, one transaction, one fsync.

The first pass runs without savepoints, and writes behind. Most units that fail have written nothing, and cost nothing;
one that has written makes the whole batch run again, each unit in a savepoint of its own, so that it alone fails.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocol.errors import Refused
from protocol.events import Fact
from storage import room
from storage.cache import Cache, Collision
from storage.failures import is_database_failure, result_code
from storage.transaction import Transaction, Unit

logger = logging.getLogger(__name__)

RETRY_AFTER = 1

_FAIL_STOP = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""After these nothing that was written can be trusted to be on the disk."""

_WANTS_ROOM = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""What SQLite also calls it where there is no room: of all the system's ways to say so it knows only ENOSPC."""


def unavailable() -> Refused:
    """The refusal of what the storage cannot do at the moment."""
    return Refused(
        "unavailable", "The server can't store this at the moment. Send it again.", retry_after=RETRY_AFTER
    )


@dataclass(slots=True)
class Outcome:
    """What became of a unit: its result, or why it failed."""

    result: Any = None
    error: Exception | None = None


@dataclass(slots=True)
class Batch:
    """What became of a batch. No facts unless it was committed. `fatal` says that the storage must not go on."""

    outcomes: list[Outcome]
    facts: list[Fact] = field(default_factory=list)
    is_committed: bool = True
    fatal: Exception | None = None


class _Stained(Exception):
    """A unit failed after it had written, with no savepoint to go back to."""


class _TransactionLost(Exception):
    """SQLite rolled the transaction back by itself: what ran after it would commit on its own."""


class Writer:
    """The only one that writes. Every method runs on the database's thread."""

    def __init__(self, db: sqlite3.Connection, clock: Callable[[], int]) -> None:
        self._db = db
        self._clock = clock
        self._cache = Cache()
        self._data_version = 0
        self._last_event_id: int = db.execute("SELECT last_event_id FROM log").fetchone()[0]

    def commit(self, units: Sequence[Unit]) -> Batch:
        """Run all units in one transaction and commit it.

        A unit that raises fails alone. Should the database fail, every unit fails with `unavailable`, and none
        of it has happened.
        """
        try:
            try:
                return self._attempt(units, is_first=True)
            except (_Stained, Collision):
                self._roll_back()
                return self._attempt(units, is_first=False)
        except (sqlite3.Error, _TransactionLost) as error:
            cause = (isinstance(error, _TransactionLost) and error.__cause__) or error
            fatal = cause if isinstance(cause, Exception) and self._is_fatal(cause) else None
            if fatal is None:  # otherwise whoever stops the server says why
                logger.error("A batch of %d units was not committed: %s", len(units), cause)
            self._roll_back()
            return Batch([Outcome(error=unavailable()) for _ in units], is_committed=False, fatal=fatal)

    def _attempt(self, units: Sequence[Unit], *, is_first: bool) -> Batch:
        # IMMEDIATE: a transaction that begins by reading cannot always become a writer.
        self._db.execute("BEGIN IMMEDIATE")
        self._check_cache()
        cache = self._cache if is_first else None
        tx = Transaction(self._db, self._clock(), self._last_event_id, cache)
        outcomes = [self._run(tx, unit, savepoint=not is_first) for unit in units]
        if cache is not None:
            cache.write(self._db)
        if tx.last_event_id != self._last_event_id:
            self._db.execute("UPDATE log SET last_event_id = ?", (tx.last_event_id,))
        self._db.execute("COMMIT")
        self._last_event_id = tx.last_event_id
        return Batch(outcomes, tx.facts)

    def _check_cache(self) -> None:
        """Another process may have changed the database, an administrator's `sqlite3` for one."""
        data_version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        if data_version != self._data_version:
            self._data_version = data_version
            self._cache.forget()
        self._cache.begin()

    def _run(self, tx: Transaction, unit: Unit, *, savepoint: bool) -> Outcome:
        facts, changes = len(tx.facts), tx.changes
        if savepoint:
            self._db.execute("SAVEPOINT unit")
        try:
            result = unit(tx)
        except Collision:
            raise
        except Exception as error:
            if not self._db.in_transaction:
                raise _TransactionLost from error
            if is_database_failure(error):
                raise
            if savepoint:
                self._db.execute("ROLLBACK TO unit")
                self._db.execute("RELEASE unit")
            elif tx.changes != changes:
                raise _Stained from error
            del tx.facts[facts:]
            return Outcome(error=error)
        if not self._db.in_transaction:
            # The unit has swallowed the error, or ended the transaction itself.
            raise _TransactionLost("a unit has lost the transaction")
        if savepoint:
            self._db.execute("RELEASE unit")
        return Outcome(result)

    def _is_fatal(self, error: Exception) -> bool:
        if not isinstance(error, sqlite3.Error) or result_code(error) not in _FAIL_STOP:
            return False
        if error.sqlite_errorcode not in _WANTS_ROOM:
            return True
        return room.is_left_beside(Path(self._db.execute("PRAGMA database_list").fetchone()[2]))

    def _roll_back(self) -> None:
        self._cache.forget()
        # On a full disk or a failed fsync SQLite has done it already, and a second ROLLBACK would raise.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
