"""The log as one user has it: the events that concern it, oldest first, by what it is a member of now."""

from typing import Literal, NamedTuple

from protocol.ids import MAX_ID
from storage.transaction import Snapshot

LOOKED_BACK = 2000
"""So many messages are looked at to find what was stored some time before an event."""


class Entry(NamedTuple):
    """An event and what it did; `subject` is a conversation's id, or a user's."""

    event_id: int
    kind: Literal["message", "created", "updated", "removed", "user"]
    subject: int


class Cursors(NamedTuple):
    """How far a member of a conversation has come."""

    conversation_id: int
    user_id: int
    delivered_id: int
    read_id: int


_OF_CONVERSATIONS = (
    "SELECT m.id AS event_id, 'message' AS kind, c.id AS subject FROM members me"
    " JOIN conversations c ON c.id = me.conversation_id AND c.event_id > :after"
    " JOIN messages m ON m.conversation_id = c.id AND m.id > max(:after, me.joined_event_id)"
    " WHERE me.user_id = :user"
    " UNION ALL"
    " SELECT e.id, iif(e.id = me.joined_event_id, 'created', 'updated'), c.id FROM members me"
    " JOIN conversations c ON c.id = me.conversation_id AND c.event_id > :after"
    " JOIN events e ON e.conversation_id = c.id AND e.id > :after AND e.id >= me.joined_event_id"
    " WHERE me.user_id = :user"
    " UNION ALL"
    " SELECT event_id, 'removed', conversation_id FROM departures WHERE user_id = :user AND event_id > :after"
)
_RENAMED = (
    "SELECT u.event_id, 'user', u.id FROM users u"
    " WHERE u.event_id > 0 AND u.event_id > :after AND u.event_id <= :up_to AND (u.id = :user OR EXISTS ("
    "SELECT 1 FROM members me JOIN members they ON they.conversation_id = me.conversation_id AND they.user_id = u.id"
    " JOIN conversations c ON c.id = me.conversation_id AND c.member_count <= :live_members"
    " WHERE me.user_id = :user))"
    " ORDER BY u.event_id"
)


def after(snapshot: Snapshot, user_id: int, event_id: int, *, limit: int, live_members: int) -> list[Entry]:
    """The user's events after `event_id`: the oldest `limit`, and besides them the renamings that lie between.

    Of a conversation the user is in, what follows its latest joining; of one it has left, the leaving alone.
    """
    known = {"user": user_id, "after": event_id}
    rows = snapshot.db.execute(
        f"{_OF_CONVERSATIONS} ORDER BY event_id LIMIT :limit", {**known, "limit": limit}
    )
    entries = [Entry(*row) for row in rows]
    up_to = entries[-1].event_id if len(entries) == limit else MAX_ID
    renamed = snapshot.db.execute(_RENAMED, {**known, "up_to": up_to, "live_members": live_members})
    return sorted([*entries, *(Entry(*row) for row in renamed)])


def are_more(snapshot: Snapshot, user_id: int, event_id: int, limit: int) -> bool:
    """Whether more than `limit` events after `event_id` concern the user, renamings aside."""
    known = {"user": user_id, "after": event_id, "limit": limit}
    row = snapshot.db.execute(f"SELECT 1 FROM ({_OF_CONVERSATIONS}) LIMIT 1 OFFSET :limit", known).fetchone()
    return row is not None


def tip(snapshot: Snapshot) -> int:
    """The log's latest event. A transaction's own are not in it."""
    event_id: int = snapshot.value("SELECT last_event_id FROM log")
    return event_id


def log_name(snapshot: Snapshot) -> str:
    """The log's random name."""
    name: str = snapshot.value("SELECT name FROM log")
    return name


def some_time_before(snapshot: Snapshot, event_id: int, milliseconds: int) -> int:
    """The latest message that is at least so much older than `event_id`; 0 where there is none.

    Looked for among `LOOKED_BACK` messages; if none of them is, the oldest of them.
    """
    newest, oldest = None, 0
    rows = snapshot.db.execute(
        "SELECT id, created_at FROM messages WHERE id <= ? ORDER BY id DESC LIMIT ?", (event_id, LOOKED_BACK)
    )
    for seen, (message_id, created_at) in enumerate(rows, 1):
        newest = created_at if newest is None else newest
        if created_at <= newest - milliseconds or seen == LOOKED_BACK:
            oldest = message_id
            break
    return oldest


def own_cursors(snapshot: Snapshot, user_id: int, since: int) -> list[Cursors]:
    """The user's cursors that moved when `since` was the log's latest event, or later."""
    rows = snapshot.rows(
        "SELECT conversation_id, user_id, delivered_id, read_id FROM members"
        " WHERE user_id = ? AND moved_event_id >= ? AND read_id > 0",
        user_id,
        since,
    )
    return [Cursors(*row) for row in rows]


def peers_cursors(snapshot: Snapshot, user_id: int, since: int) -> list[Cursors]:
    """As `own_cursors`, those of the others in the user's dialogs."""
    rows = snapshot.rows(
        "SELECT they.conversation_id, they.user_id, they.delivered_id, they.read_id FROM members me"
        " JOIN conversations c ON c.id = me.conversation_id AND c.type = 'dialog'"
        " JOIN members they ON they.conversation_id = c.id AND they.user_id <> me.user_id"
        " WHERE me.user_id = ? AND they.moved_event_id >= ?",
        user_id,
        since,
    )
    return [Cursors(*row) for row in rows]
