"""Accounts, as rows."""

from typing import NamedTuple

from storage.transaction import Snapshot, Transaction

LAST = "\U0010ffff"
"""No name goes on with it: what begins like a name is before the name and this."""


class StoredUser(NamedTuple):
    """A user's row without its password. Times in milliseconds since the epoch."""

    id: int
    username: str
    email: str
    is_admin: int
    created_at: int
    last_seen_at: int | None
    disabled_at: int | None
    deleted_at: int | None


COLUMNS = "id, username, email, is_admin, created_at, last_seen_at, disabled_at, deleted_at"


def insert(
    tx: Transaction,
    *,
    username: str,
    username_key: str,
    email: str,
    email_key: str,
    password: str,
    is_admin: bool,
) -> int:
    """A new account; its id. The keys must be free."""
    cursor = tx.execute(
        "INSERT INTO users (username, username_key, email, email_key, password, is_admin, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        username, username_key, email, email_key, password, is_admin, tx.now,
    )  # fmt: skip
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def has_any(snapshot: Snapshot) -> bool:
    """Whether anyone has registered yet."""
    return snapshot.row("SELECT 1 FROM users LIMIT 1") is not None


def has_email(snapshot: Snapshot, key: str, besides: int = 0) -> bool:
    """Whether an account, besides this one, has this email."""
    return snapshot.row("SELECT 1 FROM users WHERE email_key = ? AND id <> ?", key, besides) is not None


def has_username(snapshot: Snapshot, key: str, besides: int = 0) -> bool:
    """Whether an account, besides this one, has this username."""
    return snapshot.row("SELECT 1 FROM users WHERE username_key = ? AND id <> ?", key, besides) is not None


def by_id(snapshot: Snapshot, user_id: int) -> StoredUser | None:
    """The user with this id; one that was deleted too, without its name."""
    row = snapshot.row(f"SELECT {COLUMNS} FROM users WHERE id = ?", user_id)
    return StoredUser(*row) if row else None


def credentials(snapshot: Snapshot, email_key: str) -> tuple[int, str] | None:
    """The id and the encoded password of the account with this email."""
    row = snapshot.row("SELECT id, password FROM users WHERE email_key = ? AND deleted_at IS NULL", email_key)
    return (row[0], row[1]) if row else None


def is_disabled(snapshot: Snapshot, user_id: int) -> bool:
    """Whether an admin has disabled the account."""
    row = snapshot.row("SELECT 1 FROM users WHERE id = ? AND disabled_at IS NOT NULL", user_id)
    return row is not None


def update(
    tx: Transaction, user_id: int, *, username: str, username_key: str, email: str, email_key: str
) -> None:
    """Another username, or email. The keys must be free, or the user's own."""
    tx.execute(
        "UPDATE users SET username = ?, username_key = ?, email = ?, email_key = ? WHERE id = ?",
        username, username_key, email, email_key, user_id,
    )  # fmt: skip


def log_change(tx: Transaction, user_id: int) -> int:
    """Log an event that changes how others see the user; its id."""
    event_id = tx.new_event_id()
    tx.execute("UPDATE users SET event_id = ? WHERE id = ?", event_id, user_id)
    return event_id


def password(snapshot: Snapshot, user_id: int) -> str:
    """The encoded password of a user, who must exist."""
    encoded: str = snapshot.value("SELECT password FROM users WHERE id = ?", user_id)
    return encoded


def set_password(tx: Transaction, user_id: int, encoded: str) -> None:
    """Replace the encoded password."""
    tx.execute("UPDATE users SET password = ? WHERE id = ?", encoded, user_id)


def starting_with(snapshot: Snapshot, prefix: str, limit: int) -> list[StoredUser]:
    """Users whose username's key starts with `prefix`, in its order."""
    rows = snapshot.rows(
        f"SELECT {COLUMNS} FROM users WHERE username_key >= ? AND username_key < ? AND deleted_at IS NULL"
        " ORDER BY username_key LIMIT ?",
        prefix,
        prefix + LAST,
        limit,
    )
    return [StoredUser(*row) for row in rows]


def missing(snapshot: Snapshot, ids: list[int]) -> list[int]:
    """Those of `ids` that are no users, or no more."""
    sql = "SELECT 1 FROM users WHERE id = ? AND deleted_at IS NULL"
    return [user_id for user_id in ids if snapshot.row(sql, user_id) is None]


def set_last_seen(tx: Transaction, user_id: int, at: int) -> None:
    """The user was here until `at`; of who was deleted meanwhile it is not kept."""
    tx.execute("UPDATE users SET last_seen_at = ? WHERE id = ? AND deleted_at IS NULL", at, user_id)


def are_contacts(snapshot: Snapshot, user_id: int, other_id: int, live_members: int) -> bool:
    """Whether the two share a conversation of at most `live_members` members."""
    row = snapshot.row(
        "SELECT 1 FROM members mine"
        " JOIN members theirs ON theirs.conversation_id = mine.conversation_id AND theirs.user_id = ?"
        " JOIN conversations c ON c.id = mine.conversation_id AND c.member_count <= ?"
        " WHERE mine.user_id = ? LIMIT 1",
        other_id,
        live_members,
        user_id,
    )
    return row is not None
