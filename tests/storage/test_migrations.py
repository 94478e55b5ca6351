"""Migrations: append-only, transactional, and nothing that was stored under the first schema is ever lost."""

import hashlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actions import conversations, members, messages, sessions, users
from actions.actor import Actor
from protocol.commands import ConversationPage, HistoryPage, Refresh
from storage import Unusable, database, uploads
from tests.support.store import START, House, open_house

ROOT = Path(database.__file__).parents[1]
FIRST_SCHEMA = Path(__file__).with_name("first_schema.sql")
WAIT = 20

RELEASED = {
    "0001_first.sql": "d42dbb1aed8a02111269b526989c18fc069d03c7ebeef8a1abf0275975a08b68",
    "0002_accounts.sql": "366276193cd1175519db3022c8255686092ab2ce7c3287712d041707408c2812",
    "0003_attachments_on_s3.sql": "ace1a39e2655cddc2d6354e19f2b5af69f4c4e68d62f3dd51db440d8467fb41f",
    "0004_resuming.sql": "6431649dd85c767a826f0a19a48c26df02a5d4052c2fa5cc5d62fee75bc5e5d3",
    "0005_administration.sql": "2293a5b1f6dbdfabf2fe9800b55d474529d652bf8bb20ec1eb0e4ec5aeb4b49e",
}
"""The SHA-256 of every migration that was released. A line is added with each new one; none ever changes."""

NAME = "0123456789abcdef"
HOUR = 3_600_000
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "log": [(NAME, 9)],
    "users": [
        (1, "Anna", "anna", "anna@example.org", "anna@example.org", "$argon2id$1", 1, START, START + 5),
        (2, "Бруно", "бруно", "bruno@example.org", "bruno@example.org", "$argon2id$2", 0, START, None),
        (4, "cleo", "cleo", "cleo@example.org", "cleo@example.org", "$argon2id$4", 0, START, None),
    ],
    "sessions": [
        (3, 1, "jti3", START, START, START + HOUR, "127.0.0.1", "curl"),
        (5, 2, "jti5", START, START, START + HOUR, "::1", ""),
    ],
    "conversations": [
        (1, "dialog", None, "1:2", START, 1, 6, 2, 6, 2),
        (2, "group", "Team", None, START, 2, 9, 1, 7, 2),
    ],
    "members": [
        (1, 1, "member", START, 1, 6, 6),
        (1, 2, "member", START, 1, 6, 3),
        (2, 1, "member", START, 2, 7, 0),
        (2, 2, "owner", START, 2, 7, 7),
    ],
    "departures": [(4, 2, 9)],
    "messages": [
        (3, 1, 1, 1, START + 1, 0, "t-1", "hello"),
        (6, 1, 2, 1, START + 2, 1, None, ""),
        (7, 2, 1, 2, START + 3, 0, "t-1", "привет\n👋"),
    ],
    "events": [(1, 1), (2, 2), (4, 2), (9, 2)],
    "attachments": [
        (1, 1, "a.png", "image/png", 3, START, "aa/bb", 3, 6, 0),
        (2, 2, "b.pdf", "application/pdf", None, START, None, None, None, None),
    ],
}
"""Some rows of every table of the first schema."""


def build_first(folder: Path) -> Path:
    """A database as the first release left it."""
    path = folder / database.FILE_NAME
    db = sqlite3.connect(path)
    db.executescript(FIRST_SCHEMA.read_text("utf-8"))
    for table, rows in ROWS.items():
        for row in rows:
            db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    db.execute("PRAGMA user_version = 1")
    db.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
    db.commit()
    db.close()
    return path


def schema(db: sqlite3.Connection) -> set[tuple[str, ...]]:
    """Every table and index, in words that do not depend on how they are laid out."""
    return {
        (kind, name, re.sub(r"\s+|--.*", "", sql or ""))
        for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_schema")
    }


def version(db: sqlite3.Connection) -> int:
    """The schema's version."""
    number: int = db.execute("PRAGMA user_version").fetchone()[0]
    return number


def test_a_released_migration_never_changes() -> None:
    folder = ROOT / "storage" / "migrations"
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.sql")}
    assert found == RELEASED
    assert [int(name.split("_")[0]) for name in sorted(found)] == list(range(1, len(found) + 1))
    assert database.migrations() == [(folder / name).read_text("utf-8") for name in sorted(found)]
    # The tests' copy, from which upgrades are tried, is the first one's.
    assert hashlib.sha256(FIRST_SCHEMA.read_bytes()).hexdigest() == RELEASED["0001_first.sql"]


def test_a_database_of_the_first_schema_loses_nothing_on_its_way_to_the_present_one(tmp_path: Path) -> None:
    path = build_first(tmp_path)
    old = sqlite3.connect(path)
    tables = [name for (name,) in old.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    assert set(ROWS) == {name for name in tables if not name.startswith("sqlite_")}
    columns = {table: [row[1] for row in old.execute(f"PRAGMA table_info({table})")] for table in ROWS}
    old.close()

    db = database.connect(path, "full")
    assert version(db) == len(database.migrations())
    # A column that has moved to another table is looked for there.
    columns["sessions"][2] = "(SELECT jti FROM refresh_tokens WHERE session_id = id)"
    for table, rows in ROWS.items():
        assert rows
        found = db.execute(f"SELECT {', '.join(columns[table])} FROM {table} ORDER BY 1, 2").fetchall()
        assert found == rows, table
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    (tmp_path / "new").mkdir()
    new = database.connect(tmp_path / "new" / database.FILE_NAME, "full")
    assert schema(db) == schema(new)
    assert len(schema(new)) > len(ROWS)
    new.close()
    db.close()


async def test_an_upgraded_database_is_worked_with_as_before(tmp_path: Path) -> None:
    build_first(tmp_path)
    async with open_house(tmp_path) as house:
        anna, bruno = Actor(1, 3), Actor(2, 5)
        for actor, jti in ((anna, "jti3"), (bruno, "jti5")):
            await check_that_the_session_goes_on(house, actor, jti)
        await check_what_anna_sees(house, anna)
        assert (await house.write(lambda tx: uploads.unsent(tx, 2))).files == 1
        # Ids go on where they were: the log's after its last event, those of people and sessions after the highest.
        sent = await house.send(bruno, 1, "and on it goes")
        assert (sent["id"], sent["seq"]) == (10, 3)
        newcomer = await house.person("dora")
        assert (newcomer.user_id, newcomer.session_id) == (5, 6)


async def check_that_the_session_goes_on(house: House, actor: Actor, jti: str) -> None:
    """With the tokens that the first release had issued."""
    tokens = house.rules.tokens
    old = Refresh(refresh_token=tokens.issue_refresh(actor.user_id, actor.session_id, jti))
    answer = await sessions.refresh(house.store, house.rules, old)
    claims = tokens.read(answer["access_token"], "access")
    assert (claims.user_id, claims.session_id) == (actor.user_id, actor.session_id)
    await house.read(lambda snapshot: sessions.require(snapshot, actor))


async def check_what_anna_sees(house: House, anna: Actor) -> None:
    """Her sessions, conversations and messages of the first schema."""

    def online(user_id: int) -> bool:
        return False

    page, everything = HistoryPage(), ConversationPage()
    me = await house.read(lambda snapshot: users.me(snapshot, anna, online))
    assert (me["email"], me["is_admin"]) == ("anna@example.org", True)
    assert [
        session["id"] for session in await house.read(lambda snapshot: sessions.listed(snapshot, anna))
    ] == [3]
    listed = await house.read(lambda snapshot: conversations.listed(snapshot, house.rules, anna, everything))
    assert [(view["id"], view["event_id"], view["unread_count"]) for view in listed] == [(2, 9, 1), (1, 6, 0)]
    history, _ = await house.read(lambda snapshot: messages.history(snapshot, house.rules, anna, 1, page))
    assert [(message["id"], message["seq"], message["text"]) for message in history] == [
        (6, 2, ""),
        (3, 1, "hello"),
    ]
    assert [file["filename"] for file in history[0]["attachments"]] == ["a.png"]
    roles = await house.read(lambda snapshot: members.listed(snapshot, anna, 2))
    assert [(member["username"], member["role"]) for member in roles] == [
        ("Anna", "member"),
        ("Бруно", "owner"),
    ]


SECOND = """
ALTER TABLE users ADD COLUMN motto TEXT NOT NULL DEFAULT '';
UPDATE users SET motto = 'I am ' || username;
"""


def test_later_migrations_run_once_each_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = build_first(tmp_path)
    third = "UPDATE users SET motto = motto || '!';"
    monkeypatch.setattr(database, "migrations", lambda: [FIRST_SCHEMA.read_text("utf-8"), SECOND, third])
    for _ in range(2):
        db = database.connect(path, "full")
        assert version(db) == 3
        assert db.execute("SELECT motto FROM users").fetchall() == [
            ("I am Anna!",),
            ("I am Бруно!",),
            ("I am cleo!",),
        ]
        assert db.execute("SELECT * FROM log").fetchall() == ROWS["log"]
        db.close()


def test_a_migration_that_fails_half_way_leaves_the_version_before_it_and_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, first = build_first(tmp_path), FIRST_SCHEMA.read_text("utf-8")
    monkeypatch.setattr(database, "migrations", lambda: [first, SECOND, "DELETE FROM messages; SELECT oops;"])
    with pytest.raises(Unusable, match="no such column: oops") as caught:
        database.connect(path, "full")
    assert str(path) in str(caught.value)

    db = sqlite3.connect(path)
    assert version(db) == 2  # the one before stands
    assert db.execute("SELECT motto FROM users WHERE id = 1").fetchone() == ("I am Anna",)
    assert db.execute("SELECT * FROM messages").fetchall() == ROWS["messages"]
    db.close()

    monkeypatch.setattr(database, "migrations", lambda: [first, SECOND, "DELETE FROM messages WHERE id = 3;"])
    db = database.connect(path, "full")
    assert version(db) == 3
    assert db.execute("SELECT id FROM messages ORDER BY id").fetchall() == [(6,), (7,)]
    db.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from storage import database

database.migrations = lambda: ["", "DELETE FROM messages; CREATE TABLE half (x); SELECT die();"]
plain = database.connect_alone

def connect(path):
    db = plain(path)
    db.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    db.execute("PRAGMA cache_size = 1")
    return db

database.connect_alone = connect
database.connect(Path(sys.argv[1]), "full")
"""


def test_a_migration_that_is_killed_half_way_has_not_happened(tmp_path: Path) -> None:
    path = build_first(tmp_path)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, os.fspath(path)],
        cwd=ROOT,
        timeout=WAIT,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    db = database.connect(path, "full")
    assert version(db) == len(database.migrations())
    assert db.execute("SELECT * FROM messages").fetchall() == ROWS["messages"]
    assert db.execute("SELECT * FROM sqlite_schema WHERE name = 'half'").fetchall() == []
    db.close()
