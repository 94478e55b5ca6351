"""A past that was made with SQL is one that the server could have left."""

import asyncio
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from bench.listener import listen
from bench.past import GROUPS_EACH, Past, groups_of, make
from bench.process import Server
from bench.rest import Rest
from bench.scale import COUNTED
from storage import database

PEOPLE, SIZE, MESSAGES = 40, 20, 2000
GROUPS = PEOPLE // SIZE * GROUPS_EACH
BEHIND = 400


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return make(tmp_path_factory.mktemp("past") / "data", MESSAGES, PEOPLE, SIZE)


def schema(path: Path) -> set[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return set(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))


def test_it_has_the_schema_of_the_migrations_and_is_whole(past: Past, tmp_path: Path) -> None:
    fresh = tmp_path / database.FILE_NAME
    database.connect(fresh, "off").close()
    path = past.folder / database.FILE_NAME
    assert schema(path) == schema(fresh)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_each_conversations_messages_are_numbered_without_a_gap_and_it_knows_its_last(past: Past) -> None:
    with closing(sqlite3.connect(past.folder / database.FILE_NAME)) as db:
        assert db.execute("SELECT count(*), max(id) FROM messages").fetchone() == (MESSAGES, past.tip)
        assert db.execute("SELECT last_event_id FROM log").fetchone() == (past.tip,)
        for conversation in past.crowd.conversations[:GROUPS]:
            rows = db.execute(
                "SELECT id, seq FROM messages WHERE conversation_id = ? ORDER BY id", (conversation,)
            ).fetchall()
            assert [seq for _, seq in rows] == list(range(1, MESSAGES // GROUPS + 1))
            last = rows[-1][0]
            assert db.execute(
                "SELECT event_id, last_message_id, last_seq FROM conversations WHERE id = ?", (conversation,)
            ).fetchone() == (last, last, len(rows))
        strangers = db.execute(
            "SELECT count(*) FROM messages m WHERE NOT EXISTS (SELECT 1 FROM members"
            " WHERE conversation_id = m.conversation_id AND user_id = m.sender_id)"
        ).fetchone()
        assert strangers == (0,)


async def test_the_server_tells_its_history_and_what_was_missed(past: Past, tmp_path: Path) -> None:
    data_dir = await asyncio.to_thread(past.copy, tmp_path / "data", BEHIND)
    token, conversation = past.crowd.tokens[past.groups[0][0]], past.crowd.conversations[0]
    with Server(data_dir, COUNTED) as server:
        listener = await listen(server.port, token, f"&since={past.tip - BEHIND}")
        await asyncio.wait_for(listener.resumed, 30)
        assert listener.messages == BEHIND // GROUPS * GROUPS_EACH
        rest = Rest(server.port, token)
        [listed] = [one for one in (await rest.call("GET", "/chats")).json() if one["id"] == conversation]
        assert listed["unread_count"] in range(BEHIND // GROUPS - 3, BEHIND // GROUPS + 1), (
            "but for one's own"
        )
        told, before = [], past.tip + 1
        while page := (
            await rest.call("GET", f"/chats/{conversation}/messages?limit=200&before_id={before}")
        ).json():
            told += page
            before = page[-1]["id"]
        body = {"text": "and one more", "temp_id": "1"}
        sent = (await rest.call("POST", f"/chats/{conversation}/messages", body)).json()
        rest.close()
        listener.transport.abort()
    assert [message["seq"] for message in told] == list(range(MESSAGES // GROUPS, 0, -1))
    assert all(earlier["id"] - later["id"] == -GROUPS for later, earlier in pairwise(told))
    assert (sent["seq"], sent["id"] > past.tip) == (MESSAGES // GROUPS + 1, True)


@pytest.mark.parametrize("circle", [40, 200])
def test_everybody_is_in_as_many_groups_and_stays_in_a_circle(circle: int) -> None:
    groups = groups_of(200, 20, 7, circle)
    assert {len(set(group)) for group in groups} == {20}
    for person in range(200):
        mine = [group for group in groups if person in group]
        assert len(mine) == 7
        assert {other // circle for group in mine for other in group} == {person // circle}
