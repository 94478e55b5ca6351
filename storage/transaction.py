"""What a unit of work is given: a view of the database, and for writers a place to tell what happened."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from protocol.events import Fact
from storage.cache import Cache, is_mirrored

Row = tuple[Any, ...]


class Snapshot:
    """A consistent view of the database. `now` is its time, in milliseconds since the epoch."""

    __slots__ = ("_db", "cache", "now")

    def __init__(self, db: sqlite3.Connection, now: int) -> None:
        self._db = db
        self.now = now
        self.cache: Cache | None = None

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, to be read from."""
        return self._db

    def row(self, sql: str, *parameters: Any) -> Row | None:
        """The first row of a query."""
        found: Row | None = self.db.execute(sql, parameters).fetchone()
        return found

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """All rows of a query; whoever asks bounds it."""
        return self.db.execute(sql, parameters).fetchall()

    def value(self, sql: str, *parameters: Any) -> Any:
        """The first column of a query's first row; it must have one."""
        found = self.row(sql, *parameters)
        assert found is not None, sql
        return found[0]

    def unchanged_row(self, sql: str, *parameters: Any) -> Row | None:
        """The first row of a query for what the cache does not know, and so has not changed."""
        found: Row | None = self._db.execute(sql, parameters).fetchone()
        return found

    def messages_up_to(self, message_id: int, sql: str, *parameters: Any) -> list[Row]:
        """All rows of a query that looks at no messages later than this one, and at nothing else."""
        return self.rows(sql, *parameters)


class Transaction(Snapshot):
    """The writer's transaction, shared by all units of a batch.

    A unit may run twice, so it does nothing but read and write here: it has no other effects. With a `cache` messages
    and cursors are written at the end, or before the next other statement: whoever reads sees what was written.
    """

    __slots__ = ("buffered", "facts", "last_event_id")

    def __init__(
        self, db: sqlite3.Connection, now: int, last_event_id: int, cache: Cache | None = None
    ) -> None:
        super().__init__(db, now)
        self.cache = cache
        self.last_event_id = last_event_id
        self.facts: list[Fact] = []
        self.buffered = 0
        """How often something was handed to the cache, to be written."""

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, to be read from. Raises Collision."""
        if self.cache is not None:
            self.cache.write(self._db)
        return self._db

    @property
    def changes(self) -> int:
        """Changes by the connection's units, and those to be; what the cache has written for them counts once."""
        by_cache = 0 if self.cache is None else self.cache.written
        return self.buffered + self._db.total_changes - by_cache

    def messages_up_to(self, message_id: int, sql: str, *parameters: Any) -> list[Row]:
        """All rows of a query that looks at no messages later than this one, and at nothing else."""
        cache = self.cache
        if cache is not None and cache.first_message_id is not None and message_id >= cache.first_message_id:
            cache.write(self._db)
        return self._db.execute(sql, parameters).fetchall()

    def new_event_id(self) -> int:
        """The next number in the log. Numbers are never given twice, gaps are allowed."""
        self.last_event_id += 1
        return self.last_event_id

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Run a statement that writes."""
        return self._to_write(sql).execute(sql, parameters)

    def execute_many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run a statement that writes with each of these rows of parameters."""
        self._to_write(sql).executemany(sql, rows)

    def tell(self, fact: Fact) -> None:
        """Hand a fact on to the publisher, should the batch be committed."""
        self.facts.append(fact)

    def _to_write(self, sql: str) -> sqlite3.Connection:
        db = self.db
        if self.cache is not None and is_mirrored(sql):
            self.cache.forget()
        return db


Unit = Callable[[Transaction], Any]
