"""What a unit of work is given: a view of the database, and for writers a place to tell what happened."""

import sqlite3
from collections.abc import Callable
from typing import Any

from protocol.events import Fact

Row = tuple[Any, ...]


class Snapshot:
    """A consistent view of the database. `now` is its time, in milliseconds since the epoch."""

    __slots__ = ("db", "now")

    def __init__(self, db: sqlite3.Connection, now: int) -> None:
        self.db = db
        self.now = now

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


class Transaction(Snapshot):
    """The writer's transaction, shared by all units of a batch.

    A unit may run twice, so it does nothing but read and write here: it has no other effects.
    """

    __slots__ = ("facts", "last_event_id")

    def __init__(self, db: sqlite3.Connection, now: int, last_event_id: int) -> None:
        super().__init__(db, now)
        self.last_event_id = last_event_id
        self.facts: list[Fact] = []

    def new_event_id(self) -> int:
        """The next number in the log. Numbers are never given twice, gaps are allowed."""
        self.last_event_id += 1
        return self.last_event_id

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Run a statement that writes."""
        return self.db.execute(sql, parameters)

    def tell(self, fact: Fact) -> None:
        """Hand a fact on to the publisher, should the batch be committed."""
        self.facts.append(fact)


Unit = Callable[[Transaction], Any]
