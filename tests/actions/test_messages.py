"""Sending messages and reading them back (docs/protocol.md section 4)."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from actions import members, messages
from actions.actor import Actor
from protocol.commands import AddMembers, Draft, HistoryPage
from protocol.entities import Message
from protocol.events import MessagePosted, MessageRepeated
from storage import Transaction, uploads
from tests.support.store import House, refusal


async def history(house: House, actor: Actor, conversation_id: int, **page: Any) -> tuple[list[Message], int]:
    """`messages.history`."""
    asked = HistoryPage(**page)
    return await house.read(
        lambda snapshot: messages.history(snapshot, house.rules, actor, conversation_id, asked)
    )


async def ids(house: House, actor: Actor, conversation_id: int, **page: Any) -> list[int]:
    """The ids of a page of history."""
    return [message["id"] for message in (await history(house, actor, conversation_id, **page))[0]]


def sending(
    house: House, actor: Actor, at: int, text: str, temp_id: str | None = None
) -> Callable[[Transaction], Any]:
    """A unit of work that sends, and says whether the message is new."""
    return lambda tx: messages.send(tx, house.rules, actor, at, Draft(text=text), temp_id, read=True)


async def upload(house: House, actor: Actor, *, uploaded: bool = True) -> int:
    """The id of an attachment that may be sent."""

    def unit(tx: Transaction) -> int:
        attachment_id = uploads.insert(
            tx, uploader_id=actor.user_id, filename="a.png", content_type="image/png", declared_size=None
        )
        if uploaded:
            uploads.record(tx, uploads.require_unsent(tx, attachment_id), f"key{attachment_id}", 3)
        return attachment_id

    return await house.write(unit)


async def count(house: House) -> int:
    """How many messages are stored in all."""
    return await house.read(lambda snapshot: int(snapshot.value("SELECT count(*) FROM messages")))


async def test_a_message_is_what_the_protocol_says(house: House) -> None:
    socket = object()
    anna, bruno = await house.person(origin=socket), await house.person()
    dialog = await house.dialog(anna, bruno)
    house.news()
    sent = await house.send(anna, dialog, "hello", temp_id="t-1")
    assert sent == {
        "id": sent["id"],
        "conversation_id": dialog,
        "seq": 1,
        "sender_id": anna.user_id,
        "text": "hello",
        "attachments": [],
        "created_at": "2026-09-21T14:13:20.000Z",
        "temp_id": "t-1",
    }
    (posted,) = [fact for fact in house.news() if isinstance(fact, MessagePosted)]
    # What everyone gets is without the temp_id, which is its sender's alone.
    assert posted == MessagePosted(
        event_id=sent["id"],
        conversation_id=dialog,
        sender_id=anna.user_id,
        message={key: value for key, value in sent.items() if key != "temp_id"},  # type: ignore[arg-type]
        temp_id="t-1",
        origin=socket,
    )


async def test_seq_counts_each_conversation_from_one_without_a_gap_and_ids_only_rise(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    rooms = [
        await house.group(anna, bruno, cleo),
        await house.dialog(anna, bruno),
        await house.group(bruno, anna),
    ]
    units: list[Callable[[Transaction], Any]] = []
    for number in range(200):
        actor, at = (anna, bruno)[number % 2], rooms[number % 3]
        units.append(sending(house, actor, at, f"message {number}", f"t{number}"))
        if number % 5 == 0:  # refused, and repeated: neither takes a number
            units.append(sending(house, cleo, rooms[1], "let me in", f"t{number}"))
            units.append(sending(house, actor, at, f"message {number}", f"t{number}"))
            units.append(sending(house, actor, at, "something else", f"t{number}"))
    answers = await asyncio.gather(*(house.write(unit) for unit in units), return_exceptions=True)
    assert sum(isinstance(answer, Exception) for answer in answers) == 80
    new = [answer[0] for answer in answers if not isinstance(answer, BaseException) and answer[1]]
    assert len(new) == 200
    for at in rooms:
        stored, _ = await history(house, anna, at, limit=200)
        assert [message["seq"] for message in stored] == list(range(len(stored), 0, -1))
        sent = [message for message in new if message["conversation_id"] == at]
        assert [message["id"] for message in stored] == [message["id"] for message in reversed(sent)]
    assert [message["id"] for message in new] == sorted(message["id"] for message in new)
    told = [fact.event_id for fact in house.facts if isinstance(fact, MessagePosted)]
    assert told == [message["id"] for message in new]


@pytest.mark.parametrize("text", ["", " ", "\n\t\r ", "\u00a0\u3000\u2003", "\u2028"])
async def test_a_blank_message_is_refused(house: House, text: str) -> None:
    anna = await house.person()
    group = await house.group(anna)
    house.news()
    refused = await refusal(house.send(anna, group, text))
    assert (refused.code, refused.errors and refused.errors[0]["field"]) == ("invalid", "text")
    assert (await count(house), house.news()) == (0, [])


async def test_a_text_may_be_so_long_and_no_longer(house: House) -> None:
    anna = await house.person()
    group = await house.group(anna)
    # Characters, not bytes.
    longest = "👋" * 10_000
    assert (await house.send(anna, group, longest))["text"] == longest
    refused = await refusal(house.send(anna, group, longest + "x"))
    assert (refused.code, refused.errors and refused.errors[0]["field"]) == ("invalid", "text")
    house.rules = dataclasses.replace(house.rules, message_chars=3)
    assert (await refusal(house.send(anna, group, "four"))).code == "invalid"
    assert await count(house) == 1


async def test_a_text_comes_back_unchanged(house: House) -> None:
    anna = await house.person()
    group = await house.group(anna)
    texts = [
        " spaces ",
        "\r\n\ttabs",
        "e\u0301 é",
        "👩‍👩‍👧",
        "\u200b",
        "\ufeff",
        "<script>",
        "'; DROP TABLE messages; --",
        "1",
    ]
    for text in texts:
        assert (await house.send(anna, group, text))["text"] == text
    stored, _ = await history(house, anna, group)
    assert [message["text"] for message in reversed(stored)] == texts


async def test_strangers_and_who_was_removed_can_neither_send_nor_read(house: House) -> None:
    anna, bruno, stranger = await house.people(3)
    dialog = await house.dialog(anna, bruno)
    await house.send(anna, dialog, temp_id="t-1")
    refused = await refusal(house.send(stranger, dialog))
    missing = await refusal(house.send(stranger, 99))
    assert (refused.code, refused.detail) == (missing.code, missing.detail) == ("not_found", missing.detail)
    assert (await refusal(history(house, stranger, dialog))).code == "not_found"
    # Not even somebody's temp_id, used there before, tells it from what does not exist.
    assert (await refusal(house.send(stranger, dialog, temp_id="t-1"))).code == "not_found"
    assert await count(house) == 1


# The same message again


async def test_the_same_temp_id_stores_one_message_and_answers_with_it_again(house: House) -> None:
    socket = object()
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    first = await house.send(anna, dialog, "hello", temp_id="t-1")
    await house.send(bruno, dialog, "hi")
    elsewhere = await house.log_in(anna, origin=socket)
    house.news()
    house.clock.advance(3600)
    again, is_new = await house.write(sending(house, elsewhere, dialog, "hello", "t-1"))
    assert (again, is_new) == (first, False)
    assert house.news() == [MessageRepeated(first, "t-1", socket)]
    assert await count(house) == 2
    # Nothing was read by it, either.
    assert (await house.view(anna, dialog))["unread_count"] == 1


async def test_one_batch_may_hold_the_same_message_many_times(house: House) -> None:
    anna = await house.person()
    group = await house.group(anna)
    answers = await asyncio.gather(
        *(house.write(sending(house, anna, group, "hello", "t-1")) for _ in range(20))
    )
    assert [is_new for _, is_new in answers] == [True, *[False] * 19]
    assert len({message["id"] for message, _ in answers}) == 1
    assert await count(house) == 1


async def test_a_temp_id_belongs_to_its_sender(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    one, other = [await house.send(actor, dialog, "hello", temp_id="t-1") for actor in (anna, bruno)]
    assert one["id"] != other["id"]
    assert await count(house) == 2


async def test_without_a_temp_id_each_message_is_a_new_one(house: House) -> None:
    anna = await house.person()
    group = await house.group(anna)
    sent = [await house.send(anna, group, "hello") for _ in range(2)]
    assert sent[0]["id"] != sent[1]["id"]
    assert "temp_id" not in sent[0]


@pytest.mark.parametrize(
    "change", ["text", "conversation", "with attachments", "without attachments", "in another order"]
)
async def test_a_temp_id_that_comes_again_with_something_else_is_a_conflict(
    house: House, change: str
) -> None:
    anna, bruno = await house.people(2)
    dialog, group = await house.dialog(anna, bruno), await house.group(anna)
    files = [await upload(house, anna) for _ in range(2)]
    more = await upload(house, anna)
    plain = await house.send(anna, dialog, "hello", temp_id="plain")
    await house.send(anna, dialog, "hello", temp_id="files", attachments=files)
    stored = await count(house)
    house.news()
    match change:
        case "text":
            attempt = house.send(anna, dialog, "hello ", temp_id="plain")
        case "conversation":
            attempt = house.send(anna, group, "hello", temp_id="plain")
        case "with attachments":
            attempt = house.send(anna, dialog, "hello", temp_id="plain", attachments=[more])
        case "without attachments":
            attempt = house.send(anna, dialog, "hello", temp_id="files")
        case _:
            attempt = house.send(anna, dialog, "hello", temp_id="files", attachments=files[::-1])
    refused = await refusal(attempt)
    assert (refused.code, refused.status) == ("temp_id_conflict", 409)
    assert (await count(house), house.news()) == (stored, [])
    # The first one answers still, and the file that came with the conflict may be sent.
    assert await house.send(anna, dialog, "hello", temp_id="plain") == plain
    assert (await house.send(anna, dialog, "", attachments=[more]))["attachments"][0]["id"] == more


async def test_the_same_message_with_attachments_is_known_again(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    files = [await upload(house, anna) for _ in range(3)][::-1]
    first = await house.send(anna, dialog, "", temp_id="t-1", attachments=files)
    assert [file["id"] for file in first["attachments"]] == files
    assert await house.send(anna, dialog, "", temp_id="t-1", attachments=files) == first
    stored, _ = await history(house, bruno, dialog)
    assert [file["id"] for file in stored[0]["attachments"]] == files


async def test_a_message_may_have_ten_attachments_and_then_no_text(house: House) -> None:
    anna = await house.person()
    group = await house.group(anna)
    files = [await upload(house, anna) for _ in range(10)]
    sent = await house.send(anna, group, " \n", attachments=files)
    assert [file["id"] for file in sent["attachments"]] == files
    assert sent["text"] == " \n", "unchanged"


async def test_an_attachment_that_is_not_available_keeps_the_whole_message_from_being_stored(
    house: House,
) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    mine, hers, unfinished, sent = (
        await upload(house, anna),
        await upload(house, bruno),
        await upload(house, anna, uploaded=False),
        await upload(house, anna),
    )
    await house.send(anna, dialog, "with a file", attachments=[sent])
    house.news()
    for other in (hers, unfinished, sent, 99):
        for chosen in ([other], [mine, other], [other, mine]):
            refused = await refusal(house.send(anna, dialog, "hello", temp_id="t-1", attachments=chosen))
            assert refused.code == "attachment_unavailable"
    assert (await count(house), house.news()) == (1, [])
    # Neither the temp_id nor the attachment is used up.
    again = await house.send(anna, dialog, "hello", temp_id="t-1", attachments=[mine])
    assert [file["id"] for file in again["attachments"]] == [mine]
    assert again["seq"] == 2


async def test_a_message_sent_in_vain_beside_others_in_one_batch_takes_nothing_from_them(
    house: House,
) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    file = await upload(house, anna)
    answers = await asyncio.gather(
        house.send(anna, dialog, "one"),
        house.send(anna, dialog, "two", attachments=[file, 99]),
        house.send(anna, dialog, "three", attachments=[file]),
        house.send(anna, dialog, "four", attachments=[file]),
        house.send(bruno, dialog, "five"),
        return_exceptions=True,
    )
    codes = [getattr(answer, "code", None) for answer in answers]
    assert codes == [None, "attachment_unavailable", None, "attachment_unavailable", None]
    stored, _ = await history(house, anna, dialog)
    assert [(message["seq"], message["text"]) for message in stored] == [
        (3, "five"),
        (2, "three"),
        (1, "one"),
    ]


# History


async def test_history_is_told_newest_first_within_its_bounds(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog, other = await house.dialog(anna, bruno), await house.group(anna)
    sent = []
    for number in range(12):
        sent.append((await house.send(anna, dialog, f"message {number}"))["id"])
        await house.send(anna, other, "elsewhere")
    newest = sent[::-1]
    assert await ids(house, bruno, dialog) == newest
    assert await ids(house, bruno, dialog, limit=5) == newest[:5]
    assert await ids(house, bruno, dialog, before_id=sent[7]) == sent[:7][::-1]
    assert await ids(house, bruno, dialog, before_id=sent[7], limit=3) == sent[4:7][::-1]
    # The ones right after it, not the newest ones.
    assert await ids(house, bruno, dialog, after_id=sent[3], limit=3) == sent[4:7][::-1]
    assert await ids(house, bruno, dialog, after_id=0, limit=2) == sent[:2][::-1]
    assert await ids(house, bruno, dialog, after_id=sent[3], before_id=sent[7]) == sent[4:7][::-1]
    assert await ids(house, bruno, dialog, after_id=sent[3], before_id=sent[7], limit=2) == sent[4:6][::-1]
    # Bounds need not be messages of the conversation.
    assert await ids(house, bruno, dialog, before_id=sent[7] + 1) == sent[:8][::-1]
    for page in (
        {"before_id": sent[0]},
        {"after_id": sent[-1]},
        {"after_id": sent[5], "before_id": sent[5]},
        {"after_id": sent[5], "before_id": sent[6]},
        {"after_id": 2**53 - 1},
    ):
        assert await ids(house, bruno, dialog, **page) == []


async def test_a_temp_id_is_seen_by_its_sender_alone(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    await house.send(anna, dialog, temp_id="annas")
    await house.send(bruno, dialog, temp_id="brunos")
    await house.send(anna, dialog)
    assert [message.get("temp_id") for message in (await history(house, anna, dialog))[0]] == [
        None,
        None,
        "annas",
    ]
    assert [message.get("temp_id") for message in (await history(house, bruno, dialog))[0]] == [
        None,
        "brunos",
        None,
    ]


async def test_a_page_says_up_to_where_it_counts_as_delivered(house: House) -> None:
    anna, bruno = await house.people(2)
    dialog = await house.dialog(anna, bruno)
    assert await history(house, bruno, dialog) == ([], 0)
    sent = [(await house.send(anna, dialog))["id"] for _ in range(5)]
    assert (await history(house, bruno, dialog))[1] == sent[4]
    assert (await history(house, bruno, dialog, before_id=sent[3]))[1] == sent[2]
    # The sender has had all of them.
    assert (await history(house, anna, dialog))[1] == 0


async def test_who_is_added_later_reads_all_that_stood_before(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    group = await house.group(anna, bruno)
    sent = [(await house.send(anna, group))["id"] for _ in range(3)]

    await house.write(
        lambda tx: members.add(tx, house.rules, anna, group, AddMembers(members=[cleo.user_id]))
    )
    assert await ids(house, cleo, group) == sent[::-1]
    assert (await history(house, cleo, group))[1] == 0


async def test_a_page_has_50_messages_where_no_number_is_asked_for(house: House) -> None:
    anna = await house.person()
    group = await house.group(anna)
    sent = [(await house.send(anna, group))["id"] for _ in range(51)]
    assert await ids(house, anna, group) == sent[:0:-1]
