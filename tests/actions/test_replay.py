"""What a page of what was missed is made of (docs/protocol.md section 6, Resuming)."""

from typing import Any

from actions import messages, replay
from actions.actor import Actor
from protocol.commands import HistoryPage
from protocol.events import ConversationChanged, MessagePosted
from storage import Transaction, uploads
from storage.messages import by_ids
from tests.support.store import House


async def upload(house: House, actor: Actor) -> int:
    """The id of an attachment that may be sent."""

    def unit(tx: Transaction) -> int:
        attachment_id = uploads.insert(
            tx, uploader_id=actor.user_id, filename="a.png", content_type="image/png", declared_size=3
        )
        uploads.record(tx, uploads.require_unsent(tx, attachment_id), f"key{attachment_id}", 3)
        return attachment_id

    return await house.write(unit)


async def missed(house: House, actor: Actor, after: int) -> replay.Page:
    """The page after `after`."""
    return await house.read(lambda snapshot: replay.page(snapshot, house.rules, actor, after, after))


async def test_what_was_missed_is_what_history_shows(house: House) -> None:
    anna, bruno = await house.people(2)
    rooms = [await house.dialog(anna, bruno), await house.group(bruno, anna)]
    cursor = rooms[-1]
    for number in range(20):
        sender, room = (anna, bruno)[number % 2], rooms[number // 2 % 2]
        files = [await upload(house, sender) for _ in range(number % 3)]
        await house.send(sender, room, f"message {number}", temp_id=f"t{number}", attachments=files)
    for actor in (anna, bruno):
        page = await missed(house, actor, cursor)
        told = [event.message for event in page.events if isinstance(event, MessagePosted)]
        shown: list[Any] = []
        for room in rooms:
            found, _ = await house.read(
                lambda snapshot, room=room, actor=actor: messages.history(  # type: ignore[misc]
                    snapshot, house.rules, actor, room, HistoryPage()
                )
            )
            shown += found
        assert told == sorted(shown, key=lambda message: message["id"])
        assert len(told) == len(page.events) == 20
        assert {len(message["attachments"]) for message in told} == {0, 1, 2}
        assert sum("temp_id" in message for message in told) == 10
        for event, message in zip(page.events, told, strict=True):
            assert isinstance(event, MessagePosted)
            assert (event.event_id, event.conversation_id, event.sender_id) == (
                message["id"],
                message["conversation_id"],
                message["sender_id"],
            )


async def test_messages_that_fill_a_page_alone_end_it_with_whatever_lies_between_them(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    cursor, sent = dialog, []
    for number in range(20):
        if number % 4 == 0:
            sent.append(await house.group(anna, bruno))
        sent.append((await house.send(anna, dialog, f"{number}" + 9000 * "x"))["id"])
    told: list[int] = []
    sizes = []
    while len(told) < len(sent):
        page = await missed(house, bruno, told[-1] if told else cursor)
        told += [
            event.event_id for event in page.events if isinstance(event, MessagePosted | ConversationChanged)
        ]
        sizes.append(len(page.events))
    assert told == sent
    assert max(sizes) < 12
    assert len(sizes) == 3


async def test_of_messages_that_are_not_asked_for_no_more_than_one_is_read(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    ids = [(await house.send(anna, dialog, f"{number}"))["id"] for number in range(5)]

    def unit(tx: Transaction) -> list[str]:
        found = by_ids(tx, [ids[3], 0, ids[0], ids[4]])
        first = next(found)
        # What is not read yet may still change; one row is read ahead.
        tx.execute("UPDATE messages SET text = 'changed' WHERE id = ?", ids[4])
        return [first.text, *(message.text for message in found)]

    assert await house.write(unit) == ["0", "3", "changed"]
