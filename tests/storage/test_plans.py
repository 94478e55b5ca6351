"""What the hot paths ask of SQLite: never a walk over a whole table."""

import functools
import re
import sqlite3
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from actions import (
    accounts,
    administration,
    conversations,
    members,
    messages,
    profile,
    receipts,
    replay,
    sessions,
    users,
)
from actions.actor import Actor
from actions.sessions import acting
from protocol.commands import (
    AddMembers,
    ChangePassword,
    ConversationPage,
    CreateConversation,
    Draft,
    HistoryPage,
    Login,
    Refresh,
    Register,
    Rename,
    SetRole,
    UpdateProfile,
    UserLookup,
    UserPage,
    UserSearch,
)
from storage import accounts as stored_accounts
from storage import invites, totals, uploads
from tests.support.store import House, open_house, refusal

SCAN = re.compile(
    r"SCAN (?!\(subquery|CONSTANT ROW|new\b|json_each VIRTUAL TABLE)"
    # From some id on, through everybody's rows.
    r"|SEARCH \w+ USING INTEGER PRIMARY KEY \(rowid[<>]"
)

HARMLESS = {
    # The table has one row.
    "SELECT name FROM log",
    "UPDATE log SET last_event_id = ?",
    "SELECT last_event_id FROM log",
    "SELECT count(*) FROM log",
    # Ends after some of the newest.
    "SELECT id, created_at FROM messages WHERE id <= ? ORDER BY id DESC LIMIT ?",
    # Ends at the first row.
    "SELECT 1 FROM users LIMIT 1",
    # Admins look at what admins have made, a page at a time, and walk over no more than has expired in the last hour.
    f"{invites._SELECT} WHERE id < ? AND {invites._VALID} ORDER BY id DESC LIMIT ?",
    f"{stored_accounts._ALL} AND id < ? ORDER BY id DESC LIMIT ?",
    # Now and then an admin asks: people and conversations are fewer than messages by far, and of files it is an index.
    totals.USERS,
    totals.CONVERSATIONS,
    totals.ATTACHMENTS,
    # The first and the last.
    totals.OLDEST,
    totals.NEWEST,
}
"""Statements whose plan says SCAN, and why that costs nothing."""


class Recorder(sqlite3.Connection):
    """A connection that remembers every statement, with some of the parameters that it was given."""

    seen: ClassVar[dict[str, Any]] = {}

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Remember and execute."""
        Recorder.seen.setdefault(sql, parameters)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Remember and execute."""
        rows = list(parameters)
        if rows:
            Recorder.seen.setdefault(sql, rows[0])
        return super().executemany(sql, rows)


@pytest.fixture
async def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A store whose statements stand in `Recorder.seen`."""
    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Recorder))
    monkeypatch.setattr(Recorder, "seen", {})
    async with open_house(tmp_path) as house:
        yield house


class Plain:
    """Passwords that cost nothing."""

    async def hash(self, password: str) -> str:
        """The password itself."""
        return password

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether it is the same."""
        return encoded == password


def nobody(user_id: int) -> bool:
    """A presence in which nobody is online."""
    return False


async def upload(house: House, actor: Actor) -> int:
    """An attachment that is uploaded, as the actions of attachments do it."""

    def unit(tx: Any) -> int:
        assert uploads.unsent(tx, actor.user_id).files == 0
        attachment_id = uploads.insert(
            tx, uploader_id=actor.user_id, filename="a.png", content_type="image/png", declared_size=3
        )
        uploads.record(tx, uploads.require_unsent(tx, attachment_id), f"key{attachment_id}", 3)
        return attachment_id

    return await house.write(unit)


async def accounts_and_sessions(house: House) -> Actor:
    """Register, log in, refresh, look at sessions, end them."""
    store, rules = house.store, house.rules
    command = Register(email="zoe@example.org", username="zoe", password="password")
    await accounts.register(store, rules, Plain(), command, "")
    login = Login(email="zoe@example.org", password="password")
    tokens = await accounts.login(store, rules, Plain(), lambda user_id: False, login, "127.0.0.1", "")
    for _ in range(2):
        await sessions.refresh(store, rules, Refresh(refresh_token=tokens["refresh_token"], rotate=True))
    claims = rules.tokens.read(tokens["access_token"], "access")
    zoe = Actor(claims.user_id, claims.session_id)
    change = ChangePassword(current_password="password", new_password="password")
    await accounts.change_password(store, rules, Plain(), zoe, change, "")
    other, third = await house.log_in(zoe), await house.log_in(zoe)
    await house.read(acting(zoe, lambda snapshot: sessions.listed(snapshot, zoe)))
    await house.write(acting(zoe, lambda tx: sessions.end(tx, zoe, other.session_id)))
    await house.write(lambda tx: sessions.logout(tx, third))
    await house.write(sessions.end_expired)
    await house.write(lambda tx: sessions.admit(tx, zoe))
    return zoe


async def people(house: House, zoe: Actor, other: Actor) -> None:
    """Look for people, and see them."""
    rules = house.rules
    await house.read(lambda snapshot: users.me(snapshot, zoe, nobody))
    await house.read(lambda snapshot: users.get(snapshot, rules, zoe, other.user_id, nobody))
    await house.read(lambda snapshot: users.search(snapshot, rules, zoe, UserSearch(query="p"), nobody))
    lookup = UserLookup(ids=[other.user_id, zoe.user_id])
    await house.read(lambda snapshot: users.by_ids(snapshot, rules, zoe, lookup, nobody))
    update = UpdateProfile(username="Zoë", email="zoe@example.com", current_password="password")
    await profile.update(house.store, rules, Plain(), nobody, zoe, update, "")
    await house.write(lambda tx: users.seen(tx, [zoe.user_id], tx.now))


async def groups(house: House, zoe: Actor, others: list[Actor]) -> int:
    """Make conversations, find them, change them."""
    rules = house.rules
    group, newcomer = await house.group(zoe, others[0]), others[1].user_id
    await house.dialog(zoe, others[0])
    again = CreateConversation(type="dialog", members=[others[0].user_id])
    await house.write(lambda tx: conversations.create(tx, rules, zoe, again))
    for page in (ConversationPage(), ConversationPage(before=group + 1)):
        await house.read(lambda snapshot, page=page: conversations.listed(snapshot, rules, zoe, page))  # type: ignore[misc]
    await house.write(lambda tx: conversations.rename(tx, rules, zoe, group, Rename(title="Crew")))
    await house.write(lambda tx: members.add(tx, rules, zoe, group, AddMembers(members=[newcomer])))
    await house.read(lambda snapshot: members.listed(snapshot, zoe, group))
    await house.write(lambda tx: members.set_role(tx, zoe, group, newcomer, SetRole(role="owner")))
    await house.write(lambda tx: members.set_role(tx, zoe, group, newcomer, SetRole(role="member")))
    leaver = await house.group(others[0], others[1], others[2])
    await house.write(lambda tx: members.remove(tx, others[0], leaver, others[0].user_id))
    return group


async def talk(house: House, zoe: Actor, other: Actor, group: int) -> None:
    """Send, send again, read back, be read."""
    rules, dialog = house.rules, await house.dialog(zoe, other)
    file = await upload(house, zoe)
    for conversation_id in (dialog, group):
        await house.send(zoe, conversation_id)
        await house.send(zoe, conversation_id, temp_id=f"t{conversation_id}")
        await house.send(zoe, conversation_id, temp_id=f"t{conversation_id}")
        sent = await house.send(other, conversation_id)
        await house.write(
            lambda tx, at=conversation_id, sent=sent: receipts.deliver(tx, rules, zoe, at, sent["id"])  # type: ignore[misc]
        )
        await house.write(
            lambda tx, at=conversation_id, sent=sent: receipts.read(tx, rules, zoe, at, sent["id"])  # type: ignore[misc]
        )
        await house.send(other, conversation_id)
        await house.send(zoe, conversation_id)
    for _ in range(2):
        last = await house.send(zoe, dialog, "", temp_id="with a file", attachments=[file])
    for page in (
        HistoryPage(),
        HistoryPage(before_id=last["id"]),
        HistoryPage(after_id=1),
        HistoryPage(after_id=1, before_id=last["id"]),
    ):
        history, _ = await house.read(
            lambda snapshot, page=page: messages.history(snapshot, rules, zoe, dialog, page)  # type: ignore[misc]
        )
        assert history
    missed = await house.read(lambda snapshot: replay.first_page(snapshot, rules, zoe, 0, 0))
    assert missed is not None
    assert missed.receipts
    assert await house.write(lambda tx: replay.finish(tx, rules, zoe, 0, missed))
    draft = Draft(text="hello")
    stranger = await house.person()
    refused = await refusal(
        house.write(lambda tx: messages.send(tx, rules, stranger, dialog, draft, "t", read=True))
    )
    assert refused.code == "not_found"


async def look_after(house: House) -> None:
    """What admins do with an account, from the first to the last."""
    await house.write(
        lambda tx: administration.add(
            tx, email="max@example.org", username="max", encoded="password", is_admin=True
        )
    )
    found = [
        await house.read(lambda snapshot, who=who: administration.find(snapshot, who))  # type: ignore[misc]
        for who in ("max", "max@example.org")
    ]
    user_id = found[0].id
    for page in (UserPage(), UserPage(query="ma")):
        assert await house.read(lambda snapshot, page=page: administration.listed(snapshot, page))  # type: ignore[misc]
    await house.write(lambda tx: administration.reset_password(tx, user_id, "other"))
    await house.write(lambda tx: administration.disable(tx, user_id))
    await house.write(lambda tx: administration.enable(tx, user_id))
    await house.write(lambda tx: administration.set_admin(tx, user_id, False))
    await house.read(lambda snapshot: administration.sessions_of(snapshot, user_id))
    await house.read(lambda snapshot: stored_accounts.has_other_admin(snapshot, user_id))
    group = await house.group(Actor(user_id, 0), await house.person())
    assert group
    await house.write(lambda tx: administration.delete(tx, user_id, live_members=256))
    assert (await house.read(administration.stats))["messages"]


async def files(house: House, zoe: Actor) -> None:
    """What else is asked of attachments."""
    waiting = await upload(house, zoe)
    assert await house.read(lambda snapshot: uploads.is_readable(snapshot, waiting, zoe.user_id))
    assert await house.read(lambda snapshot: uploads.keys(snapshot, [waiting]))
    assert await house.write(lambda tx: uploads.remove_stale(tx, tx.now + 1, 10))


async def invitations(house: House, zoe: Actor) -> None:
    """Make, find, list, use and revoke them."""

    def unit(tx: Any) -> None:
        one, other = (
            invites.insert(tx, code_hash=code, uses=1, created_by=zoe.user_id, expires_at=None)
            for code in ("one", "other")
        )
        assert invites.by_code(tx, "one") == invites.by_id(tx, one)
        assert [invite.id for invite in invites.page(tx, None, 50)] == [other, one]
        invites.spend(tx, one)
        invites.delete(tx, other)
        invites.delete_expired(tx)
        assert invites.page(tx, None, 50) == []

    await house.write(unit)


async def test_no_statement_of_a_hot_path_scans_a_table(recorded: House) -> None:
    house, others = recorded, await recorded.people(3)
    zoe = await accounts_and_sessions(house)
    await people(house, zoe, others[0])
    group = await groups(house, zoe, others)
    await talk(house, zoe, others[0], group)
    await files(house, zoe)
    await invitations(house, zoe)
    await look_after(house)

    seen = {
        sql: parameters
        for sql, parameters in Recorder.seen.items()
        if re.match("SELECT|INSERT|UPDATE|DELETE", sql)
    }
    assert len(seen) > 50
    tables = await house.read(
        lambda snapshot: snapshot.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")
    )
    for (table,) in tables:
        asked = [sql for sql in seen if re.search(rf"\b(FROM|JOIN|INTO|UPDATE) {table}\b", sql)]
        assert asked or table.startswith("sqlite_"), f"no statement on {table} was seen"

    plans = {sql: await plan(house, sql, parameters) for sql, parameters in seen.items()}
    assert sum(line.startswith("SEARCH") for lines in plans.values() for line in lines) > 40
    scanning = {
        sql: lines for sql, lines in plans.items() if any(map(SCAN.match, lines)) and sql not in HARMLESS
    }
    assert scanning == {}


async def plan(house: House, sql: str, parameters: Any) -> list[str]:
    """How SQLite goes about a statement, in its own words."""
    rows = await house.write(lambda tx: tx.db.execute("EXPLAIN QUERY PLAN " + sql, parameters).fetchall())
    return [row[3] for row in rows]


async def test_a_scan_would_be_noticed(house: House) -> None:
    for sql in (
        "SELECT * FROM messages WHERE text = ?",
        "SELECT * FROM messages WHERE +conversation_id = 7 AND id > ? ORDER BY id LIMIT 50",
        "SELECT count(*) FROM users WHERE username > ?",
    ):
        assert any(map(SCAN.match, await plan(house, sql, ("x",))))


async def test_the_size_of_all_files_is_told_by_an_index_alone(house: House) -> None:
    (line,) = await plan(house, totals.ATTACHMENTS, ())
    assert "COVERING INDEX attachments_by_message" in line
