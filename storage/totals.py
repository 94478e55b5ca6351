"""How much there is of everything, told without a walk over the messages."""

from typing import NamedTuple

from storage import events
from storage.transaction import Snapshot

USERS = "SELECT count(*), count(disabled_at), coalesce(sum(is_admin), 0) FROM users WHERE deleted_at IS NULL"
CONVERSATIONS = (
    "SELECT count(*) FILTER (WHERE type = 'dialog'), count(*) FILTER (WHERE type = 'group'),"
    " coalesce(sum(last_seq), 0) FROM conversations"
)
"""A conversation's messages are numbered without a gap, and none ever goes: so these tell how many there are."""
ATTACHMENTS = "SELECT count(*), coalesce(sum(size), 0) FROM attachments WHERE message_id IS NOT NULL"
SESSIONS = "SELECT count(*) FROM sessions WHERE expires_at > ?"
OLDEST = "SELECT created_at FROM messages ORDER BY id LIMIT 1"
NEWEST = "SELECT created_at FROM messages ORDER BY id DESC LIMIT 1"


class Totals(NamedTuple):
    """Sizes in bytes, times in milliseconds since the epoch."""

    users: int
    disabled: int
    admins: int
    sessions: int
    dialogs: int
    groups: int
    messages: int
    attachments: int
    attachment_bytes: int
    database_bytes: int
    last_event_id: int
    log: str
    oldest_message_at: int | None
    newest_message_at: int | None


def totals(snapshot: Snapshot) -> Totals:
    """All of them, in one view. Walks over users, sessions, conversations and the index of files."""
    users, disabled, admins = _row(snapshot, USERS)
    dialogs, groups, messages = _row(snapshot, CONVERSATIONS)
    attachments, attachment_bytes = _row(snapshot, ATTACHMENTS)
    return Totals(
        users=users,
        disabled=disabled,
        admins=admins,
        sessions=snapshot.value(SESSIONS, snapshot.now),
        dialogs=dialogs,
        groups=groups,
        messages=messages,
        attachments=attachments,
        attachment_bytes=attachment_bytes,
        database_bytes=snapshot.value("PRAGMA page_count") * snapshot.value("PRAGMA page_size"),
        last_event_id=events.tip(snapshot),
        log=events.log_name(snapshot),
        oldest_message_at=_created_at(snapshot, OLDEST),
        newest_message_at=_created_at(snapshot, NEWEST),
    )


def _row(snapshot: Snapshot, sql: str) -> tuple[int, ...]:
    row = snapshot.row(sql)
    assert row is not None
    return row


def _created_at(snapshot: Snapshot, sql: str) -> int | None:
    row = snapshot.row(sql)
    return row[0] if row else None
