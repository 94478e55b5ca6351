"""Invitations to register, as rows. Of a code only the hash is kept; one that is used up is removed."""

from typing import NamedTuple

from protocol.ids import MAX_ID
from storage.transaction import Snapshot, Transaction


class StoredInvite(NamedTuple):
    """An invitation's row. Times in milliseconds since the epoch; `expires_at` is None for never."""

    id: int
    uses_left: int
    created_at: int
    created_by: int
    expires_at: int | None


_SELECT = "SELECT id, uses_left, created_at, created_by, expires_at FROM invites"
_VALID = "(expires_at IS NULL OR expires_at > ?)"


def insert(tx: Transaction, *, code_hash: str, uses: int, created_by: int, expires_at: int | None) -> int:
    """A new invitation, good for so many registrations; its id."""
    cursor = tx.execute(
        "INSERT INTO invites (code_hash, uses_left, created_at, created_by, expires_at) VALUES (?, ?, ?, ?, ?)",
        code_hash, uses, tx.now, created_by, expires_at,
    )  # fmt: skip
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def by_id(snapshot: Snapshot, invite_id: int) -> StoredInvite | None:
    """The invitation, unless it is used up, revoked or expired."""
    row = snapshot.row(f"{_SELECT} WHERE id = ? AND {_VALID}", invite_id, snapshot.now)
    return StoredInvite(*row) if row else None


def by_code(snapshot: Snapshot, code_hash: str) -> StoredInvite | None:
    """The invitation with this code, unless it is used up, revoked or expired."""
    row = snapshot.row(f"{_SELECT} WHERE code_hash = ? AND {_VALID}", code_hash, snapshot.now)
    return StoredInvite(*row) if row else None


def page(snapshot: Snapshot, before: int | None, limit: int) -> list[StoredInvite]:
    """Those that can still be used, newest first, with ids below `before`."""
    rows = snapshot.rows(
        f"{_SELECT} WHERE id < ? AND {_VALID} ORDER BY id DESC LIMIT ?",
        MAX_ID if before is None else before,
        snapshot.now,
        limit,
    )
    return [StoredInvite(*row) for row in rows]


def spend(tx: Transaction, invite_id: int) -> None:
    """One use less; with the last one the invitation is gone."""
    tx.execute("UPDATE invites SET uses_left = uses_left - 1 WHERE id = ?", invite_id)
    tx.execute("DELETE FROM invites WHERE id = ? AND uses_left = 0", invite_id)


def delete(tx: Transaction, invite_id: int) -> None:
    """Remove an invitation."""
    tx.execute("DELETE FROM invites WHERE id = ?", invite_id)


def delete_expired(tx: Transaction) -> None:
    """Remove those that have expired."""
    tx.execute("DELETE FROM invites WHERE expires_at <= ?", tx.now)
