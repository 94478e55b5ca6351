"""What our own servers among the peers keep, and in which way: tables like Beseda's, each commit on the disk."""

import sqlite3
import time
from pathlib import Path
from typing import Any

ROOMS = "rooms.txt"
SCHEMA = """
CREATE TABLE conversations (
    id              INTEGER PRIMARY KEY,
    last_seq        INTEGER NOT NULL DEFAULT 0,
    last_message_id INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE messages (
    id              INTEGER PRIMARY KEY,
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    sender_id       INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    temp_id         TEXT    NOT NULL,
    text            TEXT    NOT NULL
) STRICT;
CREATE INDEX messages_by_conversation ON messages (conversation_id, id, sender_id);
CREATE UNIQUE INDEX messages_by_temp_id ON messages (sender_id, temp_id);
"""
INSERT = """
INSERT INTO messages (conversation_id, seq, sender_id, created_at, temp_id, text)
SELECT id, last_seq + 1, ?, ?, ?, ? FROM conversations WHERE id = ?
RETURNING id, seq
"""
UPDATE = "UPDATE conversations SET last_seq = ?, last_message_id = ? WHERE id = ?"

Rooms = dict[int, list[int]]
"""The members of each conversation: people by their indexes from 0, conversations from 1."""
Event = dict[str, Any]


def rooms(folder: Path) -> Rooms:
    """What `bench.peers.script` wrote: a line for each conversation."""
    lines = (folder / ROOMS).read_text().splitlines()
    return {number: [int(index) for index in line.split()] for number, line in enumerate(lines, 1)}


def opened(folder: Path, conversations: Rooms) -> sqlite3.Connection:
    """A fresh database; it begins no transactions by itself, and may be handed from thread to thread."""
    database = sqlite3.connect(folder / "messages.db", isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.executescript(SCHEMA)
    database.executemany("INSERT INTO conversations (id) VALUES (?)", [(number,) for number in conversations])
    return database


def store(database: sqlite3.Connection, sender: int, frame: Event) -> Event:
    """Insert what a `send_message` says; the message as it is told to others."""
    now = time.time_ns() // 1_000_000
    conversation, text = frame["conversation_id"], frame["text"]
    number, seq = database.execute(INSERT, (sender, now, frame["temp_id"], text, conversation)).fetchone()
    database.execute(UPDATE, (seq, number, conversation))
    return {
        "id": number,
        "conversation_id": conversation,
        "seq": seq,
        "sender_id": sender,
        "text": text,
        "attachments": [],
        "created_at": now,
    }


def store_at_once(database: sqlite3.Connection, sender: int, frame: Event) -> Event:
    """`store`, in a transaction of its own: once it returns, the message is on the disk."""
    database.execute("BEGIN IMMEDIATE")
    message = store(database, sender, frame)
    database.execute("COMMIT")
    return message


def told(message: Event) -> Event:
    """The event for the other members."""
    return {
        "type": "new_message",
        "event_id": message["id"],
        "conversation_id": message["conversation_id"],
        "message": message,
    }


def acknowledged(message: Event, temp_id: str) -> Event:
    """The event for the sender."""
    return {"type": "message_sent", **answered(message, temp_id)}


def answered(message: Event, temp_id: str) -> Event:
    """What the sender is told."""
    return {"temp_id": temp_id, "event_id": message["id"], "message": {**message, "temp_id": temp_id}}
