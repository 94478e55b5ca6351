"""What a database holds, and whether it is in order: its pages, its keys, its counters and every conversation's `seq`.

It may be of any schema since the first: what is asked here is in all of them.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from storage import database
from storage.attachments.objects import is_on_s3
from storage.watched import watched

COUNTED = ("users", "conversations", "messages", "attachments")


class Unsound(Exception):
    """The database contradicts itself: a sentence that names the place."""


class Contents(NamedTuple):
    """What a database holds.

    `counts` are the rows of tables, `files` the sizes (bytes) of what the local store has of it, by their keys.
    """

    schema: int
    log_name: str
    last_event_id: int
    counts: dict[str, int]
    files: dict[str, int]
    on_s3: list[str]


def contents(db: sqlite3.Connection) -> Contents:
    """What is in it."""
    name, last_event_id = db.execute("SELECT name, last_event_id FROM log").fetchone()
    uploaded = db.execute("SELECT key, size FROM attachments WHERE key IS NOT NULL ORDER BY id").fetchall()
    counts = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in COUNTED}
    return Contents(
        db.execute("PRAGMA user_version").fetchone()[0],
        name,
        last_event_id,
        counts,
        {key: size for key, size in uploaded if not is_on_s3(key)},
        [key for key, _ in uploaded if is_on_s3(key)],
    )


def look_into(path: Path, look: Callable[[], None] = lambda: None) -> Contents:
    """Check all of a database that nobody serves, which takes some seconds for a million messages; what it holds.

    `look` is called now and then, and may raise. Raises Unsound.
    """
    try:
        with contextlib.closing(database.connect_reader(path)) as db, watched(db, look):
            _check_header(db)
            _check_pages(db)
            _check_ids(db)
            _check_conversations(db)
            return contents(db)
    except sqlite3.Error as error:
        raise Unsound(f"the database cannot be read: {error}") from None


def _check_header(db: sqlite3.Connection) -> None:
    if db.execute("PRAGMA application_id").fetchone()[0] != database.APPLICATION_ID:
        raise Unsound("this is no database of Beseda's")
    schema: int = db.execute("PRAGMA user_version").fetchone()[0]
    if schema > (ours := len(database.migrations())):
        raise Unsound(database.of_a_later_version(schema, ours))


def _check_pages(db: sqlite3.Connection) -> None:
    verdict: str = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise Unsound(f"the database is damaged: {' '.join(verdict.split())}")
    orphan = db.execute("PRAGMA foreign_key_check").fetchone()
    if orphan is not None:
        raise Unsound(
            f"the database is damaged: row {orphan[1]} of {orphan[0]} refers to a row of {orphan[2]} that is not there"
        )
    if db.execute("SELECT count(*) FROM log").fetchone()[0] != 1:
        raise Unsound("the database is damaged: its log has no name")


def _check_ids(db: sqlite3.Connection) -> None:
    """No event is later than the log's last one, or else an id would be given twice."""
    last: int = db.execute("SELECT last_event_id FROM log").fetchone()[0]
    for table, column in (
        ("messages", "id"),
        ("events", "id"),
        ("conversations", "event_id"),
        ("departures", "event_id"),
        ("members", "joined_event_id"),
    ):
        found = db.execute(f"SELECT max({column}) FROM {table}").fetchone()[0] or 0
        if found > last:
            raise Unsound(f"{table}.{column} is {found} somewhere, but the log ends with event {last}")


def _check_conversations(db: sqlite3.Connection) -> None:
    seqs: dict[int, int] = {}
    latest: dict[int, int] = {}
    # By id, so that the table is read once from its beginning to its end.
    for id_, conversation_id, seq in db.execute("SELECT id, conversation_id, seq FROM messages ORDER BY id"):
        expected = seqs.get(conversation_id, 0) + 1
        if seq != expected:
            raise Unsound(
                f"conversation {conversation_id}: message {id_} has seq {seq} instead of {expected}"
            )
        seqs[conversation_id], latest[conversation_id] = seq, id_
    members = dict(db.execute("SELECT conversation_id, count(*) FROM members GROUP BY 1"))
    for id_, *told in db.execute("SELECT id, last_seq, last_message_id, member_count FROM conversations"):
        there = [seqs.pop(id_, 0), latest.get(id_, 0), members.get(id_, 0)]
        names = ("last_seq", "last_message_id", "member_count")
        for name, counter, value in zip(names, told, there, strict=True):
            if counter != value:
                raise Unsound(f"conversation {id_}: {name} is {counter} instead of {value}")
    if seqs:
        raise Unsound(f"conversation {min(seqs)} has messages, but is not there")
