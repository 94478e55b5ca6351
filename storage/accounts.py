"""Accounts as those who look after the server see and change them, as rows. A deleted one is no account any more."""

from protocol.ids import MAX_ID
from storage.transaction import Row, Snapshot, Transaction
from storage.users import COLUMNS, LAST, StoredUser

_ALL = f"SELECT {COLUMNS} FROM users WHERE deleted_at IS NULL"


def by_id(snapshot: Snapshot, user_id: int) -> StoredUser | None:
    """The account with this id."""
    return _one(snapshot.rows(f"{_ALL} AND id = ?", user_id))


def by_email(snapshot: Snapshot, key: str) -> StoredUser | None:
    """The account with this email."""
    return _one(snapshot.rows(f"{_ALL} AND email_key = ?", key))


def by_username(snapshot: Snapshot, key: str) -> StoredUser | None:
    """The account with this username."""
    return _one(snapshot.rows(f"{_ALL} AND username_key = ?", key))


def page(snapshot: Snapshot, before: int | None, limit: int) -> list[StoredUser]:
    """Accounts, newest first, with ids below `before`."""
    rows = snapshot.rows(
        f"{_ALL} AND id < ? ORDER BY id DESC LIMIT ?", MAX_ID if before is None else before, limit
    )
    return [StoredUser(*row) for row in rows]


def matching(
    snapshot: Snapshot, username_key: str, email_key: str, before: int | None, limit: int
) -> list[StoredUser]:
    """As `page`, of those whose username or email begins so."""
    rows = snapshot.rows(
        f"{_ALL} AND id < ? AND id IN (SELECT id FROM users WHERE username_key >= ? AND username_key < ?"
        " UNION ALL SELECT id FROM users WHERE email_key >= ? AND email_key < ?) ORDER BY id DESC LIMIT ?",
        MAX_ID if before is None else before,
        username_key, username_key + LAST,
        email_key, email_key + LAST,
        limit,
    )  # fmt: skip
    return [StoredUser(*row) for row in rows]


def count_sessions(snapshot: Snapshot, user_id: int) -> int:
    """How many sessions an account has."""
    count: int = snapshot.value(
        "SELECT count(*) FROM sessions WHERE user_id = ? AND expires_at > ?", user_id, snapshot.now
    )
    return count


def has_other_admin(snapshot: Snapshot, user_id: int) -> bool:
    """Whether an admin besides this one can log in."""
    row = snapshot.row(
        "SELECT 1 FROM users WHERE is_admin = 1 AND disabled_at IS NULL AND id <> ? LIMIT 1", user_id
    )
    return row is not None


def first_admin(snapshot: Snapshot) -> int | None:
    """The admin of longest standing who can log in."""
    row = snapshot.row("SELECT id FROM users WHERE is_admin = 1 AND disabled_at IS NULL ORDER BY id LIMIT 1")
    return row[0] if row else None


def set_disabled(tx: Transaction, user_id: int, at: int | None) -> None:
    """Nobody logs in to it since then; None: who knows the password does."""
    tx.execute("UPDATE users SET disabled_at = ? WHERE id = ?", at, user_id)


def set_admin(tx: Transaction, user_id: int, *, is_admin: bool) -> None:
    """Make it an admin's, or not."""
    tx.execute("UPDATE users SET is_admin = ? WHERE id = ?", is_admin, user_id)


def erase(tx: Transaction, user_id: int, username: str) -> None:
    """Remove all that is personal from the row. `username` must be free, and such as nobody can ask for."""
    tx.execute(
        "UPDATE users SET username = ?, username_key = ?, email = '', email_key = ?, password = '', is_admin = 0,"
        " last_seen_at = NULL, disabled_at = NULL, deleted_at = ? WHERE id = ?",
        username, username, username, tx.now, user_id,
    )  # fmt: skip


def _one(rows: list[Row]) -> StoredUser | None:
    return StoredUser(*rows[0]) if rows else None
