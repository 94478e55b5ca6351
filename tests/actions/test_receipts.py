"""Cursors: what a member was handed and has read, and who is told of it (docs/protocol.md section 6)."""

import dataclasses
from typing import Any

import pytest

from actions import members, receipts
from actions.actor import Actor
from protocol.events import MessagePosted, ReceiptMoved, UnreadChanged
from storage import messages
from tests.support.store import House, refusal


async def read(house: House, actor: Actor, conversation_id: int, message_id: int) -> None:
    """`receipts.read`."""
    await house.write(lambda tx: receipts.read(tx, house.rules, actor, conversation_id, message_id))


async def deliver(house: House, actor: Actor, conversation_id: int, message_id: int) -> None:
    """`receipts.deliver`."""
    await house.write(lambda tx: receipts.deliver(tx, house.rules, actor, conversation_id, message_id))


async def cursors(house: House, actor: Actor, conversation_id: int) -> tuple[int, int]:
    """What the actor was handed, and what it has read."""
    found = await house.read(lambda snapshot: members.listed(snapshot, actor, conversation_id))
    return next(
        (member["delivered_id"], member["read_id"]) for member in found if member["user_id"] == actor.user_id
    )


async def send_many(house: House, actor: Actor, conversation_id: int, count: int) -> list[int]:
    """The ids of so many new messages."""
    return [(await house.send(actor, conversation_id, read=False))["id"] for _ in range(count)]


def moved(house: House) -> list[ReceiptMoved]:
    """The receipts told since this was last asked."""
    return [fact for fact in house.news() if isinstance(fact, ReceiptMoved)]


async def test_reading_tells_the_author_and_the_readers_other_sockets(house: House) -> None:
    socket = object()
    anna, bruno = await house.person(), await house.person(origin=socket)
    dialog = await house.dialog(anna, bruno)
    one, two, three = await send_many(house, anna, dialog, 3)
    house.news()
    await read(house, bruno, dialog, two)
    assert house.news() == [
        ReceiptMoved(
            "read", dialog, bruno.user_id, ((anna.user_id, one), (anna.user_id, two)), is_dialog=True
        ),
        UnreadChanged(bruno.user_id, dialog, two, 1, socket),
    ]
    # Read implies delivered.
    assert await cursors(house, bruno, dialog) == (two, two)
    assert (await house.view(anna, dialog)).get("peer_read_id") == two
    assert (await house.view(bruno, dialog))["unread_count"] == 1
    await read(house, bruno, dialog, three)
    assert [told.messages for told in moved(house)] == [((anna.user_id, three),)]


async def test_delivery_tells_the_author_and_reads_nothing(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    one, two, three = await send_many(house, anna, dialog, 3)
    house.news()
    await deliver(house, bruno, dialog, two)
    assert house.news() == [
        ReceiptMoved(
            "delivered", dialog, bruno.user_id, ((anna.user_id, one), (anna.user_id, two)), is_dialog=True
        )
    ]
    assert await cursors(house, bruno, dialog) == (two, 0)
    await read(house, bruno, dialog, one)
    assert await cursors(house, bruno, dialog) == (two, one)
    await deliver(house, bruno, dialog, three)
    assert await cursors(house, bruno, dialog) == (three, one)


@pytest.mark.parametrize("move", [read, deliver])
async def test_a_cursor_moves_forward_only_and_then_nobody_is_told(house: House, move: Any) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    sent = await send_many(house, anna, dialog, 3)
    await move(house, bruno, dialog, sent[1])
    before = await cursors(house, bruno, dialog)
    house.news()
    for message_id in (sent[1], sent[0]):
        await move(house, bruno, dialog, message_id)
    assert await cursors(house, bruno, dialog) == before
    assert house.news() == []


async def test_only_a_message_of_the_conversation_can_be_read(house: House) -> None:
    anna, bruno, stranger = await house.people(3)
    dialog, group = await house.dialog(anna, bruno), await house.group(anna, bruno)
    (elsewhere,) = await send_many(house, anna, group, 1)
    (sent,) = await send_many(house, anna, dialog, 1)
    house.news()
    for message_id in (elsewhere, dialog, group, sent + 1, 2**53 - 1):
        assert (await refusal(read(house, bruno, dialog, message_id))).code == "not_found"
    for conversation_id in (dialog, group, 99):
        assert (await refusal(read(house, stranger, conversation_id, sent))).code == "not_found"
    assert await cursors(house, bruno, dialog) == (0, 0)
    assert house.news() == []


async def test_delivery_reaches_no_further_than_the_last_message_and_no_stranger(house: House) -> None:
    anna, bruno, stranger = await house.people(3)
    dialog = await house.dialog(anna, bruno)
    (sent,) = await send_many(house, anna, dialog, 1)
    await deliver(house, bruno, dialog, sent + 100)
    assert await cursors(house, bruno, dialog) == (sent, 0)
    house.news()
    # Who has left meanwhile is no error: nobody asked.
    await deliver(house, stranger, dialog, sent)
    await deliver(house, stranger, 99, sent)
    assert house.news() == []


async def test_in_a_dialog_the_newest_hundred_get_a_receipt_each(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    sent = await send_many(house, anna, dialog, 150)
    await read(house, anna, dialog, sent[-1])
    house.news()
    await deliver(house, bruno, dialog, sent[-1])
    (told,) = moved(house)
    assert told.messages == tuple((anna.user_id, message_id) for message_id in sent[50:])
    await read(house, bruno, dialog, sent[-1])
    (told,) = moved(house)
    assert told.messages == tuple((anna.user_id, message_id) for message_id in sent[50:])


async def test_nobody_gets_receipts_for_own_messages(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    sent = []
    for number in range(10):
        sent += await send_many(house, (anna, bruno)[number % 2], dialog, 1)
    house.news()
    await read(house, bruno, dialog, sent[-1])
    (told,) = moved(house)
    assert told.messages == tuple((anna.user_id, message_id) for message_id in sent[::2])


async def test_in_a_group_each_author_hears_of_its_highest_message(house: House) -> None:
    anna, bruno, cleo, silent = await house.people(4)
    group = await house.group(anna, bruno, cleo, silent)
    by_anna = await send_many(house, anna, group, 3)
    by_bruno = await send_many(house, bruno, group, 2)
    by_anna += await send_many(house, anna, group, 1)
    await send_many(house, cleo, group, 1)
    later = await send_many(house, bruno, group, 1)
    house.news()
    await deliver(house, cleo, group, by_anna[-1])
    assert moved(house) == [
        ReceiptMoved(
            "delivered",
            group,
            cleo.user_id,
            ((bruno.user_id, by_bruno[-1]), (anna.user_id, by_anna[-1])),
            is_dialog=False,
        )
    ]
    await read(house, cleo, group, by_bruno[0])
    (told,) = moved(house)
    assert (told.kind, told.messages) == ("read", ((anna.user_id, by_anna[2]), (bruno.user_id, by_bruno[0])))
    # Only what became read: nothing of anna's stands in between.
    await read(house, cleo, group, by_bruno[1])
    (told,) = moved(house)
    assert (told.kind, told.messages) == ("read", ((bruno.user_id, by_bruno[1]),))
    await deliver(house, cleo, group, later[0])
    (told,) = moved(house)
    assert (told.kind, told.messages) == ("delivered", ((bruno.user_id, later[0]),))


async def test_authors_are_looked_for_among_the_newest_messages_only(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "AUTHORS_WINDOW", 5)
    anna, bruno, cleo = await house.people(3)
    group = await house.group(anna, bruno, cleo)
    await send_many(house, anna, group, 3)
    sent = await send_many(house, bruno, group, 5)
    house.news()
    await read(house, cleo, group, sent[-1])
    assert [told.messages for told in moved(house)] == [((bruno.user_id, sent[-1]),)]


async def test_large_conversations_keep_cursors_and_tell_no_author(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    house.rules = dataclasses.replace(house.rules, live_members=2)
    group, small = await house.group(anna, bruno, cleo), await house.group(anna, bruno)
    (sent,) = await send_many(house, anna, group, 1)
    house.news()
    await deliver(house, bruno, group, sent)
    assert house.news() == []
    await read(house, bruno, group, sent)
    # The reader's own sockets still hear of it.
    assert [type(fact) for fact in house.news()] == [UnreadChanged]
    assert await cursors(house, bruno, group) == (sent, sent)
    (sent,) = await send_many(house, anna, small, 1)
    await deliver(house, bruno, small, sent)
    assert len(moved(house)) == 1


async def test_sending_reads_all_that_stood_before(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    one, two = await send_many(house, anna, dialog, 2)
    house.news()
    sent = await house.send(bruno, dialog)
    told = house.news()
    assert [type(fact) for fact in told] == [ReceiptMoved, UnreadChanged, MessagePosted]
    assert told[0] == ReceiptMoved(
        "read", dialog, bruno.user_id, ((anna.user_id, one), (anna.user_id, two)), is_dialog=True
    )
    assert told[1] == UnreadChanged(bruno.user_id, dialog, sent["id"], 0, None)
    assert await cursors(house, bruno, dialog) == (sent["id"], sent["id"])


async def test_an_outbox_that_is_flushed_later_reads_nothing(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    await send_many(house, anna, dialog, 2)
    house.news()
    await house.send(bruno, dialog, read=False)
    assert [type(fact) for fact in house.news()] == [MessagePosted]
    assert await cursors(house, bruno, dialog) == (0, 0)
    assert (await house.view(bruno, dialog))["unread_count"] == 2


async def test_the_own_messages_of_who_has_read_all_do_not_pile_up_behind_the_cursor(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    house.news()
    sent = await send_many(house, anna, dialog, 50)
    # Every one of them over REST, where nothing is read by sending.
    assert await cursors(house, anna, dialog) == (sent[-1], sent[-1])
    assert [type(fact) for fact in house.news()] == [MessagePosted] * 50
    (answer,) = await send_many(house, bruno, dialog, 1)
    await send_many(house, anna, dialog, 5)
    assert await cursors(house, anna, dialog) == (sent[-1], sent[-1])
    await read(house, anna, dialog, answer)
    (last,) = await send_many(house, anna, dialog, 1)
    assert (await house.view(anna, dialog))["unread_count"] == 0
    assert last > answer


async def test_the_unread_count_that_is_told_is_the_one_that_is_shown(house: House) -> None:
    anna, bruno = await house.people(2)
    group = await house.group(anna, bruno)
    sent = []
    for number in range(9):
        sent += await send_many(house, (anna, bruno)[number % 3 == 0], group, 1)
    for message_id in (sent[1], sent[4], sent[8]):
        house.news()
        await read(house, bruno, group, message_id)
        (told,) = [fact for fact in house.news() if isinstance(fact, UnreadChanged)]
        assert told.unread_count == (await house.view(bruno, group))["unread_count"]
