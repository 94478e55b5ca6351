"""Conversations that begin, change and end (docs/protocol.md section 6, The log)."""

from collections.abc import Awaitable, Callable
from typing import Literal

import pytest

from actions import conversations, members
from protocol.commands import SetRole
from protocol.entities import Conversation
from tests.support.hub import House
from tests.support.rest import Person

CREATED, UPDATED, REMOVED = "conversation_created", "conversation_updated", "conversation_removed"
Change = Callable[[House, int, Person, Person, Person, Person], Awaitable[object]]


async def set_role(
    house: House, owner: Person, group: int, member: Person, role: Literal["owner", "member"]
) -> None:
    """Give a member a role."""
    actor = house.actor(owner)
    await house.store.write(lambda tx: members.set_role(tx, actor, group, member.id, SetRole(role=role)))


CHANGES: dict[str, tuple[Change, tuple[str, str, str, str]]] = {
    "another group is made": (
        lambda house, _, ann, bob, cat, dan: house.group(ann, bob),
        (CREATED, CREATED, "", ""),
    ),
    "renamed": (
        lambda house, group, ann, bob, cat, dan: house.rename(ann, group, "Crowd"),
        (UPDATED, UPDATED, UPDATED, ""),
    ),
    "the same title again": (
        lambda house, group, ann, bob, cat, dan: house.rename(ann, group, "Team"),
        ("", "", "", ""),
    ),
    "one is added": (
        lambda house, group, ann, bob, cat, dan: house.add(ann, group, dan),
        (UPDATED, UPDATED, UPDATED, CREATED),
    ),
    "one is added with one who is in": (
        lambda house, group, ann, bob, cat, dan: house.add(ann, group, bob, dan, bob),
        (UPDATED, UPDATED, UPDATED, CREATED),
    ),
    "who is in is added again": (
        lambda house, group, ann, bob, cat, dan: house.add(ann, group, bob),
        ("", "", "", ""),
    ),
    "one is removed": (
        lambda house, group, ann, bob, cat, dan: house.remove(ann, group, bob),
        (UPDATED, REMOVED, UPDATED, ""),
    ),
    "one leaves": (
        lambda house, group, ann, bob, cat, dan: house.remove(bob, group, bob),
        (UPDATED, REMOVED, UPDATED, ""),
    ),
    "the last owner leaves": (
        lambda house, group, ann, bob, cat, dan: house.remove(ann, group, ann),
        (REMOVED, UPDATED, UPDATED, ""),
    ),
    "one is made owner": (
        lambda house, group, ann, bob, cat, dan: set_role(house, ann, group, cat, "owner"),
        (UPDATED, UPDATED, UPDATED, ""),
    ),
    "the role one has": (
        lambda house, group, ann, bob, cat, dan: set_role(house, ann, group, cat, "member"),
        ("", "", "", ""),
    ),
    "a dialog that exists": (
        lambda house, group, ann, bob, cat, dan: house.dialog(bob, ann),
        ("", "", "", ""),
    ),
    "a dialog": (lambda house, group, ann, bob, cat, dan: house.dialog(dan, bob), ("", CREATED, "", CREATED)),
}
"""A change of the group that Ann owns and Bob and Cat are in, and what Ann, Bob, Cat and Dan are told of it."""


async def test_a_new_conversation_is_told_to_all_its_members_the_creators_sockets_too(house: House) -> None:
    ann, bob, eve = await house.people("ann", "bob", "eve")
    sockets = [await house.connect(ann), await house.connect(ann), await house.connect(bob)]
    stranger = await house.connect(eve)
    group = await house.group(ann, bob, title="Team")
    view = await house.act(conversations.get, ann, group)
    own = {"last_message", "unread_count", "read_id"}
    assert own <= set(view)
    conversation = {name: value for name, value in view.items() if name not in own}
    for socket in sockets:
        assert await socket.next("conversation_created") == {
            "type": "conversation_created",
            "event_id": view["event_id"],
            "conversation": conversation,
        }
    await stranger.settle()
    assert [frame["type"] for frame in stranger.received] == ["hello"]


async def test_a_dialog_that_exists_is_told_to_nobody_again(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    await house.dialog(ann, bob)
    socket = await house.connect(ann)
    await house.dialog(bob, ann)
    await socket.settle()
    assert [frame["type"] for frame in socket.received] == ["hello"]


async def test_a_new_title_and_a_new_role_are_told_to_the_members(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    group = await house.group(ann, bob)
    sockets = [await house.connect(ann), await house.connect(bob)]
    await house.rename(ann, group, "Crowd")
    for socket in sockets:
        updated = await socket.next("conversation_updated")
        assert updated["conversation_id"] == updated["conversation"]["id"] == group
        assert updated["event_id"] == updated["conversation"]["event_id"] > group
        assert updated["conversation"]["title"] == "Crowd"
        assert set(updated) == {"type", "event_id", "conversation_id", "conversation"}
    await set_role(house, ann, group, bob, "owner")
    for socket in sockets:
        assert (await socket.next("conversation_updated"))["event_id"] > updated["event_id"]


async def test_who_is_added_is_told_of_a_new_conversation_and_the_others_of_a_changed_one(
    house: House,
) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob)
    old, new = await house.connect(bob), await house.connect(cat)
    await house.add(ann, group, cat)
    updated, created = await old.next("conversation_updated"), await new.next("conversation_created")
    assert updated["conversation"] == created["conversation"]
    assert created["conversation"]["members"] == sorted([ann.id, bob.id, cat.id])
    await house.post(ann, group, "welcome")
    assert (await new.next("new_message"))["message"]["text"] == "welcome"
    assert old.take("conversation_created") == new.take("conversation_updated") == []


async def test_who_is_removed_is_told_so_and_then_nothing_more(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    removed, other = await house.connect(bob), await house.connect(cat)
    typist = await house.connect(ann)
    await house.remove(ann, group, bob)
    gone = await removed.next("conversation_removed")
    updated = await other.next("conversation_updated")
    assert gone == {"type": "conversation_removed", "event_id": updated["event_id"], "conversation_id": group}
    assert updated["conversation"]["members"] == sorted([ann.id, cat.id])
    await typist.send({"type": "typing_start", "conversation_id": group})
    await typist.say(group, "without him")
    await house.rename(ann, group, "Without him")
    await other.next("conversation_updated")
    await removed.settle()
    after = removed.received[removed.received.index(gone) + 1 :]
    assert {frame["type"] for frame in after} <= {"online_status"}


async def test_messages_that_share_a_commit_with_a_removal_reach_the_member_until_then(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    group = await house.group(ann, bob)
    removed = await house.connect(bob)
    await house.together(
        house.post(ann, group, "before"), house.remove(ann, group, bob), house.post(ann, group, "after")
    )
    await removed.settle()
    told = [frame for frame in removed.received if "event_id" in frame][1:]
    assert [frame["type"] for frame in told] == ["new_message", "conversation_removed"]
    assert told[0]["message"]["text"] == "before"


async def test_who_leaves_is_told_as_one_who_was_removed(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    group = await house.group(ann, bob)
    leaving, staying = await house.connect(bob), await house.connect(ann)
    await house.remove(bob, group, bob)
    assert (await leaving.next("conversation_removed"))["conversation_id"] == group
    assert (await staying.next("conversation_updated"))["conversation"]["members"] == [ann.id]


async def test_the_last_member_is_told_of_the_end(house: House) -> None:
    ann = await house.person()
    group = await house.group(ann)
    socket = await house.connect(ann)
    await house.remove(ann, group, ann)
    await socket.next("conversation_removed")
    await socket.send_message(group, "anyone?")
    assert (await socket.next("error"))["code"] == "not_found"


async def test_a_removed_member_who_sends_gets_what_a_stranger_gets(house: House) -> None:
    ann, bob, eve = await house.people("ann", "bob", "eve")
    group = await house.group(ann, bob)
    removed, stranger = await house.connect(bob), await house.connect(eve)
    await house.remove(ann, group, bob)
    errors = []
    for socket, conversation_id in ((removed, group), (stranger, group), (stranger, 999_999)):
        for frame in (
            {"type": "send_message", "temp_id": "t", "text": "hello"},
            {"type": "read", "message_id": 1},
            {"type": "typing_start"},
        ):
            await socket.send({**frame, "conversation_id": conversation_id})
            error = await socket.next("error")
            assert error.pop("conversation_id") == conversation_id
            error.pop("temp_id", None)
            errors.append(error)
    assert len(errors) == 9
    assert all(error == errors[0] for error in errors)
    assert errors[0]["code"] == "not_found"


async def test_who_comes_back_into_a_group_is_told_of_it_anew(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    group = await house.group(ann, bob)
    socket = await house.connect(bob)
    await house.remove(ann, group, bob)
    await house.add(ann, group, bob)
    await socket.next("conversation_removed")
    await socket.next("conversation_created")
    await socket.say(group, "back again")


@pytest.mark.parametrize(("change", "told"), CHANGES.values(), ids=CHANGES.keys())
async def test_a_change_is_told_once_to_every_socket_of_those_it_concerns_and_to_no_other(
    house: House, change: Change, told: tuple[str, str, str, str]
) -> None:
    people = ann, bob, cat, dan = await house.people("ann", "bob", "cat", "dan")
    group = await house.group(ann, bob, cat)
    await house.dialog(ann, bob)
    sockets = [[await house.connect(person), await house.connect(person)] for person in people]
    before = sockets[0][0].hello["event_id"]
    await change(house, group, ann, bob, cat, dan)
    after = await house.store.read(lambda snapshot: int(snapshot.value("SELECT last_event_id FROM log")))
    assert (after > before) == any(told), "what changes nothing is no event"
    seen = set()
    for kind, person, own in zip(told, people, sockets, strict=True):
        for socket in own:
            await socket.settle()
            frames = [frame for frame in socket.received[1:] if frame["type"] != "online_status"]
            assert [frame["type"] for frame in frames] == ([kind] if kind else []), person.username
            for frame in frames:
                assert frame["event_id"] == after
                conversation = frame.get("conversation")
                seen.add(conversation["id"] if conversation else frame["conversation_id"])
                assert (conversation is None) == (kind == REMOVED)
                if conversation is not None:
                    assert set(conversation) == set(Conversation.__annotations__), "nobody's own view"
                    assert conversation["event_id"] == after
                    assert person.id in conversation["members"]
                    assert frame.get("conversation_id", conversation["id"]) == conversation["id"]
    assert len(seen) == bool(any(told))


async def test_who_inherits_a_group_owns_it_from_the_event_that_tells_of_it(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    heir, other = await house.connect(bob), await house.connect(cat)
    await house.remove(ann, group, ann)
    updated = await heir.next("conversation_updated")
    assert updated["conversation"]["members"] == sorted([bob.id, cat.id])
    await house.rename(bob, group, "Bob's")
    for socket in (heir, other):
        renamed = await socket.next(where=lambda frame: frame.get("event_id", 0) > updated["event_id"])
        assert (renamed["type"], renamed["conversation"]["title"]) == ("conversation_updated", "Bob's")


async def test_every_socket_of_the_last_member_is_told_of_the_end_and_of_nothing_else(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    group = await house.group(ann, bob)
    await house.remove(bob, group, bob)
    sockets, gone = [await house.connect(ann), await house.connect(ann)], await house.connect(bob)
    await house.remove(ann, group, ann)
    for socket in sockets:
        await socket.settle()
        (removed,) = socket.received[1:]
        assert (removed["type"], removed["conversation_id"]) == ("conversation_removed", group)
    await gone.settle()
    assert [frame["type"] for frame in gone.received] == ["hello"]


async def test_who_is_removed_and_added_in_one_commit_is_told_of_both_and_is_in(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    group = await house.group(ann, bob)
    socket, owner = await house.connect(bob), await house.connect(ann)
    await house.together(
        house.remove(ann, group, bob),
        house.post(ann, group, "without him"),
        house.add(ann, group, bob),
        house.post(ann, group, "with him"),
    )
    await socket.settle()
    told = [frame for frame in socket.received[1:] if "event_id" in frame]
    assert [frame["type"] for frame in told] == [REMOVED, CREATED, "new_message"]
    assert told[-1]["message"]["text"] == "with him"
    await owner.settle()
    kinds = [frame["type"] for frame in owner.received[1:] if "event_id" in frame]
    assert kinds == [UPDATED, "new_message", UPDATED, "new_message"]
    status = [frame["online"] for frame in socket.take("online_status")]
    assert status[-1:] == [True], "and they are contacts again"
