"""Who belongs to a group, and who may decide about it (docs/protocol.md section 3)."""

import asyncio
import dataclasses
from typing import Literal

import pytest

from actions import members
from actions.actor import Actor
from protocol.commands import AddMembers, SetRole
from protocol.entities import ConversationView, Member
from protocol.events import ConversationChanged
from tests.support.store import House, refusal


async def add(house: House, actor: Actor, group: int, *user_ids: int) -> ConversationView:
    """`members.add`."""
    command = AddMembers(members=list(user_ids))
    return await house.write(lambda tx: members.add(tx, house.rules, actor, group, command))


async def remove(house: House, actor: Actor, group: int, user_id: int) -> None:
    """`members.remove`."""
    await house.write(lambda tx: members.remove(tx, actor, group, user_id))


async def set_role(
    house: House, actor: Actor, group: int, user_id: int, role: Literal["owner", "member"]
) -> Member:
    """`members.set_role`."""
    return await house.write(lambda tx: members.set_role(tx, actor, group, user_id, SetRole(role=role)))


async def listed(house: House, actor: Actor, group: int) -> list[Member]:
    """`members.listed`."""
    return await house.read(lambda snapshot: members.listed(snapshot, actor, group))


async def roles(house: House, actor: Actor, group: int) -> dict[int, str]:
    """Each member's role."""
    return {member["user_id"]: member["role"] for member in await listed(house, actor, group)}


def change(house: House) -> ConversationChanged:
    """The one thing that was told since this was last asked."""
    (told,) = house.news()
    assert isinstance(told, ConversationChanged)
    return told


async def test_members_are_listed_with_role_cursors_and_time(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    group = await house.group(anna, bruno)
    sent = await house.send(anna, group)
    house.clock.advance(60)
    await add(house, anna, group, cleo.user_id)
    assert await listed(house, bruno, group) == [
        {
            "user_id": anna.user_id,
            "username": "person1",
            "role": "owner",
            "joined_at": "2026-09-21T14:13:20.000Z",
            "delivered_id": sent["id"],
            "read_id": sent["id"],
        },
        {
            "user_id": bruno.user_id,
            "username": "person2",
            "role": "member",
            "joined_at": "2026-09-21T14:13:20.000Z",
            "delivered_id": 0,
            "read_id": 0,
        },
        {
            "user_id": cleo.user_id,
            "username": "person3",
            "role": "member",
            "joined_at": "2026-09-21T14:14:20.000Z",
            "delivered_id": sent["id"],
            "read_id": sent["id"],
        },
    ]


async def test_who_is_added_sees_the_history_and_has_nothing_unread(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    group = await house.group(anna, bruno)
    await house.send(anna, group)
    house.news()
    seen = await add(house, anna, group, cleo.user_id)
    assert seen["members"] == [anna.user_id, bruno.user_id, cleo.user_id]
    told = change(house)
    assert (told.added, told.removed) == ((cleo.user_id,), ())
    assert told.event_id == seen["event_id"] == told.conversation["event_id"]
    assert told.conversation["members"] == seen["members"]
    assert (await house.view(cleo, group))["unread_count"] == 0
    await house.send(anna, group)
    assert (await house.view(cleo, group))["unread_count"] == 1


async def test_adding_who_is_in_already_is_no_error_and_no_event(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    group = await house.group(anna, bruno)
    before = await house.view(anna, group)
    house.news()
    assert await add(house, anna, group, bruno.user_id, anna.user_id, bruno.user_id) == before
    assert house.news() == []
    await add(house, anna, group, bruno.user_id, cleo.user_id, cleo.user_id)
    assert change(house).added == (cleo.user_id,)


async def test_a_group_grows_up_to_its_limit_and_no_further(house: House) -> None:
    anna, bruno, cleo, dora = await house.people(4)
    house.rules = dataclasses.replace(house.rules, group_members=3)
    group = await house.group(anna, bruno)
    refused = await refusal(add(house, anna, group, cleo.user_id, dora.user_id))
    assert refused.code == "invalid"
    assert (await refusal(add(house, anna, group, *range(1, 100)))).code == "invalid"
    # Those who are in already do not count.
    seen = await add(house, anna, group, anna.user_id, bruno.user_id, cleo.user_id)
    assert len(seen["members"]) == 3
    await remove(house, anna, group, bruno.user_id)
    await add(house, anna, group, dora.user_id)
    assert (await refusal(add(house, anna, group, bruno.user_id))).code == "invalid"


async def test_who_does_not_exist_is_named_by_its_place_and_nobody_is_added(house: House) -> None:
    anna, bruno = await house.people(2)
    group = await house.group(anna)
    refused = await refusal(add(house, anna, group, bruno.user_id, 99))
    assert [error["field"] for error in refused.errors or []] == ["members.1"]
    assert list(await roles(house, anna, group)) == [anna.user_id]


async def test_only_owners_decide_and_strangers_see_nothing(house: House) -> None:
    anna, bruno, cleo, stranger = await house.people(4)
    group = await house.group(anna, bruno, cleo)
    house.news()
    for actor, code in ((bruno, "forbidden"), (stranger, "not_found")):
        assert (await refusal(add(house, actor, group, stranger.user_id))).code == code
        assert (await refusal(remove(house, actor, group, cleo.user_id))).code == code
        assert (await refusal(set_role(house, actor, group, bruno.user_id, "owner"))).code == code
    assert (await refusal(listed(house, stranger, group))).code == "not_found"
    assert house.news() == []
    assert list(await roles(house, anna, group)) == [anna.user_id, bruno.user_id, cleo.user_id]


async def test_a_dialogs_members_never_change(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    dialog = await house.dialog(anna, bruno)
    assert (await refusal(add(house, anna, dialog, cleo.user_id))).code == "forbidden"
    for user_id in (anna.user_id, bruno.user_id):
        assert (await refusal(remove(house, anna, dialog, user_id))).code == "forbidden"
    assert (await refusal(set_role(house, anna, dialog, anna.user_id, "owner"))).code == "forbidden"
    assert (await refusal(remove(house, cleo, dialog, anna.user_id))).code == "not_found"


async def test_who_is_removed_sees_nothing_from_then_on(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    group = await house.group(anna, bruno, cleo)
    house.news()
    await remove(house, anna, group, bruno.user_id)
    told = change(house)
    assert (told.added, told.removed) == ((), (bruno.user_id,))
    assert told.conversation["members"] == [anna.user_id, cleo.user_id]
    assert (await refusal(house.view(bruno, group))).code == "not_found"
    assert (await refusal(house.send(bruno, group))).code == "not_found"
    assert (await refusal(remove(house, anna, group, bruno.user_id))).code == "not_found"
    assert (await refusal(set_role(house, anna, group, bruno.user_id, "owner"))).code == "not_found"


async def test_who_is_removed_may_be_added_again(house: House) -> None:
    anna, bruno = await house.people(2)
    group = await house.group(anna, bruno)
    await set_role(house, anna, group, bruno.user_id, "owner")
    await remove(house, anna, group, bruno.user_id)
    departed = await house.read(
        lambda snapshot: snapshot.rows("SELECT user_id, conversation_id FROM departures")
    )
    assert departed == [(bruno.user_id, group)]
    await house.send(anna, group)
    await add(house, anna, group, bruno.user_id)
    assert await roles(house, anna, group) == {anna.user_id: "owner", bruno.user_id: "member"}
    assert (await house.view(bruno, group))["unread_count"] == 0
    assert await house.read(lambda snapshot: snapshot.rows("SELECT * FROM departures")) == []


async def test_anyone_may_leave(house: House) -> None:
    anna, bruno = await house.people(2)
    group = await house.group(anna, bruno)
    await remove(house, bruno, group, bruno.user_id)
    assert await roles(house, anna, group) == {anna.user_id: "owner"}


async def test_when_the_last_owner_leaves_the_longest_standing_member_owns_the_group(house: House) -> None:
    # The highest id has been there longest, the lowest joined last.
    late, early, first, anna = await house.people(4)
    group = await house.group(anna, first)
    for newcomer in (early, late):
        await add(house, anna, group, newcomer.user_id)
    house.news()
    await remove(house, anna, group, anna.user_id)
    told = change(house)
    assert told.removed == (anna.user_id,)
    assert await roles(house, first, group) == {
        late.user_id: "member",
        early.user_id: "member",
        first.user_id: "owner",
    }
    await remove(house, first, group, first.user_id)
    assert (await roles(house, late, group))[early.user_id] == "owner"


async def test_who_came_back_is_not_the_longest_standing(house: House) -> None:
    bruno, cleo, anna = await house.people(3)
    group = await house.group(anna, bruno, cleo)
    await remove(house, bruno, group, bruno.user_id)
    await add(house, anna, group, bruno.user_id)
    await remove(house, anna, group, anna.user_id)
    assert await roles(house, bruno, group) == {bruno.user_id: "member", cleo.user_id: "owner"}


async def test_when_one_of_two_owners_leaves_nobody_is_promoted(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    group = await house.group(anna, bruno, cleo)
    await set_role(house, anna, group, cleo.user_id, "owner")
    await remove(house, anna, group, anna.user_id)
    assert await roles(house, bruno, group) == {bruno.user_id: "member", cleo.user_id: "owner"}


async def test_the_last_members_leaving_ends_the_conversation(house: House) -> None:
    anna, bruno = await house.people(2)
    group = await house.group(anna, bruno)
    await remove(house, bruno, group, bruno.user_id)
    house.news()
    await remove(house, anna, group, anna.user_id)
    told = change(house)
    assert (told.conversation["members"], told.removed) == ([], (anna.user_id,))
    for actor in (anna, bruno):
        assert (await refusal(house.view(actor, group))).code == "not_found"
        assert (await refusal(add(house, actor, group, anna.user_id))).code == "not_found"


async def test_the_only_owner_cannot_become_a_member(house: House) -> None:
    anna, bruno = await house.people(2)
    group = await house.group(anna, bruno)
    assert (await refusal(set_role(house, anna, group, anna.user_id, "member"))).code == "last_owner"
    promoted = await set_role(house, anna, group, bruno.user_id, "owner")
    assert (promoted["user_id"], promoted["role"]) == (bruno.user_id, "owner")
    demoted = await set_role(house, anna, group, anna.user_id, "member")
    assert demoted["role"] == "member"
    assert await roles(house, anna, group) == {anna.user_id: "member", bruno.user_id: "owner"}
    assert (await refusal(set_role(house, anna, group, anna.user_id, "owner"))).code == "forbidden"


async def test_of_two_owners_who_step_down_at_once_one_stays(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    group = await house.group(anna, bruno, cleo)
    await set_role(house, anna, group, bruno.user_id, "owner")
    ends = await asyncio.gather(
        *(set_role(house, owner, group, owner.user_id, "member") for owner in (anna, bruno)),
        return_exceptions=True,
    )
    assert [getattr(end, "code", None) for end in ends] == [None, "last_owner"]
    assert list((await roles(house, cleo, group)).values()) == ["member", "owner", "member"]


@pytest.mark.parametrize("role", ["owner", "member"])
async def test_the_role_one_has_already_is_no_event(house: House, role: Literal["owner", "member"]) -> None:
    anna, bruno = await house.people(2)
    group = await house.group(anna, bruno)
    house.news()
    who = anna if role == "owner" else bruno
    assert (await set_role(house, anna, group, who.user_id, role))["role"] == role
    assert house.news() == []


async def test_a_new_role_is_told_to_the_members(house: House) -> None:
    anna, bruno = await house.people(2)
    group = await house.group(anna, bruno)
    house.news()
    await set_role(house, anna, group, bruno.user_id, "owner")
    told = change(house)
    assert (told.added, told.removed) == ((), ())
    assert (await house.view(bruno, group))["event_id"] == told.event_id


async def test_the_count_of_members_is_kept_through_all_of_it(house: House) -> None:
    anna, *others = await house.people(5)
    group = await house.group(anna, others[0])
    for other in others[1:]:
        await add(house, anna, group, other.user_id, others[0].user_id)
    for other in others[:2]:
        await remove(house, other, group, other.user_id)
    counted = await house.read(
        lambda snapshot: snapshot.row(
            "SELECT member_count, (SELECT count(*) FROM members WHERE conversation_id = c.id)"
            " FROM conversations c WHERE id = ?",
            group,
        )
    )
    assert counted == (3, 3)
