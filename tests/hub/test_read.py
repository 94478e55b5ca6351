"""Read and unread (docs/protocol.md section 6, Read)."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.hub.conftest import MakeHouse
from tests.support.hub import House
from tests.support.raw import PONG
from tests.support.rest import Person
from tests.support.socket import Socket

Frame = dict[str, Any]


def frame(conversation_id: int, message_id: int) -> Frame:
    """A client's `read`."""
    return {"type": "read", "conversation_id": conversation_id, "message_id": message_id}


async def taken(socket: Socket, kind: str) -> list[Frame]:
    """All frames of a type that have come and were not taken yet."""
    await socket.settle()
    return socket.take(kind)


async def read_and(
    house: House, reader: Socket, conversation_id: int, ids: list[int], change: Coroutine[Any, Any, None]
) -> None:
    """Read these one after the other, and change something then: in one commit, so that no interval is over between."""
    async with house.held():
        for number in ids:
            await reader.send(frame(conversation_id, number))
        await reader.settle()
        changing = asyncio.create_task(change)
        await asyncio.sleep(0)
    await changing


async def two(house: House) -> tuple[Person, Person, int]:
    """Two people and their dialog."""
    ann, bob = await house.people("ann", "bob")
    return ann, bob, await house.dialog(ann, bob)


async def test_the_author_is_told_of_each_message_read_and_the_readers_other_sockets_of_what_is_left(
    house: House,
) -> None:
    ann, bob, dialog = await two(house)
    authors = [await house.connect(ann), await house.connect(ann)]
    reader, other = await house.connect(bob), await house.connect(bob)
    ids = [await house.post(ann, dialog, f"{number}") for number in range(5)]
    await reader.send(frame(dialog, ids[2]))
    for socket in authors:
        told = [await socket.next("read") for _ in range(3)]
        assert told == [
            {"type": "read", "message_id": number, "conversation_id": dialog, "user_id": bob.id}
            for number in ids[:3]
        ]
    assert await other.next("unread") == {
        "type": "unread",
        "conversation_id": dialog,
        "message_id": ids[2],
        "unread_count": 2,
    }
    for socket in (*authors, reader, other):
        assert await taken(socket, "read") == await taken(socket, "unread") == []


async def test_in_a_group_each_author_is_told_the_highest_of_its_own(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    one, other, reader = await house.connect(ann), await house.connect(cat), await house.connect(bob)
    ids = [await house.post(person, group, "hello") for person in (ann, ann, cat, bob, ann)]
    await reader.send(frame(group, ids[3]))
    assert await one.next("read") == {
        "type": "read",
        "message_id": ids[1],
        "conversation_id": group,
        "user_id": bob.id,
    }
    assert (await other.next("read"))["message_id"] == ids[2]
    for socket in (one, other, reader):
        assert await taken(socket, "read") == []


async def test_who_reads_along_tells_the_authors_no_more_often_than_the_interval(
    make_house: MakeHouse,
) -> None:
    house = await make_house(receipt_seconds=0.3)
    ann, bob = await house.people("ann", "bob")
    group = await house.group(ann, bob)
    author, reader = await house.connect(ann), await house.connect(bob)
    ids = [await house.post(ann, group, f"{number}") for number in range(10)]
    began = house.hub.timers.time()
    for number in ids:
        await reader.send(frame(group, number))
    told = [(await author.next("read"))["message_id"]]
    while told[-1] != ids[-1]:
        told.append((await author.next("read"))["message_id"])
    assert told[0] == ids[0]
    # Two, where nothing else holds up the machine.
    assert 1 < len(told) <= 1 + (house.hub.timers.time() - began + 0.01) / 0.3
    assert await taken(author, "read") == []


async def test_in_a_dialog_the_newest_100_are_told_at_most(house: House) -> None:
    ann, bob, dialog = await two(house)
    author, reader = await house.connect(ann), await house.connect(bob)
    ids = await asyncio.gather(*(house.post(ann, dialog, f"{number}") for number in range(105)))
    await reader.send(frame(dialog, max(ids)))
    told = [(await author.next("read"))["message_id"] for _ in range(100)]
    assert told == sorted(ids)[-100:]
    assert await taken(author, "read") == []


async def test_the_cursor_only_moves_forward(house: House) -> None:
    ann, bob, dialog = await two(house)
    author, reader, other = await house.connect(ann), await house.connect(bob), await house.connect(bob)
    ids = [await house.post(ann, dialog, f"{number}") for number in range(3)]
    await reader.send(frame(dialog, ids[1]))
    await other.next("unread")
    for number in (ids[1], ids[0]):
        await reader.send(frame(dialog, number))
    await reader.send(frame(dialog, ids[2]))
    assert (await other.next("unread"))["message_id"] == ids[2]
    assert [(await author.next("read"))["message_id"] for _ in ids] == ids
    await reader.settle()
    assert reader.take("error") == []


async def test_what_is_no_message_of_the_conversation_is_not_found(house: House) -> None:
    ann, bob, dialog = await two(house)
    cat = await house.person("cat")
    elsewhere = await house.dialog(bob, cat)
    foreign = await house.post(cat, elsewhere, "hello")
    await house.post(ann, dialog, "hello")
    reader, author = await house.connect(bob), await house.connect(ann)
    for number in (dialog, foreign, 999_999):
        await reader.send(frame(dialog, number))
        error = await reader.next("error")
        assert (error["code"], error["conversation_id"]) == ("not_found", dialog)
    assert await taken(author, "read") == []


async def test_read_implies_delivered(house: House) -> None:
    ann, bob, dialog = await two(house)
    author, reader = await house.connect(ann), await house.raw(bob)
    number = await house.post(ann, dialog, "hello")
    payload = await reader.ping()
    await reader.send_json(frame(dialog, number))
    assert (await author.next("read"))["message_id"] == number
    await reader.send_frame(PONG, payload)
    await reader.settle()
    await house.store.idle()
    assert await taken(author, "delivered") == []


async def test_sending_over_the_socket_reads_all_that_stood_before(house: House) -> None:
    ann, bob, dialog = await two(house)
    author, reader, other = await house.connect(ann), await house.connect(bob), await house.connect(bob)
    ids = [await house.post(ann, dialog, f"{number}") for number in range(2)]
    own = await reader.say(dialog, "answer")
    assert [(await author.next("read"))["message_id"] for _ in ids] == ids
    unread = await other.next("unread")
    assert unread == {"type": "unread", "conversation_id": dialog, "message_id": own["id"], "unread_count": 0}
    assert await taken(author, "read") == await taken(reader, "unread") == []


async def test_sending_with_read_false_reads_nothing(house: House) -> None:
    ann, bob, dialog = await two(house)
    author, reader, other = await house.connect(ann), await house.connect(bob), await house.connect(bob)
    number = await house.post(ann, dialog, "hello")
    await reader.say(dialog, "an outbox, flushed later", read=False)
    await other.next("new_message")
    await house.store.idle()
    assert await taken(author, "read") == await taken(other, "unread") == []
    await reader.send(frame(dialog, number))
    assert (await author.next("read"))["message_id"] == number


@pytest.mark.parametrize("value", ["yes", 1, None])
async def test_read_must_be_a_boolean(house: House, value: object) -> None:
    ann, _, dialog = await two(house)
    socket = await house.connect(ann)
    await socket.send_message(dialog, "hello", temp_id="t", read=value)
    error = await socket.next("error")
    assert (error["code"], error["temp_id"]) == ("invalid", "t")


async def test_own_messages_are_read_by_nobody_else_and_count_as_read(house: House) -> None:
    ann, bob, dialog = await two(house)
    author, other = await house.connect(ann), await house.connect(ann)
    for number in range(3):
        await author.say(dialog, f"{number}")
    await house.store.idle()
    assert await taken(author, "read") == await taken(other, "unread") == []
    number = await house.post(bob, dialog, "answer")
    await author.send(frame(dialog, number))
    assert (await other.next("unread"))["unread_count"] == 0


async def test_large_conversations_have_no_read_frames_and_count_still(make_house: MakeHouse) -> None:
    house = await make_house(live_members=2)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    author, reader, other = await house.connect(ann), await house.connect(bob), await house.connect(bob)
    ids = [await house.post(ann, group, f"{number}") for number in range(3)]
    await reader.send(frame(group, ids[1]))
    assert (await other.next("unread"))["unread_count"] == 1
    await house.store.idle()
    assert await taken(author, "read") == []


async def test_reads_that_wait_for_their_pace_are_not_told_where_the_author_has_left(
    make_house: MakeHouse,
) -> None:
    house = await make_house(receipt_seconds=0.2)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    author, reader = await house.connect(cat), await house.connect(bob)
    ids = [await house.post(cat, group, f"{number}") for number in range(2)]
    await read_and(house, reader, group, ids, house.remove(ann, group, cat))
    assert (await author.next("read"))["message_id"] == ids[0]
    await author.expect_nothing(0.3, "read")


async def test_reads_that_wait_for_their_pace_are_not_told_where_the_group_grew_too_large(
    make_house: MakeHouse,
) -> None:
    house = await make_house(receipt_seconds=0.2, live_members=2)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob)
    author, reader = await house.connect(ann), await house.connect(bob)
    ids = [await house.post(ann, group, f"{number}") for number in range(2)]
    await read_and(house, reader, group, ids, house.add(ann, group, cat))
    assert (await author.next("read"))["message_id"] == ids[0]
    await author.expect_nothing(0.3, "read")


async def test_in_a_dialog_too_what_follows_within_the_interval_is_told_together_after_it(
    make_house: MakeHouse,
) -> None:
    house = await make_house(receipt_seconds=0.5)
    ann, bob, dialog = await two(house)
    author, reader, other = await house.connect(ann), await house.connect(bob), await house.connect(bob)
    ids = [await house.post(ann, dialog, f"{number}") for number in range(5)]
    hers, his = house.writes(ann), house.writes(bob)
    async with house.held():  # so that a slow machine is no pause
        for number in ids:
            await reader.send(frame(dialog, number))
        await reader.settle()
    await house.store.idle()
    # The reader's own sockets wait for nothing.
    assert b"".join(his).count(b'"unread"') == len(ids)
    assert [(await author.next("read"))["message_id"] for _ in ids] == ids
    assert [write.count(b'"read"') for write in hers if b'"read"' in write] == [1, len(ids) - 1]
    assert [told["message_id"] for told in await taken(other, "unread")] == ids
    assert await taken(author, "read") == []
