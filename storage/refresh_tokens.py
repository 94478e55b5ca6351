"""A session's refresh tokens, as rows: the one that counts, and those before it that may still be asked for."""

from typing import NamedTuple

from storage.transaction import Snapshot, Transaction


class StoredToken(NamedTuple):
    """A token's row. Times in milliseconds since the epoch; `used_at` is its first use."""

    jti: str
    issued_at: int
    expires_at: int
    used_at: int | None
    successor: str | None


def insert(tx: Transaction, session_id: int, jti: str, expires_at: int) -> None:
    """A token that is issued now."""
    tx.execute(
        "INSERT INTO refresh_tokens (session_id, jti, issued_at, expires_at) VALUES (?, ?, ?, ?)",
        session_id,
        jti,
        tx.now,
        expires_at,
    )


def find(snapshot: Snapshot, session_id: int, jti: str) -> StoredToken | None:
    """The session's token with this `jti`; None for one that was replaced too long ago."""
    row = snapshot.row(
        "SELECT jti, issued_at, expires_at, used_at, successor FROM refresh_tokens"
        " WHERE session_id = ? AND jti = ?",
        session_id,
        jti,
    )
    return StoredToken(*row) if row else None


def use(tx: Transaction, session_id: int, jti: str) -> None:
    """The token is used now; its first use is noted."""
    tx.execute(
        "UPDATE refresh_tokens SET used_at = ? WHERE session_id = ? AND jti = ? AND used_at IS NULL",
        tx.now,
        session_id,
        jti,
    )


def replace(tx: Transaction, session_id: int, jti: str, successor: str, expires_at: int) -> None:
    """The token has this successor from now on."""
    insert(tx, session_id, successor, expires_at)
    tx.execute(
        "UPDATE refresh_tokens SET successor = ? WHERE session_id = ? AND jti = ?", successor, session_id, jti
    )


def forget(tx: Transaction, session_id: int, before: int) -> None:
    """Remove the tokens whose successor was first used before `before`."""
    tx.execute(
        "DELETE FROM refresh_tokens WHERE session_id = ? AND successor IN"
        " (SELECT jti FROM refresh_tokens WHERE session_id = ? AND used_at < ?)",
        session_id,
        session_id,
        before,
    )


def delete_all(tx: Transaction, session_id: int) -> None:
    """Remove all of a session's."""
    tx.execute("DELETE FROM refresh_tokens WHERE session_id = ?", session_id)
