"""Messages, as rows."""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from protocol.ids import MAX_ID
from storage.transaction import Snapshot, Transaction

AUTHORS_WINDOW = 1000
"""Receipts look for authors among so many of the newest messages that a cursor passed, so that one who was away for a
million of them costs no more than one who was not."""


class StoredMessage(NamedTuple):
    """A message's row. `created_at` in milliseconds since the epoch."""

    id: int
    conversation_id: int
    seq: int
    sender_id: int
    created_at: int
    attachment_count: int
    temp_id: str | None
    text: str


_COLUMNS = "id, conversation_id, seq, sender_id, created_at, attachment_count, temp_id, text"


def insert(tx: Transaction, message: StoredMessage) -> bool:
    """Store a message; False, and nothing stored, where its sender has used its `temp_id` before.

    With a cache it is True, and the batch runs again without one should that turn out when it is written.
    """
    if tx.cache is not None and tx.cache.post(message.id, message.conversation_id, message.seq, message):
        tx.buffered += 1
        return True
    cursor = tx.execute(
        f"INSERT INTO messages ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (sender_id, temp_id) WHERE temp_id IS NOT NULL DO NOTHING",
        *message,
    )
    if not cursor.rowcount:
        return False
    tx.execute(
        "UPDATE conversations SET event_id = ?, last_seq = ?, last_message_id = ? WHERE id = ?",
        message.id,
        message.seq,
        message.id,
        message.conversation_id,
    )
    return True


def by_id(snapshot: Snapshot, message_id: int) -> StoredMessage | None:
    """The message with this id."""
    row = snapshot.row(f"SELECT {_COLUMNS} FROM messages WHERE id = ?", message_id)
    return StoredMessage(*row) if row else None


def by_ids(snapshot: Snapshot, ids: Sequence[int]) -> Iterator[StoredMessage]:
    """The messages with these ids, oldest first; each is read when it is asked for."""
    rows = snapshot.db.execute(
        f"SELECT {_COLUMNS} FROM messages WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(list(ids)),),
    )
    return (StoredMessage(*row) for row in rows)


def by_temp_id(snapshot: Snapshot, sender_id: int, temp_id: str) -> StoredMessage | None:
    """The message that a sender gave this `temp_id`."""
    row = snapshot.row(
        f"SELECT {_COLUMNS} FROM messages WHERE sender_id = ? AND temp_id = ?", sender_id, temp_id
    )
    return StoredMessage(*row) if row else None


def page(
    snapshot: Snapshot, conversation_id: int, *, before_id: int | None, after_id: int | None, limit: int
) -> list[StoredMessage]:
    """A page of a conversation's history, newest first; both bounds exclusive.

    With `after_id` it is the page right after it, otherwise the one right before `before_id`.
    """
    order = "DESC" if after_id is None else "ASC"
    rows = snapshot.rows(
        f"SELECT {_COLUMNS} FROM messages WHERE conversation_id = ? AND id > ? AND id < ? ORDER BY id {order} LIMIT ?",
        conversation_id,
        after_id or 0,
        MAX_ID if before_id is None else before_id,
        limit,
    )
    messages = [StoredMessage(*row) for row in rows]
    return messages if after_id is None else messages[::-1]


def newest_of_others(
    snapshot: Snapshot, conversation_id: int, user_id: int, *, after: int, up_to: int, limit: int
) -> list[tuple[int, int]]:
    """Others' messages after `after` and up to `up_to`, as `(sender, id)`: the newest `limit`, oldest first."""
    rows = snapshot.messages_up_to(
        up_to,
        "SELECT sender_id, id FROM"
        " (SELECT sender_id, id FROM messages WHERE conversation_id = ? AND id > ? AND id <= ?"
        " ORDER BY id DESC LIMIT ?)"
        " WHERE sender_id <> ? LIMIT ?",
        conversation_id,
        after,
        up_to,
        AUTHORS_WINDOW,
        user_id,
        limit,
    )
    return [(sender, message_id) for sender, message_id in rows[::-1]]


def highest_by_author(
    snapshot: Snapshot, conversation_id: int, user_id: int, *, after: int, up_to: int
) -> list[tuple[int, int]]:
    """Each other author's highest message after `after` and up to `up_to`, as `(sender, id)`, oldest first."""
    cache = snapshot.cache
    asked = (conversation_id, after, up_to)
    rows = None if cache is None else cache.authors.get(asked)
    if rows is None:
        rows = snapshot.messages_up_to(
            up_to,
            "SELECT sender_id, max(id) FROM"
            " (SELECT sender_id, id FROM messages WHERE conversation_id = ? AND id > ? AND id <= ?"
            " ORDER BY id DESC LIMIT ?)"
            " GROUP BY sender_id ORDER BY 2",
            *asked,
            AUTHORS_WINDOW,
        )
        if cache is not None:
            cache.authors[asked] = rows
    return [(sender, message_id) for sender, message_id in rows if sender != user_id]


def highest_of(snapshot: Snapshot, conversation_id: int, sender_id: int, *, up_to: int) -> int | None:
    """A sender's highest message up to `up_to`; None where it is not among the `AUTHORS_WINDOW` before that."""
    row = snapshot.row(
        "SELECT id FROM"
        " (SELECT sender_id, id FROM messages WHERE conversation_id = ? AND id <= ? ORDER BY id DESC LIMIT ?)"
        " WHERE sender_id = ? LIMIT 1",
        conversation_id,
        up_to,
        AUTHORS_WINDOW,
        sender_id,
    )
    return row[0] if row else None
