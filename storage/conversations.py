"""Conversations and the log's events that change them, as rows."""

from protocol.entities import Conversation, ConversationType
from protocol.ids import MAX_ID
from protocol.times import rfc3339
from storage.cache import Place
from storage.transaction import Row, Snapshot, Transaction

UNREAD_CAP = 1000
"""Unread messages are counted up to here (docs/protocol.md section 3)."""

UNREAD_WINDOW = 10 * UNREAD_CAP
"""So many messages behind the cursor are looked at: who posts for ever and never reads piles up its own there."""


_PLACE = (
    "SELECT c.id, c.type, c.last_seq, c.last_message_id, c.member_count, m.role, m.delivered_id, m.read_id"
    " FROM members m JOIN conversations c ON c.id = m.conversation_id"
    " WHERE m.conversation_id = ? AND m.user_id = ?"
)
_COLUMNS = "c.id, c.type, c.title, c.created_at, c.created_by, c.event_id"


def place(snapshot: Snapshot, conversation_id: int, user_id: int) -> Place | None:
    """The conversation seen through one of its members; None for everybody else."""
    cache = snapshot.cache
    known = None if cache is None else cache.place(conversation_id, user_id)
    if known is not None:
        return known
    row = snapshot.unchanged_row(_PLACE, conversation_id, user_id)
    if row is None:
        return None
    return Place(*row) if cache is None else cache.learn(user_id, Place(*row))


def insert(
    tx: Transaction,
    *,
    kind: ConversationType,
    title: str | None,
    dialog_key: str | None,
    created_by: int,
    members: list[int],
) -> int:
    """A new conversation with its members, the creator of a group as owner; its id, which is its first event's."""
    event_id = tx.new_event_id()
    tx.execute(
        "INSERT INTO conversations (id, type, title, dialog_key, created_at, created_by, event_id, member_count)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        event_id, kind, title, dialog_key, tx.now, created_by, event_id, len(members),
    )  # fmt: skip
    tx.execute("INSERT INTO events (id, conversation_id) VALUES (?, ?)", event_id, event_id)
    tx.execute_many(
        "INSERT INTO members (conversation_id, user_id, role, joined_at, joined_event_id, delivered_id, read_id)"
        " VALUES (?, ?, ?, ?, ?, 0, 0)",
        [
            (
                event_id,
                user_id,
                "owner" if user_id == created_by and kind == "group" else "member",
                tx.now,
                event_id,
            )
            for user_id in members
        ],
    )
    return event_id


def change(tx: Transaction, conversation_id: int) -> int:
    """Log an event that changes a conversation; its id."""
    event_id = tx.new_event_id()
    tx.execute("INSERT INTO events (id, conversation_id) VALUES (?, ?)", event_id, conversation_id)
    tx.execute("UPDATE conversations SET event_id = ? WHERE id = ?", event_id, conversation_id)
    return event_id


def rename(tx: Transaction, conversation_id: int, title: str | None) -> None:
    """Set a conversation's title."""
    tx.execute("UPDATE conversations SET title = ? WHERE id = ?", title, conversation_id)


def title(snapshot: Snapshot, conversation_id: int) -> str | None:
    """A conversation's title."""
    found: str | None = snapshot.value("SELECT title FROM conversations WHERE id = ?", conversation_id)
    return found


def dialog_between(snapshot: Snapshot, dialog_key: str) -> int | None:
    """The id of the one dialog with this key."""
    row = snapshot.row("SELECT id FROM conversations WHERE dialog_key = ?", dialog_key)
    return row[0] if row else None


def by_id(snapshot: Snapshot, conversation_id: int) -> Conversation:
    """A conversation as every member sees it. It must exist."""
    row = snapshot.row(f"SELECT {_COLUMNS} FROM conversations c WHERE c.id = ?", conversation_id)
    assert row is not None
    return _conversation(snapshot, row)


def of_user(snapshot: Snapshot, user_id: int, before: int | None, limit: int) -> list[Conversation]:
    """A user's conversations, newest activity first, those whose latest event is before `before`."""
    rows = snapshot.rows(
        f"SELECT {_COLUMNS} FROM members m JOIN conversations c ON c.id = m.conversation_id"
        " WHERE m.user_id = ? AND c.event_id < ? ORDER BY c.event_id DESC LIMIT ?",
        user_id,
        MAX_ID if before is None else before,
        limit,
    )
    return [_conversation(snapshot, row) for row in rows]


def sizes(snapshot: Snapshot, user_id: int) -> tuple[tuple[int, int], ...]:
    """All of a user's conversations, as `(id, number of members)`."""
    return tuple(
        snapshot.rows(
            "SELECT c.id, c.member_count FROM members m JOIN conversations c ON c.id = m.conversation_id"
            " WHERE m.user_id = ?",
            user_id,
        )
    )


def groups_of(snapshot: Snapshot, user_id: int) -> list[int]:
    """The groups that a user is in, oldest first."""
    rows = snapshot.rows(
        "SELECT c.id FROM members m JOIN conversations c ON c.id = m.conversation_id"
        " WHERE m.user_id = ? AND c.type = 'group' ORDER BY c.id",
        user_id,
    )
    return [conversation_id for (conversation_id,) in rows]


def unread_count(snapshot: Snapshot, conversation_id: int, user_id: int, read_id: int) -> int:
    """How many messages of others stand after the cursor, counted up to `UNREAD_CAP`.

    Looked for among the next `UNREAD_WINDOW` messages.
    """
    count: int = snapshot.value(
        "SELECT count(*) FROM (SELECT 1 FROM"
        " (SELECT sender_id FROM messages WHERE conversation_id = ? AND id > ? ORDER BY id LIMIT ?)"
        " WHERE sender_id <> ? LIMIT ?)",
        conversation_id,
        read_id,
        UNREAD_WINDOW,
        user_id,
        UNREAD_CAP,
    )
    return count


def _conversation(snapshot: Snapshot, row: Row) -> Conversation:
    conversation_id, kind, title, created_at, created_by, event_id = row
    members = snapshot.rows(
        "SELECT user_id FROM members WHERE conversation_id = ? ORDER BY user_id", conversation_id
    )
    return {
        "id": conversation_id,
        "type": kind,
        "title": title,
        "members": [user_id for (user_id,) in members],
        "created_at": rfc3339(created_at),
        "created_by": created_by,
        "event_id": event_id,
    }
