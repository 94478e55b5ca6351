"""Delivered: proved by a pong, and told to the author (docs/protocol.md section 6, Delivered)."""

import asyncio
from typing import Any

from actions import members
from tests.hub.conftest import MakeHouse
from tests.support.hub import House
from tests.support.raw import PONG, RawSocket
from tests.support.rest import Person
from tests.support.socket import Socket

Frame = dict[str, Any]


async def delivered(socket: Socket) -> list[Frame]:
    """All `delivered` that have come and were not taken yet."""
    await socket.settle()
    return socket.take("delivered")


async def cursor(house: House, person: Person, conversation_id: int) -> int:
    """The person's delivered cursor, as the database has it."""
    actor = house.actor(person)
    listed = await house.store.read(lambda snapshot: members.listed(snapshot, actor, conversation_id))
    return next(member["delivered_id"] for member in listed if member["user_id"] == person.id)


async def pong(client: RawSocket) -> None:
    """Answer the next ping."""
    await client.send_frame(PONG, await client.ping())


async def test_the_pong_of_the_receiver_tells_the_authors_sockets_that_a_message_was_delivered(
    house: House,
) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    authors = [await house.connect(ann), await house.connect(ann)]
    reader = await house.connect(bob)
    message = await authors[0].say(dialog, "hello")
    for socket in authors:
        assert await socket.next("delivered") == {
            "type": "delivered",
            "message_id": message["id"],
            "conversation_id": dialog,
            "user_id": bob.id,
        }
    assert await delivered(reader) == []
    assert await cursor(house, bob, dialog) == message["id"]


async def test_to_a_client_that_answers_no_ping_nothing_was_delivered(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    author, reader = await house.connect(ann), await house.raw(bob)
    message = await author.say(dialog, "hello")
    assert (await reader.text("new_message"))["message"]["id"] == message["id"]
    payload = await reader.ping()
    await author.expect_nothing(0.15, "delivered")
    for wrong in (b"", payload + b"x", payload[::-1] + b"y", b"\0" * 8):
        await reader.send_frame(PONG, wrong)
    await reader.settle()
    assert await delivered(author) == []
    assert await cursor(house, bob, dialog) == 0
    await reader.send_frame(PONG, payload)
    assert (await author.next("delivered"))["message_id"] == message["id"]


async def test_the_ping_leaves_in_the_same_write_as_the_message_that_it_proves(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    reader = await house.raw(bob)
    writes = house.writes(bob)
    await house.post(ann, dialog, "hello")
    await reader.ping()
    assert len(writes) == 1


async def test_one_ping_at_most_is_under_way_on_a_socket(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    author, reader = await house.connect(ann), await house.raw(bob)
    first = await house.post(ann, dialog, "first")
    payload = await reader.ping()
    others = []
    for number in range(5):
        others.append(await house.post(ann, dialog, f"{number}"))
        await asyncio.sleep(house.hub.settings.receipt_seconds / 2)
    await reader.settle()
    assert reader.pings == []
    await reader.send_frame(PONG, payload)
    assert (await author.next("delivered"))["message_id"] == first
    await pong(reader)
    assert [(await author.next("delivered"))["message_id"] for _ in others] == others


async def test_the_first_ping_leaves_at_once_and_the_next_no_sooner_than_the_interval(
    make_house: MakeHouse,
) -> None:
    house = await make_house(receipt_seconds=0.4)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    reader = await house.raw(bob)
    connection = house.connection(bob)
    await house.post(ann, dialog, "first")
    await pong(reader)
    first = connection.pulse._last_ping_at
    for number in range(10):
        await house.post(ann, dialog, f"{number}")
    await reader.ping()
    assert connection.pulse._last_ping_at - first >= 0.39  # uvloop counts whole milliseconds


async def test_where_nothing_was_handed_over_no_ping_follows(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    sender, idle = await house.raw(ann), await house.raw(ann)
    await sender.send_json(
        {"type": "send_message", "temp_id": "1", "conversation_id": dialog, "text": "hello"}
    )
    await sender.text("message_sent")
    await idle.text("new_message")
    await house.post(ann, dialog, "over REST, where a temp_id is optional")
    await asyncio.sleep(house.hub.settings.receipt_seconds * 2)
    for client in (sender, idle):
        await client.settle()
        assert client.pings == []


async def test_in_a_dialog_each_message_is_told_in_order(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    author = await house.connect(ann)
    await house.connect(bob)
    ids = [await house.post(ann, dialog, f"{number}") for number in range(7)]
    assert [(await author.next("delivered"))["message_id"] for _ in ids] == ids
    assert await delivered(author) == []


async def test_in_a_dialog_the_newest_100_are_told_at_most(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    author, reader = await house.connect(ann), await house.raw(bob)
    ids = [await house.post(ann, dialog, "first")]
    payload = await reader.ping()
    ids += await asyncio.gather(*(house.post(ann, dialog, f"{number}") for number in range(104)))
    await reader.send_frame(PONG, payload)
    await pong(reader)
    told = [(await author.next("delivered"))["message_id"] for _ in range(101)]
    assert told == [ids[0], *sorted(ids)[-100:]]
    assert await delivered(author) == []


async def test_in_a_group_each_author_is_told_the_highest_of_its_own(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    one, other = await house.connect(ann), await house.connect(cat)
    reader = await house.raw(bob)
    await house.together(
        house.post(ann, group, "1"), house.post(ann, group, "2"), house.post(cat, group, "3")
    )
    await one.settle()
    own = {frame["message"]["sender_id"]: frame["event_id"] for frame in one.take("new_message")}
    one.take("delivered"), other.take("delivered")
    await pong(reader)
    for socket, person in ((one, ann), (other, cat)):
        frame = await socket.next("delivered", where=lambda frame: bool(frame["user_id"] == bob.id))
        assert frame == {
            "type": "delivered",
            "message_id": own[person.id],
            "conversation_id": group,
            "user_id": bob.id,
        }
        assert not [frame for frame in await delivered(socket) if frame["user_id"] == bob.id]


async def test_a_member_with_two_sockets_is_told_of_once(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    author = await house.connect(ann)
    readers = [await house.connect(bob), await house.connect(bob)]
    message = await author.say(dialog, "hello")
    assert (await author.next("delivered"))["message_id"] == message["id"]
    for reader in readers:
        await reader.settle()
    await house.store.idle()
    assert await delivered(author) == []


async def test_one_pong_proves_messages_of_several_conversations(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    dialogs = [await house.dialog(ann, bob), await house.dialog(cat, bob)]
    authors = [await house.connect(ann), await house.connect(cat)]
    reader = await house.raw(bob)
    ids: list[int] = []
    await house.together(house.post(ann, dialogs[0], "hello"), house.post(cat, dialogs[1], "hello"))
    ids = [(await reader.text("new_message"))["event_id"] for _ in dialogs]
    await pong(reader)
    told = [(await author.next("delivered"))["message_id"] for author in authors]
    assert sorted(told) == sorted(ids)


async def test_who_was_removed_before_the_pong_delivers_nothing(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    group = await house.group(ann, bob)
    author, reader = await house.connect(ann), await house.raw(bob)
    await house.post(ann, group, "hello")
    payload = await reader.ping()
    await house.remove(ann, group, bob)
    await reader.send_frame(PONG, payload)
    await reader.settle()
    await house.store.idle()
    assert await delivered(author) == []


async def test_an_author_who_was_removed_hears_of_no_delivery(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    author, reader = await house.connect(cat), await house.raw(bob)
    await house.post(cat, group, "hello")
    payload = await reader.ping()
    await house.remove(ann, group, cat)
    await reader.send_frame(PONG, payload)
    await reader.settle()
    await house.store.idle()
    assert await delivered(author) == []


async def test_large_conversations_have_cursors_and_no_delivered_frames(make_house: MakeHouse) -> None:
    house = await make_house(live_members=2)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    author = await house.connect(ann)
    await house.connect(bob)
    message = await author.say(group, "hello")
    deadline = house.hub.timers.time() + 20
    while await cursor(house, bob, group) != message["id"]:
        assert house.hub.timers.time() < deadline
        await asyncio.sleep(0.01)
    assert await delivered(author) == []


async def test_what_is_proved_after_a_group_grew_too_large_is_told_to_nobody_and_counts_still(
    make_house: MakeHouse,
) -> None:
    house = await make_house(live_members=2)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob)
    author, reader = await house.connect(ann), await house.raw(bob)
    number = await house.post(ann, group, "hello")
    payload = await reader.ping()
    await house.add(ann, group, cat)
    await reader.send_frame(PONG, payload)
    await reader.settle()
    await house.store.idle()
    assert await delivered(author) == []
    assert await cursor(house, bob, group) == number


async def test_a_group_that_shrinks_to_the_limit_has_delivered_and_read_frames_again(
    make_house: MakeHouse,
) -> None:
    house = await make_house(live_members=2)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    author, reader = await house.connect(ann), await house.raw(bob)
    await house.post(ann, group, "to too many")
    await pong(reader)
    await reader.settle()
    await house.store.idle()
    await house.remove(ann, group, cat)
    number = await house.post(ann, group, "to two")
    await pong(reader)
    assert (await author.next("delivered"))["message_id"] == number
    await reader.send_json({"type": "read", "conversation_id": group, "message_id": number})
    assert (await author.next("read"))["message_id"] == number
    await author.settle()
    assert author.take("delivered") == author.take("read") == []
