"""Making, finding and naming conversations (docs/protocol.md section 3)."""

import asyncio
import dataclasses
from typing import Any

import pytest

from actions import conversations, members
from actions.actor import Actor
from protocol.commands import ConversationPage, CreateConversation, Rename
from protocol.entities import ConversationView
from protocol.errors import Refused
from protocol.events import ConversationChanged
from tests.support.store import House, refusal


async def create(house: House, actor: Actor, **command: Any) -> tuple[ConversationView, bool]:
    """`conversations.create`."""
    made = CreateConversation(**command)
    return await house.write(lambda tx: conversations.create(tx, house.rules, actor, made))


async def listed(house: House, actor: Actor, **page: Any) -> list[ConversationView]:
    """`conversations.listed`."""
    asked = ConversationPage(**page)
    return await house.read(lambda snapshot: conversations.listed(snapshot, house.rules, actor, asked))


async def rename(house: House, actor: Actor, conversation_id: int, title: str | None) -> ConversationView:
    """`conversations.rename`."""
    command = Rename(title=title)
    return await house.write(
        lambda tx: conversations.rename(tx, house.rules, actor, conversation_id, command)
    )


def changes(house: House) -> list[ConversationChanged]:
    """What was told of conversations since this was last asked."""
    return [fact for fact in house.news() if isinstance(fact, ConversationChanged)]


async def test_a_group_has_its_creator_as_owner_and_each_member_once(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    ids = [bruno.user_id, cleo.user_id, bruno.user_id, anna.user_id]
    group, is_new = await create(house, anna, type="group", title="Team", members=ids)
    assert is_new
    assert group == {
        "id": group["event_id"],
        "type": "group",
        "title": "Team",
        "members": [anna.user_id, bruno.user_id, cleo.user_id],
        "created_at": "2026-09-21T14:13:20.000Z",
        "created_by": anna.user_id,
        "event_id": group["id"],
        "last_message": None,
        "unread_count": 0,
        "read_id": 0,
    }
    found = await house.read(lambda snapshot: members.listed(snapshot, bruno, group["id"]))
    assert [(member["user_id"], member["role"]) for member in found] == [
        (anna.user_id, "owner"),
        (bruno.user_id, "member"),
        (cleo.user_id, "member"),
    ]


async def test_a_group_may_have_neither_title_nor_other_members(house: House) -> None:
    anna = await house.person()
    commands: list[dict[str, Any]] = [{}, {"members": []}, {"members": [anna.user_id], "title": None}]
    for command in commands:
        group, is_new = await create(house, anna, type="group", **command)
        assert is_new
        assert (group["title"], group["members"]) == (None, [anna.user_id])


async def test_everyone_in_a_new_conversation_is_told_of_it(house: House) -> None:
    anna, bruno = await house.people(2)
    house.news()
    group, _ = await create(house, anna, type="group", title="Team", members=[bruno.user_id])
    (told,) = changes(house)
    assert told.event_id == told.conversation["event_id"] == group["id"]
    assert (set(told.added), told.removed) == ({anna.user_id, bruno.user_id}, ())
    # What everyone is told holds nothing that is the creator's own view.
    assert set(told.conversation) == {
        "id",
        "type",
        "title",
        "members",
        "created_at",
        "created_by",
        "event_id",
    }


async def test_there_is_one_dialog_between_two_whoever_asks_for_it(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog, is_new = await create(house, anna, type="dialog", members=[bruno.user_id])
    assert is_new
    assert (dialog["title"], dialog["members"]) == (None, [anna.user_id, bruno.user_id])
    assert (dialog["peer_delivered_id"], dialog["peer_read_id"]) == (0, 0)
    house.news()
    for actor, others in (
        (anna, [bruno.user_id]),
        (bruno, [anna.user_id]),
        (bruno, [bruno.user_id, anna.user_id, anna.user_id]),
    ):
        again, is_new = await create(house, actor, type="dialog", members=others)
        assert not is_new
        assert again["id"] == dialog["id"]
    assert house.news() == []


async def test_dialogs_of_different_people_are_different(house: House) -> None:
    people = await house.people(12)  # so that 1:11 and 11:1 might be taken for 1:1 and so on
    made = await asyncio.gather(
        *(
            create(house, one, type="dialog", members=[other.user_id])
            for one in people
            for other in people
            if one != other
        )
    )
    assert len({dialog["id"] for dialog, _ in made}) == sum(is_new for _, is_new in made) == 12 * 11 // 2


@pytest.mark.parametrize("places", [[], [0], [0, 0], [1, 2], [0, 1, 2]])
async def test_a_dialog_has_exactly_one_other_member(house: House, places: list[int]) -> None:
    people = await house.people(3)
    ids = [people[place].user_id for place in places]
    refused = await refusal(create(house, people[0], type="dialog", members=ids))
    assert (refused.code, field(refused)) == ("invalid", "members")


async def test_a_dialog_has_no_title(house: House) -> None:
    anna, bruno = await house.people(2)
    refused = await refusal(create(house, anna, type="dialog", title="Us", members=[bruno.user_id]))
    assert (refused.code, field(refused)) == ("invalid", "title")


async def test_a_member_who_does_not_exist_is_named_by_its_place_and_nothing_is_made(house: House) -> None:
    anna, bruno = await house.people(2)
    house.news()
    refused = await refusal(
        create(house, anna, type="group", members=[bruno.user_id, 99, anna.user_id, 98, 99])
    )
    assert refused.status == 422
    assert [error["field"] for error in refused.errors or []] == ["members.1", "members.3", "members.4"]
    refused = await refusal(create(house, anna, type="dialog", members=[99]))
    assert field(refused) == "members.0"
    assert house.news() == []
    assert await listed(house, anna) == []


async def test_a_group_has_at_most_so_many_members(house: House) -> None:
    anna, *others = await house.people(4)
    house.rules = dataclasses.replace(house.rules, group_members=3)
    ids = [other.user_id for other in others]
    refused = await refusal(create(house, anna, type="group", members=ids))
    assert (refused.code, field(refused)) == ("invalid", "members")
    group, _ = await create(house, anna, type="group", members=[*ids[:2], anna.user_id])
    assert len(group["members"]) == 3


async def test_a_stranger_sees_what_does_not_exist(house: House) -> None:
    anna, bruno, stranger = await house.people(3)
    group, dialog = await house.group(anna, bruno), await house.dialog(anna, bruno)
    for conversation_id in (group, dialog):
        refused = await refusal(house.view(stranger, conversation_id))
        missing = await refusal(house.view(stranger, 99))
        assert (
            (refused.code, refused.detail) == (missing.code, missing.detail) == ("not_found", missing.detail)
        )
        assert (await refusal(rename(house, stranger, conversation_id, "Mine"))).code == "not_found"
    assert await listed(house, stranger) == []


async def test_the_view_is_the_callers_own(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    group, dialog = await house.group(anna, bruno, cleo), await house.dialog(anna, bruno)
    for at in (group, dialog):
        for number in range(3):
            last = await house.send(bruno, at, f"message {number}", temp_id=f"{at} {number}")
    seen = await house.view(anna, dialog)
    assert (seen["unread_count"], seen["read_id"]) == (3, 0)
    assert (seen["peer_delivered_id"], seen["peer_read_id"]) == (last["id"], last["id"])
    assert seen["last_message"] == {key: value for key, value in last.items() if key != "temp_id"}
    own = await house.view(bruno, dialog)
    assert (own["unread_count"], own["read_id"], own["last_message"]) == (0, last["id"], last)
    assert (own["peer_delivered_id"], own["peer_read_id"]) == (0, 0)
    in_group = await house.view(cleo, group)
    assert in_group["unread_count"] == 3
    assert "peer_read_id" not in in_group
    assert "peer_delivered_id" not in in_group


async def test_the_unread_count_counts_others_messages_after_the_cursor_up_to_a_thousand(
    house: House,
) -> None:
    anna, bruno = await house.people(2)
    group = await house.group(anna, bruno)
    for number in range(20):
        await house.send(anna if number % 4 == 0 else bruno, group, read=False)
    assert (await house.view(anna, group))["unread_count"] == 15
    assert (await house.view(bruno, group))["unread_count"] == 5

    def many(tx: Any) -> None:
        for number in range(1500):
            tx.execute(
                "INSERT INTO messages VALUES (?, ?, ?, ?, 0, 0, NULL, 'x')",
                10_000 + number,
                group,
                21 + number,
                bruno.user_id,
            )

    await house.write(many)
    assert (await house.view(anna, group))["unread_count"] == 1000


async def test_conversations_are_listed_by_their_latest_event_and_paged_by_it(house: House) -> None:
    anna, bruno = await house.people(2)
    groups = [await house.group(anna, bruno, title=f"Group {number}") for number in range(5)]
    sent = await house.send(bruno, groups[1])
    await rename(house, anna, groups[3], "Renamed")
    assert (await house.view(bruno, groups[1]))["event_id"] == sent["id"], "a message's event has its id"
    order = [groups[3], groups[1], groups[4], groups[2], groups[0]]
    assert [view["id"] for view in await listed(house, anna)] == order
    events = [view["event_id"] for view in await listed(house, anna)]
    assert events == sorted(events, reverse=True)

    paged: list[int] = []
    before = None
    for _ in range(4):
        page = await listed(house, anna, limit=2, **({"before": before} if before else {}))
        paged += [view["id"] for view in page]
        if page:
            before = page[-1]["event_id"]
    assert paged == order
    assert await listed(house, anna, before=1) == []


async def test_a_page_has_50_conversations_where_no_number_is_asked_for(house: House) -> None:
    anna = await house.person()
    groups = [await house.group(anna) for _ in range(51)]
    assert [view["id"] for view in await listed(house, anna)] == groups[:0:-1]


async def test_a_title_is_the_owners_to_change(house: House) -> None:
    anna, bruno = await house.people(2)
    group, dialog = await house.group(anna, bruno), await house.dialog(anna, bruno)
    assert (await refusal(rename(house, bruno, group, "Mine"))).code == "forbidden"
    assert (await refusal(rename(house, anna, dialog, "Us"))).code == "forbidden"
    house.news()
    renamed = await rename(house, anna, group, "Crew")
    (told,) = changes(house)
    assert (renamed["title"], renamed["event_id"]) == ("Crew", told.event_id)
    assert (told.conversation["title"], told.added, told.removed) == ("Crew", (), ())
    assert told.event_id > group
    assert (await rename(house, anna, group, None))["title"] is None


async def test_the_same_title_again_is_no_event(house: House) -> None:
    anna = await house.person()
    group = await house.group(anna, title="Team")
    before = await house.view(anna, group)
    house.news()
    assert await rename(house, anna, group, "Team") == before
    assert house.news() == []


async def test_the_servers_admin_has_no_rights_in_conversations_of_others(house: House) -> None:
    admin, anna, bruno = await house.people(3)
    await house.write(
        lambda tx: tx.execute("UPDATE users SET is_admin = 1 WHERE id = ?", admin.user_id).rowcount
    )
    group = await house.group(anna, bruno)
    assert (await refusal(house.view(admin, group))).code == "not_found"
    assert (await refusal(rename(house, admin, group, "Mine"))).code == "not_found"


def field(refused: Refused) -> str:
    """The first field that a refusal names."""
    assert refused.errors
    return refused.errors[0]["field"]
