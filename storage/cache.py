"""The writer's write-behind cache: what every message needs to know, and what is written with the next commit.

Only the writer changes the database, so a row it has read stays true until it writes it. Messages and cursors change
these rows here; each table then gets one statement for a whole batch, and SQLite one call where it had hundreds.
"""

import functools
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from protocol.entities import ConversationType, Role
from storage.failures import is_database_failure

MAX_ROWS = 20_000
"""Past so many rows all are forgotten, and read again by whom they concern: some 5 to 12 MiB."""

_MIRRORED = re.compile(r"\b(?:conversations|members|messages|sessions)\b")

CHUNKS = (256, 64, 16, 4, 1)
"""How many rows a statement has: few sizes, so that each stays prepared."""


class Collision(Exception):
    """What was to be written can't be, and of which unit that is nobody knows: nothing of the batch may be kept.

    Most likely a sender has used a `temp_id` before, which only shows now.
    """


class Place(NamedTuple):
    """Where a member stands in a conversation: what most actions must know before anything else."""

    conversation_id: int
    type: ConversationType
    last_seq: int
    last_message_id: int
    member_count: int
    role: Role
    delivered_id: int
    read_id: int


@dataclass(slots=True)
class _Member:
    role: Role
    delivered_id: int
    read_id: int
    moved_event_id: int = 0


@dataclass(slots=True)
class _Conversation:
    type: ConversationType
    last_seq: int
    last_message_id: int
    member_count: int
    members: dict[int, _Member] = field(default_factory=dict)


class Cache:
    """Rows of sessions, conversations and members as they will be once `write` was called."""

    def __init__(self, written: int = 0) -> None:
        self.written = written
        """How many rows it has written, ever."""
        self.sessions: dict[tuple[int, int], int] = {}
        """(session, user) to when it ends, in milliseconds since the epoch."""
        self.authors: dict[tuple[int, int, int], list[tuple[Any, ...]]] = {}
        """Whose messages stand in a conversation after one and up to another: the members of a room, who are handed
        the same, all ask for the same in a batch."""
        self.first_message_id: int | None = None
        """Of the messages that are not written yet."""
        self._conversations: dict[int, _Conversation] = {}
        self._member_count = 0
        self._messages: list[tuple[Any, ...]] = []
        self._posted: dict[int, _Conversation] = {}
        self._moved: dict[tuple[int, int], _Member] = {}

    def place(self, conversation_id: int, user_id: int) -> Place | None:
        """A member's place; None where it is not known."""
        conversation = self._conversations.get(conversation_id)
        member = conversation and conversation.members.get(user_id)
        if not conversation or not member:
            return None
        return Place(
            conversation_id,
            conversation.type,
            conversation.last_seq,
            conversation.last_message_id,
            conversation.member_count,
            member.role,
            member.delivered_id,
            member.read_id,
        )

    def learn(self, user_id: int, read: Place) -> Place:
        """Keep the place that was read; as it is, should the conversation's row be still to be written."""
        conversation = self._conversations.get(read.conversation_id)
        if conversation is None:
            conversation = _Conversation(read.type, read.last_seq, read.last_message_id, read.member_count)
            self._conversations[read.conversation_id] = conversation
        conversation.members[user_id] = _Member(read.role, read.delivered_id, read.read_id)
        self._member_count += 1
        return read._replace(last_seq=conversation.last_seq, last_message_id=conversation.last_message_id)

    def post(self, message_id: int, conversation_id: int, seq: int, row: tuple[Any, ...]) -> bool:
        """Have a message written, and its conversation moved on; False where the conversation is not known."""
        conversation = self._conversations.get(conversation_id)
        if conversation is None:
            return False
        conversation.last_seq, conversation.last_message_id = seq, message_id
        self._posted[conversation_id] = conversation
        self._messages.append(row)
        if self.first_message_id is None:
            self.first_message_id = message_id
        return True

    def move(
        self, conversation_id: int, user_id: int, delivered_id: int, read_id: int, event_id: int
    ) -> bool:
        """Have a member's cursors moved; False where the member is not known."""
        conversation = self._conversations.get(conversation_id)
        member = conversation and conversation.members.get(user_id)
        if not member:
            return False
        member.delivered_id, member.read_id, member.moved_event_id = delivered_id, read_id, event_id
        self._moved[conversation_id, user_id] = member
        return True

    def write(self, db: sqlite3.Connection) -> None:
        """Write what is to be written. Raises Collision, and sqlite3.Error where the database can't."""
        try:
            if self._messages:
                self._write_messages(db)
            if self._moved:
                self._write_cursors(db)
        except Collision:
            raise
        except Exception as error:
            if is_database_failure(error):
                raise
            raise Collision from error

    def forget(self) -> None:
        """Forget all, also what is still to be written: after what changed rows elsewhere, or was rolled back."""
        self.__init__(self.written)  # type: ignore[misc]

    def begin(self) -> None:
        """A batch begins: forget all, where it has become much."""
        self.authors.clear()
        if self._member_count + len(self.sessions) > MAX_ROWS:
            self.forget()

    def _write_messages(self, db: sqlite3.Connection) -> None:
        written = _in_chunks(
            db,
            "INSERT INTO messages"
            " (id, conversation_id, seq, sender_id, created_at, attachment_count, temp_id, text) VALUES {rows}"
            " ON CONFLICT (sender_id, temp_id) WHERE temp_id IS NOT NULL DO NOTHING",
            self._messages,
        )
        self.written += written
        if written != len(self._messages):
            raise Collision
        self.written += _in_chunks(
            db,
            "UPDATE conversations SET event_id = new.column3, last_seq = new.column2, last_message_id = new.column3"
            " FROM (VALUES {rows}) AS new WHERE id = new.column1",
            [(id_, posted.last_seq, posted.last_message_id) for id_, posted in self._posted.items()],
        )
        self._messages.clear()
        self._posted.clear()
        self.first_message_id = None

    def _write_cursors(self, db: sqlite3.Connection) -> None:
        self.written += _in_chunks(
            db,
            "UPDATE members SET delivered_id = new.column3, read_id = new.column4, moved_event_id = new.column5"
            " FROM (VALUES {rows}) AS new WHERE conversation_id = new.column1 AND user_id = new.column2",
            [
                (*place, member.delivered_id, member.read_id, member.moved_event_id)
                for place, member in self._moved.items()
            ],
        )
        self._moved.clear()


def _in_chunks(db: sqlite3.Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Run a statement for all rows, many at once; how many rows it changed."""
    changed, at = 0, 0
    for size in CHUNKS:
        while len(rows) - at >= size:
            values = [value for row in rows[at : at + size] for value in row]
            changed += db.execute(_statement(sql, size, len(rows[0])), values).rowcount
            at += size
    return changed


@functools.cache
def is_mirrored(sql: str) -> bool:
    """Whether a statement, which is a constant, may change rows that are known here."""
    return _MIRRORED.search(sql) is not None


@functools.cache
def _statement(sql: str, size: int, width: int) -> str:
    row = f"({', '.join('?' * width)})"
    return sql.format(rows=", ".join([row] * size))
