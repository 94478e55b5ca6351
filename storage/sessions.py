"""Sessions (logins), as rows. Each has its refresh tokens in `storage.refresh_tokens`."""

from typing import NamedTuple

from storage import refresh_tokens
from storage.transaction import Snapshot, Transaction


class StoredSession(NamedTuple):
    """A session's row. Times in milliseconds since the epoch."""

    id: int
    user_id: int
    created_at: int
    last_used_at: int
    address: str
    user_agent: str


_COLUMNS = "id, user_id, created_at, last_used_at, address, user_agent"


def insert(
    tx: Transaction, *, user_id: int, refresh_id: str, expires_at: int, address: str, user_agent: str
) -> int:
    """A new session, with the `jti` of its first refresh token; its id, never given before."""
    cursor = tx.execute(
        "INSERT INTO sessions (user_id, created_at, last_used_at, expires_at, address, user_agent)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        user_id, tx.now, tx.now, expires_at, address, user_agent,
    )  # fmt: skip
    assert cursor.lastrowid is not None
    refresh_tokens.insert(tx, cursor.lastrowid, refresh_id, expires_at)
    return cursor.lastrowid


def is_live(snapshot: Snapshot, session_id: int, user_id: int) -> bool:
    """Whether this is a session of the user's that has not ended."""
    cache = snapshot.cache
    expires_at: int | None = None if cache is None else cache.sessions.get((session_id, user_id))
    if expires_at is None:
        row = snapshot.unchanged_row(
            "SELECT expires_at FROM sessions WHERE id = ? AND user_id = ?", session_id, user_id
        )
        if row is None:
            return False
        expires_at = int(row[0])
        if cache is not None:
            cache.sessions[session_id, user_id] = expires_at
    return expires_at > snapshot.now


def by_id(snapshot: Snapshot, session_id: int) -> StoredSession | None:
    """The session, unless it has ended."""
    row = snapshot.row(
        f"SELECT {_COLUMNS} FROM sessions WHERE id = ? AND expires_at > ?", session_id, snapshot.now
    )
    return StoredSession(*row) if row else None


def of_user(snapshot: Snapshot, user_id: int) -> list[StoredSession]:
    """A user's sessions, newest first."""
    rows = snapshot.rows(
        f"SELECT {_COLUMNS} FROM sessions WHERE user_id = ? AND expires_at > ? ORDER BY id DESC",
        user_id,
        snapshot.now,
    )
    return [StoredSession(*row) for row in rows]


def ids_of_user(snapshot: Snapshot, user_id: int) -> list[int]:
    """All of a user's sessions, newest first; those that have expired and stand here still among them."""
    rows = snapshot.rows("SELECT id FROM sessions WHERE user_id = ? ORDER BY id DESC", user_id)
    return [session_id for (session_id,) in rows]


def touch(tx: Transaction, session_id: int) -> None:
    """The session was used now."""
    tx.execute("UPDATE sessions SET last_used_at = ? WHERE id = ?", tx.now, session_id)


def extend(tx: Transaction, session_id: int, expires_at: int) -> None:
    """The session lasts until then."""
    tx.execute("UPDATE sessions SET expires_at = ? WHERE id = ?", expires_at, session_id)


def delete(tx: Transaction, session_id: int) -> None:
    """End a session: its tokens are dead from the commit on."""
    refresh_tokens.delete_all(tx, session_id)
    tx.execute("DELETE FROM sessions WHERE id = ?", session_id)


def expired(snapshot: Snapshot, limit: int) -> list[tuple[int, int]]:
    """Sessions whose refresh token has run out, as `(id, user_id)`."""
    return [
        (row[0], row[1])
        for row in snapshot.rows(
            "SELECT id, user_id FROM sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
            snapshot.now,
            limit,
        )
    ]
