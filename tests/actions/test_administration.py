"""What admins do with accounts, on a real store (docs/protocol.md section 1)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from actions import accounts, administration, conversations, messages, sessions, users
from actions.actor import Actor
from actions.sessions import acting
from protocol.commands import (
    ConversationPage,
    CreateConversation,
    HistoryPage,
    Login,
    Refresh,
    Register,
    UserPage,
    UserSearch,
)
from protocol.entities import Account, TokenPair
from protocol.events import ConversationChanged, Fact, SessionEnded, UserUpdated
from storage import Snapshot, Transaction, uploads
from storage.users import StoredUser
from tests.support.store import House, refusal

LIVE = 256


class Plain:
    """Passwords that cost nothing; those of a house are all `no hash`."""

    def __init__(self, then: Callable[[], Any] | None = None) -> None:
        self.then = then

    async def hash(self, password: str) -> str:
        """The password itself."""
        return password

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether it is the same; after that something may happen before the login goes on."""
        if self.then is not None:
            await self.then()
        return encoded == password


async def login(
    house: House, name: str, password: str = "no hash", passwords: Plain | None = None
) -> TokenPair:
    """`accounts.login`."""
    command = Login(email=f"{name}@example.org", password=password)
    return await accounts.login(
        house.store, house.rules, passwords or Plain(), lambda user_id: False, command, "192.0.2.1", "curl"
    )


async def get(house: House, user: Actor) -> Account:
    """`administration.get`."""
    return await house.read(lambda snapshot: administration.get(snapshot, user.user_id))


async def disable(house: House, user: Actor) -> None:
    """`administration.disable`."""
    await house.write(lambda tx: administration.disable(tx, user.user_id))


async def delete(house: House, user: Actor, live_members: int = LIVE) -> list[str]:
    """`administration.delete`."""
    return await house.write(lambda tx: administration.delete(tx, user.user_id, live_members=live_members))


def ended(facts: list[Fact]) -> list[int]:
    """The sessions whose end was told."""
    return [fact.session_id for fact in facts if isinstance(fact, SessionEnded)]


# Finding and listing.


async def test_an_account_is_found_by_its_id_its_email_and_its_username_in_any_case(house: House) -> None:
    anna, digits = await house.person("Anna"), await house.person("1")

    def find(who: str) -> Callable[[Snapshot], StoredUser]:
        return lambda snapshot: administration.find(snapshot, who)

    for who in (str(anna.user_id), "ANNA", "anna", "Anna@Example.org"):
        assert (await house.read(find(who))).id == anna.user_id, who
    # What can be an id is one, whatever else there is.
    assert (await house.read(find("1"))).id == anna.user_id
    assert (await house.read(find("1@example.org"))).id == digits.user_id
    for who in ("", "99", "ann", "anna@", "@", "x" * 400, "a\0", "deleted:1"):
        assert (await refusal(house.read(find(who)))).code == "not_found", who


async def test_accounts_are_listed_newest_first_page_by_page_with_their_sessions(house: House) -> None:
    people = [await house.person(name) for name in ("anna", "Bruno", "cleo")]
    await house.log_in(people[0])
    listed = await house.read(lambda snapshot: administration.listed(snapshot, UserPage()))
    assert [(one["username"], one["sessions"]) for one in listed] == [("cleo", 1), ("Bruno", 1), ("anna", 2)]
    assert listed[2] == {
        "id": people[0].user_id,
        "username": "anna",
        "email": "anna@example.org",
        "is_admin": False,
        "disabled_at": None,
        "created_at": "2026-09-21T14:13:20.000Z",
        "last_seen_at": None,
        "sessions": 2,
    }
    for page, ids in (
        (UserPage(limit=2), [3, 2]),
        (UserPage(before=2), [1]),
        (UserPage(query="BRU"), [2]),
        (UserPage(query="cleo@ex"), [3]),
        (UserPage(query="n"), []),
        (UserPage(query="an", before=1), []),
    ):
        found = await house.read(lambda snapshot, page=page: administration.listed(snapshot, page))  # type: ignore[misc]
        assert [one["id"] for one in found] == ids, page


async def test_an_account_that_matches_twice_is_listed_once(house: House) -> None:
    await house.person("anna")
    found = await house.read(lambda snapshot: administration.listed(snapshot, UserPage(query="anna")))
    assert len(found) == 1


# Adding.


async def test_an_account_is_added_by_the_rules_of_a_registration(house: House) -> None:
    def add(**changes: Any) -> Callable[[Transaction], Any]:
        given = {"email": "anna@example.org", "username": "Anna", "encoded": "secret", "is_admin": True}
        return lambda tx: administration.add(tx, **{**given, **changes})

    assert await house.write(add()) == {"id": 1, "email": "anna@example.org", "username": "Anna"}
    assert (await login(house, "anna", "secret"))["user"]["is_admin"] is True
    for changes, code in (
        ({"username": "anna2"}, "email_taken"),
        ({"email": "b@example.org", "username": "ANNA"}, "username_taken"),
        ({"email": "b@example.org", "username": "a b"}, "invalid"),
        ({"email": "b", "username": "bruno"}, "invalid"),
        ({"email": "b@example.org", "username": "deleted:7"}, "invalid"),
    ):
        assert (await refusal(house.write(add(**changes)))).code == code, changes


# Passwords and sessions.


async def test_a_reset_password_ends_every_session(house: House) -> None:
    anna, bruno = await house.people(2)
    again = await house.log_in(anna)
    house.news()
    await house.write(lambda tx: administration.reset_password(tx, anna.user_id, "new"))
    assert sorted(ended(house.news())) == [anna.session_id, again.session_id]
    for actor, goes_on in ((anna, False), (again, False), (bruno, True)):
        assert await house.read(lambda snapshot, actor=actor: sessions.goes_on(snapshot, actor)) is goes_on  # type: ignore[misc]
    assert (await refusal(login(house, "person1"))).code == "invalid_credentials"
    await login(house, "person1", "new")


async def test_a_users_sessions_are_seen_and_ended_and_no_one_elses(house: House) -> None:
    anna, bruno = await house.people(2)
    again = await house.log_in(anna)
    listed = await house.read(lambda snapshot: administration.sessions_of(snapshot, anna.user_id))
    assert [session["id"] for session in listed] == [again.session_id, anna.session_id]
    assert set(listed[0]) == {"id", "created_at", "last_used_at", "address", "user_agent"}
    unit: Callable[[Transaction], None] = lambda tx: administration.end_session(  # noqa: E731
        tx, anna.user_id, bruno.session_id
    )
    assert (await refusal(house.write(unit))).code == "not_found"
    house.news()
    await house.write(lambda tx: administration.end_session(tx, anna.user_id, again.session_id))
    assert ended(house.news()) == [again.session_id]
    await house.write(lambda tx: administration.end_sessions(tx, anna.user_id))
    assert ended(house.news()) == [anna.session_id]


async def test_sessions_that_expired_a_moment_ago_are_ended_too(house: House) -> None:
    """Their sockets are open until the next clean-up."""
    anna = await house.person()
    house.clock.advance(house.rules.refresh_seconds + 1)
    house.news()
    await disable(house, anna)
    assert ended(house.news()) == [anna.session_id]


# Disabling.


async def test_a_disabled_account_has_no_session_and_gets_none(house: House) -> None:
    anna, bruno = await house.person("anna"), await house.person("bruno")
    tokens = await login(house, "anna")
    dialog = await house.dialog(anna, bruno)
    house.news()
    await disable(house, anna)
    assert len(ended(house.news())) == 2
    error = await refusal(login(house, "anna"))
    assert (error.code, error.status) == ("forbidden", 403)
    assert "disabled" in error.detail
    # Who does not know the password learns nothing.
    assert (await refusal(login(house, "anna", "wrong"))).code == "invalid_credentials"
    refresh = Refresh(refresh_token=tokens["refresh_token"])
    assert (await refusal(sessions.refresh(house.store, house.rules, refresh))).code == "unauthorized"
    # All else stays: members, messages, being found.
    assert (await house.view(bruno, dialog))["members"] == [anna.user_id, bruno.user_id]
    await house.send(bruno, dialog)
    command = UserSearch(query="ann")
    found = await house.read(
        lambda snapshot: users.search(snapshot, house.rules, bruno, command, lambda user_id: False)
    )
    assert [user["id"] for user in found] == [anna.user_id]


async def test_disabling_again_keeps_the_time_and_enabling_lets_in(house: House) -> None:
    anna = await house.person("anna")
    await disable(house, anna)
    first = (await get(house, anna))["disabled_at"]
    assert first == "2026-09-21T14:13:20.000Z"
    house.clock.advance(60)
    await disable(house, anna)
    assert (await get(house, anna))["disabled_at"] == first
    await house.write(lambda tx: administration.enable(tx, anna.user_id))
    assert (await get(house, anna))["disabled_at"] is None
    await login(house, "anna")


@pytest.mark.parametrize(("act", "code"), [(disable, "forbidden"), (delete, "invalid_credentials")])
async def test_a_login_whose_password_was_being_checked_makes_no_session(
    house: House, act: Callable[[House, Actor], Any], code: str
) -> None:
    anna = await house.person("anna")
    passwords = Plain(then=lambda: act(house, anna))
    assert (await refusal(login(house, "anna", passwords=passwords))).code == code
    assert await house.read(lambda snapshot: snapshot.value("SELECT count(*) FROM sessions")) == 0


async def test_a_login_in_the_same_commit_as_the_disabling_does_not_survive(house: House) -> None:
    anna = await house.person("anna")
    for first in (True, False):
        await house.write(lambda tx: administration.enable(tx, anna.user_id))
        units = [login(house, "anna"), disable(house, anna)]
        await asyncio.gather(*(units if first else units[::-1]), return_exceptions=True)
        await disable(house, anna)
        assert await house.read(lambda snapshot: snapshot.value("SELECT count(*) FROM sessions")) == 0


# Deleting.


async def test_a_deleted_account_has_nothing_personal_left(house: House) -> None:
    anna, bruno = await house.person("anna"), await house.person("bruno")
    await house.write(lambda tx: users.seen(tx, [anna.user_id], tx.now))
    await house.write(lambda tx: administration.set_admin(tx, anna.user_id, True))
    await disable(house, anna)
    dialog = await house.dialog(anna, bruno)
    await delete(house, anna)
    dump = await house.read(lambda snapshot: "\n".join(snapshot.db.iterdump()))
    assert "deleted:1" in dump
    for word in ("anna", "jti1"):
        assert word not in dump, word
    row = "SELECT is_admin, last_seen_at, disabled_at, password FROM users WHERE id = 1"
    assert await house.read(lambda snapshot: snapshot.row(row)) == (0, None, None, "")
    # The hub notes when who had a socket went, some seconds later.
    await house.write(lambda tx: users.seen(tx, [anna.user_id], tx.now))
    assert (await house.read(lambda snapshot: snapshot.row(row)))[1] is None  # type: ignore[index]
    assert (await house.view(bruno, dialog))["members"] == [anna.user_id, bruno.user_id]


async def test_nobody_logs_in_to_a_deleted_account_and_its_email_is_free(house: House) -> None:
    anna = await house.person("anna")
    await delete(house, anna)
    assert (await refusal(login(house, "anna"))).code == "invalid_credentials"
    for email in ("deleted:1", ""):
        command = Login(email=email, password="")
        attempt = accounts.login(
            house.store, house.rules, Plain(), lambda user_id: False, command, "192.0.2.1", ""
        )
        assert (await refusal(attempt)).code == "invalid_credentials", email
    register = Register(email="anna@example.org", username="anna", password="password")
    made = await accounts.register(house.store, house.rules, Plain(), register, "192.0.2.1")
    assert made["id"] != anna.user_id
    for name in ("deleted:2", "deleted：2"):
        taken = Register(email="b@example.org", username=name, password="password")
        attempt = accounts.register(house.store, house.rules, Plain(), taken, "192.0.2.1")  # type: ignore[assignment]
        assert (await refusal(attempt)).code == "invalid"


async def test_who_is_deleted_leaves_all_groups_and_contacts_hear_of_the_name_first(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    dialog, group = await house.dialog(anna, cleo), await house.group(anna, bruno, cleo)
    large, alone = await house.group(bruno, anna, cleo, await house.person()), await house.group(anna)
    sent = await house.send(anna, group)
    house.news()
    await delete(house, anna, live_members=3)
    session, renamed, *changed = house.news()
    assert session == SessionEnded(anna.session_id, anna.user_id)
    assert isinstance(renamed, UserUpdated)
    assert (renamed.username, renamed.last_seen_at) == ("deleted:1", None)
    assert sorted(renamed.conversations) == sorted((dialog, group, alone))
    assert [fact.conversation["id"] for fact in changed if isinstance(fact, ConversationChanged)] == [
        group,
        large,
        alone,
    ]
    for fact in changed:
        assert isinstance(fact, ConversationChanged)
        assert (fact.removed, anna.user_id in fact.conversation["members"]) == ((anna.user_id,), False)
    # A group has an owner, and what was said stays.
    roles = await house.read(lambda snapshot: snapshot.rows(OWNERS, group))
    assert roles == [(bruno.user_id,)]
    history, _ = await house.read(
        lambda snapshot: messages.history(snapshot, house.rules, bruno, group, HistoryPage())
    )
    assert [(message["id"], message["sender_id"]) for message in history] == [(sent["id"], anna.user_id)]


OWNERS = "SELECT user_id FROM members WHERE conversation_id = ? AND role = 'owner'"


async def test_for_those_who_look_for_company_a_deleted_user_is_none(house: House) -> None:
    anna, bruno, cleo = [await house.person(name) for name in ("anna", "bruno", "cleo")]
    dialog = await house.dialog(anna, bruno)
    await delete(house, anna)

    def online(user_id: int) -> bool:
        return False

    for query in ("anna", "deleted"):
        command = UserSearch(query=query)
        found = await house.read(
            lambda snapshot, command=command: users.search(snapshot, house.rules, bruno, command, online)  # type: ignore[misc]
        )
        assert found == []
    # Who has messages of it still learns what it is called.
    seen = await house.read(lambda snapshot: users.get(snapshot, house.rules, bruno, anna.user_id, online))
    assert seen == {"id": anna.user_id, "username": "deleted:1", "online": False, "last_seen_at": None}
    for kind in ("dialog", "group"):
        create = CreateConversation.model_validate({"type": kind, "members": [anna.user_id]})
        assert (await refusal(house.create(cleo, create))).errors == [
            {"field": "members.0", "message": "there is no such user"}
        ]
    # The dialog that there is stays, and is found as ever.
    assert await house.dialog(bruno, anna) == dialog
    listed = await house.read(
        lambda snapshot: conversations.listed(snapshot, house.rules, bruno, ConversationPage())
    )
    assert [view["id"] for view in listed] == [dialog]


async def test_what_a_deleted_user_has_not_sent_goes_and_what_it_has_stays(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)

    def upload(tx: Transaction, name: str) -> int:
        number = uploads.insert(
            tx, uploader_id=anna.user_id, filename=name, content_type="a/b", declared_size=3
        )
        if name != "waiting":
            uploads.record(tx, uploads.require_unsent(tx, number), f"key of {name}", 3)
        return number

    sent, _, _ = [
        await house.write(lambda tx, name=name: upload(tx, name))  # type: ignore[misc]
        for name in ("sent", "ready", "waiting")
    ]
    await house.send(anna, dialog, "", attachments=[sent])
    assert await delete(house, anna) == ["key of ready"]
    assert await house.read(lambda snapshot: snapshot.rows("SELECT id FROM attachments")) == [(sent,)]
    assert await house.read(
        acting(bruno, lambda snapshot: uploads.is_readable(snapshot, sent, bruno.user_id))
    )


async def test_a_deleted_account_is_none_for_admins_either(house: House) -> None:
    anna = await house.person("anna")
    await delete(house, anna)
    user_id = anna.user_id
    attempts: list[Callable[[Transaction], object]] = [
        lambda tx: administration.find(tx, str(user_id)),
        lambda tx: administration.find(tx, "deleted:1"),
        lambda tx: administration.get(tx, user_id),
        lambda tx: administration.reset_password(tx, user_id, "x"),
        lambda tx: administration.disable(tx, user_id),
        lambda tx: administration.enable(tx, user_id),
        lambda tx: administration.set_admin(tx, user_id, True),
        lambda tx: administration.delete(tx, user_id, live_members=LIVE),
        lambda tx: administration.sessions_of(tx, user_id),
        lambda tx: administration.end_sessions(tx, user_id),
        lambda tx: administration.end_session(tx, user_id, anna.session_id),
    ]
    for attempt in attempts:
        assert (await refusal(house.write(attempt))).code == "not_found"
    assert await house.read(lambda snapshot: administration.listed(snapshot, UserPage())) == []


# How much there is.


async def test_the_statistics_count_what_there_is(house: House) -> None:
    empty = await house.read(administration.stats)
    assert (empty["users"], empty["messages"], empty["oldest_message_at"]) == (0, 0, None)
    anna, bruno, cleo, dora = await house.people(4)
    dialog, group = await house.dialog(anna, bruno), await house.group(anna, cleo)

    def upload(tx: Transaction) -> int:
        number = uploads.insert(
            tx, uploader_id=anna.user_id, filename="a", content_type="a/b", declared_size=3
        )
        uploads.record(tx, uploads.require_unsent(tx, number), f"key{number}", 3)
        return number

    first, second, _ = [await house.write(upload) for _ in range(3)]
    await house.send(anna, dialog, attachments=[first, second])
    house.clock.advance(60)
    for _ in range(3):
        last = await house.send(cleo, group)
    await house.write(lambda tx: administration.set_admin(tx, anna.user_id, True))
    await disable(house, bruno)
    await delete(house, dora)
    found = await house.read(administration.stats)
    assert found["log"]
    assert found["database_bytes"] > 4096
    assert found == {
        **found,
        "users": 3,
        "disabled": 1,
        "admins": 1,
        "sessions": 2,
        "dialogs": 1,
        "groups": 1,
        "messages": 4,
        "attachments": 2,
        "attachment_bytes": 6,
        "last_event_id": last["id"] + 1,
        "oldest_message_at": "2026-09-21T14:13:20.000Z",
        "newest_message_at": last["created_at"],
    }
    # Within a transaction too, where messages may wait to be written.
    assert await house.write(administration.stats) == found
