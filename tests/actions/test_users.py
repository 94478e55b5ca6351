"""Users, as they see themselves and each other (docs/protocol.md section 2)."""

import dataclasses
from collections.abc import Collection
from typing import Any

import pytest

from actions import members, users
from actions.actor import Actor
from protocol import names
from protocol.commands import AddMembers, UserSearch
from protocol.entities import User
from storage import Transaction
from storage import users as stored_users
from tests.support.store import House, refusal


def online(*actors: Actor) -> users.Presence:
    """A presence in which these are online."""
    ids = {actor.user_id for actor in actors}
    return lambda user_id: user_id in ids


async def get(house: House, actor: Actor, user_id: int, presence: users.Presence) -> User:
    """`users.get`."""
    return await house.read(lambda snapshot: users.get(snapshot, house.rules, actor, user_id, presence))


async def found(house: House, actor: Actor, query: str, **more: Any) -> list[str]:
    """The usernames that a search finds."""
    command = UserSearch(query=query, **more)
    users_found = await house.read(
        lambda snapshot: users.search(snapshot, house.rules, actor, command, online())
    )
    return [user["username"] for user in users_found]


async def register_all(house: House, usernames: Collection[str]) -> None:
    """Accounts with these names."""

    def unit(tx: Transaction) -> None:
        for name in usernames:
            stored_users.insert(
                tx,
                username=names.username(name),
                username_key=names.username_key(name),
                email=name,
                email_key=name,
                password="",
                is_admin=False,
            )

    await house.write(unit)


async def test_one_sees_all_of_oneself(house: House) -> None:
    anna = await house.person("Anna")
    assert await house.read(lambda snapshot: users.me(snapshot, anna, online(anna))) == {
        "id": anna.user_id,
        "username": "Anna",
        "online": True,
        "last_seen_at": None,
        "email": "Anna@example.org",
        "is_admin": False,
        "created_at": "2026-09-21T14:13:20.000Z",
    }


async def test_contacts_see_when_one_is_there_and_all_others_do_not(house: House) -> None:
    anna, bruno, stranger = await house.people(3)
    await house.dialog(anna, bruno)
    await house.group(anna, stranger)
    await house.group(bruno)
    await house.write(lambda tx: users.seen(tx, [anna.user_id, bruno.user_id], tx.now))
    seen = {
        "id": anna.user_id,
        "username": "person1",
        "online": True,
        "last_seen_at": "2026-09-21T14:13:20.000Z",
    }
    unseen = {"id": bruno.user_id, "username": "person2", "online": False, "last_seen_at": None}
    everyone = online(anna, bruno, stranger)
    assert await get(house, bruno, anna.user_id, everyone) == seen
    assert await get(house, stranger, anna.user_id, everyone) == seen
    assert await get(house, anna, anna.user_id, everyone) == seen
    # Both know anna; that makes them no contacts.
    assert await get(house, stranger, bruno.user_id, everyone) == unseen


async def test_who_left_the_last_common_conversation_is_no_contact_any_more(house: House) -> None:
    anna, bruno = await house.people(2)
    one, two = await house.group(anna, bruno), await house.group(anna, bruno)
    for group, is_near in ((one, True), (two, False)):
        await house.write(lambda tx, at=group: members.remove(tx, bruno, at, bruno.user_id))  # type: ignore[misc]
        assert (await get(house, anna, bruno.user_id, online(bruno)))["online"] == is_near
        assert (await get(house, bruno, anna.user_id, online(anna)))["online"] == is_near


async def test_large_conversations_make_no_contacts(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    house.rules = dataclasses.replace(house.rules, live_members=2)
    group = await house.group(anna, bruno)
    assert (await get(house, anna, bruno.user_id, online(bruno)))["online"]
    await house.write(
        lambda tx: members.add(tx, house.rules, anna, group, AddMembers(members=[cleo.user_id]))
    )
    assert not (await get(house, anna, bruno.user_id, online(bruno)))["online"]
    assert (await get(house, anna, anna.user_id, online(anna)))["online"]


async def test_who_does_not_exist_is_not_found(house: House) -> None:
    anna = await house.person()
    for user_id in (99, 2**53 - 1):
        assert (await refusal(get(house, anna, user_id, online()))).code == "not_found"


async def test_being_seen_is_noted_for_those_who_exist(house: House) -> None:
    anna, bruno = await house.people(2)
    await house.write(lambda tx: users.seen(tx, [anna.user_id, 99], tx.now - 1500))
    me = await house.read(lambda snapshot: users.me(snapshot, anna, online()))
    assert me["last_seen_at"] == "2026-09-21T14:13:18.500Z"
    assert (await house.read(lambda snapshot: users.me(snapshot, bruno, online())))["last_seen_at"] is None


@pytest.mark.parametrize(
    "query, names_found",
    [
        ("ann", ["ann", "anna", "Annabel", "ＡＮＮＩＥ"]),
        ("ANNA", ["anna", "Annabel"]),
        ("ａｎｎａ", ["anna", "Annabel"]),
        ("an", ["ann", "anna", "Annabel", "ＡＮＮＩＥ"]),
        ("анн", ["Анна"]),
        ("АННА", ["Анна"]),
        ("stras", ["Straße"]),
        ("straß", ["Straße"]),
        ("李", ["李小龙"]),
        ("𠮷", ["𠮷野家の人"]),
        ("%", []),
        ("_", ["_under"]),
        ("a%", []),
        ("a_n", []),
        ("nna", []),
        ("annabelle", []),
        ("\U0010ffff", []),
        ("'", []),
        ("ann ", []),
    ],
)
async def test_a_search_matches_the_start_of_the_name_without_case_in_any_script(
    house: House, query: str, names_found: list[str]
) -> None:
    someone = await house.person("searcher")
    everyone = [
        "Annabel",
        "anna",
        "ann",
        "ＡＮＮＩＥ",
        "Анна",
        "Straße",
        "李小龙",
        "𠮷野家の人",
        "_under",
        "bnn",
        "zoë",
    ]
    await register_all(house, everyone)
    assert await found(house, someone, query) == [names.username(name) for name in names_found]


async def test_a_search_finds_no_more_than_asked_for_in_the_order_of_the_names(house: House) -> None:
    someone = await house.person("searcher")
    everyone = [f"user{number:03}" for number in range(250)]
    await register_all(house, everyone[::-1])
    assert await found(house, someone, "user") == everyone[:20]
    assert await found(house, someone, "user", limit=1) == everyone[:1]
    assert await found(house, someone, "user", limit=200) == everyone[:200]


async def test_a_search_tells_no_more_of_a_user_than_a_look_does(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    await house.dialog(anna, bruno)
    everyone = online(anna, bruno, cleo)
    command = UserSearch(query="person")
    seen = await house.read(lambda snapshot: users.search(snapshot, house.rules, anna, command, everyone))
    assert [user["online"] for user in seen] == [True, True, False]
    assert seen == [await get(house, anna, actor.user_id, everyone) for actor in (anna, bruno, cleo)]
