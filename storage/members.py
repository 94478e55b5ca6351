"""Who belongs to a conversation, and each one's cursors, as rows."""

from typing import NamedTuple

from protocol.entities import Role
from storage.transaction import Snapshot, Transaction


class StoredMember(NamedTuple):
    """A member's row. `joined_at` in milliseconds since the epoch."""

    user_id: int
    username: str
    role: Role
    joined_at: int
    delivered_id: int
    read_id: int


_SELECT = (
    "SELECT m.user_id, u.username, m.role, m.joined_at, m.delivered_id, m.read_id"
    " FROM members m JOIN users u ON u.id = m.user_id WHERE m.conversation_id = ?"
)


def of_conversation(snapshot: Snapshot, conversation_id: int) -> list[StoredMember]:
    """All members, by user id."""
    return [StoredMember(*row) for row in snapshot.rows(_SELECT + " ORDER BY m.user_id", conversation_id)]


def find(snapshot: Snapshot, conversation_id: int, user_id: int) -> StoredMember | None:
    """One member."""
    row = snapshot.row(_SELECT + " AND m.user_id = ?", conversation_id, user_id)
    return StoredMember(*row) if row else None


def peer(snapshot: Snapshot, conversation_id: int, user_id: int) -> tuple[int, int]:
    """The other member's cursors in a dialog: `(delivered_id, read_id)`."""
    row = snapshot.row(
        "SELECT delivered_id, read_id FROM members WHERE conversation_id = ? AND user_id <> ?",
        conversation_id,
        user_id,
    )
    assert row is not None
    return row[0], row[1]


def insert(tx: Transaction, conversation_id: int, user_ids: list[int], event_id: int, cursor: int) -> None:
    """New members, with their cursors at the message `cursor`."""
    tx.execute_many(
        "INSERT INTO members (conversation_id, user_id, role, joined_at, joined_event_id, delivered_id, read_id)"
        " VALUES (?, ?, 'member', ?, ?, ?, ?)",
        [(conversation_id, user_id, tx.now, event_id, cursor, cursor) for user_id in user_ids],
    )
    tx.execute_many(
        "DELETE FROM departures WHERE user_id = ? AND conversation_id = ?",
        [(user_id, conversation_id) for user_id in user_ids],
    )
    _count(tx, conversation_id, len(user_ids))


def delete(tx: Transaction, conversation_id: int, user_id: int, event_id: int) -> None:
    """A member is gone; the departure is kept for when its client comes back."""
    tx.execute("DELETE FROM members WHERE conversation_id = ? AND user_id = ?", conversation_id, user_id)
    tx.execute("INSERT OR REPLACE INTO departures VALUES (?, ?, ?)", user_id, conversation_id, event_id)
    _count(tx, conversation_id, -1)


def forget_departures(tx: Transaction, user_id: int) -> None:
    """Nobody will come back and ask what it has left."""
    tx.execute("DELETE FROM departures WHERE user_id = ?", user_id)


def set_role(tx: Transaction, conversation_id: int, user_id: int, role: Role) -> None:
    """Make a member owner, or an owner member."""
    tx.execute(
        "UPDATE members SET role = ? WHERE conversation_id = ? AND user_id = ?",
        role,
        conversation_id,
        user_id,
    )


def owners(snapshot: Snapshot, conversation_id: int) -> list[int]:
    """The conversation's owners."""
    rows = snapshot.rows(
        "SELECT user_id FROM members WHERE conversation_id = ? AND role = 'owner'", conversation_id
    )
    return [user_id for (user_id,) in rows]


def longest_standing(snapshot: Snapshot, conversation_id: int) -> int | None:
    """The member who joined first; None where there is none left."""
    row = snapshot.row(
        "SELECT user_id FROM members WHERE conversation_id = ? ORDER BY joined_event_id, user_id LIMIT 1",
        conversation_id,
    )
    return row[0] if row else None


def move_cursors(
    tx: Transaction, conversation_id: int, user_id: int, *, delivered_id: int, read_id: int
) -> None:
    """Set both cursors; whoever calls sees to it that they only move forward."""
    if tx.cache is not None and tx.cache.move(
        conversation_id, user_id, delivered_id, read_id, tx.last_event_id
    ):
        tx.buffered += 1
        return
    tx.execute(
        "UPDATE members SET delivered_id = ?, read_id = ?, moved_event_id = ?"
        " WHERE conversation_id = ? AND user_id = ?",
        delivered_id,
        read_id,
        tx.last_event_id,
        conversation_id,
        user_id,
    )


def _count(tx: Transaction, conversation_id: int, change: int) -> None:
    tx.execute(
        "UPDATE conversations SET member_count = member_count + ? WHERE id = ?", change, conversation_id
    )
