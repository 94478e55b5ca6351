"""Messages on sockets: who is told, what, and in which order (docs/protocol.md section 6, The log)."""

import asyncio
import itertools
import json
from typing import Any

import pytest

from hub import frames
from tests.support.hub import House
from tests.support.raw import RawSocket

Frame = dict[str, Any]


def message(temp_id: str, conversation_id: int, text: str = "hello", **more: Any) -> Frame:
    """A client's `send_message`."""
    return {
        "type": "send_message",
        "temp_id": temp_id,
        "conversation_id": conversation_id,
        "text": text,
        **more,
    }


async def test_a_message_is_acknowledged_to_its_socket_and_told_to_every_other_one(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    phone, tablet = await house.connect(ann), await house.connect(ann)
    others = [await house.connect(bob), await house.connect(bob)]
    await phone.send_message(dialog, "привет", temp_id="t1")
    ack = await phone.next("message_sent")
    number, created_at = ack["event_id"], ack["message"]["created_at"]
    told = {
        "id": number,
        "conversation_id": dialog,
        "seq": 1,
        "sender_id": ann.id,
        "text": "привет",
        "attachments": [],
        "created_at": created_at,
    }
    assert ack == {
        "type": "message_sent",
        "temp_id": "t1",
        "event_id": number,
        "message": {**told, "temp_id": "t1"},
    }
    event = {"type": "new_message", "event_id": number, "conversation_id": dialog}
    for socket in others:
        assert await socket.next("new_message") == {**event, "message": told}
    assert await tablet.next("new_message") == {**event, "message": {**told, "temp_id": "t1"}}
    for socket in (phone, tablet, *others):
        await socket.settle()
        assert socket.take("new_message") == socket.take("message_sent") == []


async def test_strangers_are_told_nothing(house: House) -> None:
    ann, bob, eve = await house.people("ann", "bob", "eve")
    dialog = await house.dialog(ann, bob)
    await house.dialog(eve, bob)
    socket, stranger = await house.connect(ann), await house.connect(eve)
    await socket.say(dialog, "hello")
    await stranger.settle()
    assert [frame["type"] for frame in stranger.received] == ["hello"]


async def test_a_message_sent_over_rest_is_told_to_all_sockets_and_the_temp_id_to_the_senders(
    house: House,
) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    own, other = await house.connect(ann), await house.connect(bob)
    number = await house.post(ann, dialog, "by hand", temp_id="t1")
    assert (await own.next("new_message"))["message"]["temp_id"] == "t1"
    event = await other.next("new_message")
    assert event["event_id"] == event["message"]["id"] == number
    assert "temp_id" not in event["message"]
    await house.post(ann, dialog, "by hand")
    assert "temp_id" not in (await own.next("new_message"))["message"]


async def test_where_the_sending_socket_is_gone_the_senders_others_still_see_the_temp_id(
    house: House,
) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    staying, leaving = await house.connect(ann), await house.raw(ann)
    await leaving.send_json(message("t1", dialog))
    await leaving.send_close()
    event = await staying.next("new_message")
    assert event["message"]["temp_id"] == "t1"


async def test_a_repeat_is_acknowledged_again_without_an_event_id_and_told_to_nobody(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    phone, tablet, other = await house.connect(ann), await house.connect(ann), await house.connect(bob)
    await phone.send_message(dialog, "hello", temp_id="t1")
    first = await phone.next("message_sent")
    for socket in (phone, tablet):
        await socket.send_message(dialog, "hello", temp_id="t1")
        repeat = await socket.next("message_sent")
        assert repeat == {"type": "message_sent", "temp_id": "t1", "message": first["message"]}
    await other.next("new_message")
    await tablet.next("new_message")
    for socket in (phone, tablet, other):
        await socket.settle()
        assert socket.take("new_message") == socket.take("message_sent") == []


async def test_a_repeat_in_the_same_commit_is_one_message(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket, other = await house.raw(ann), await house.connect(bob)
    await socket.send_json(message("t1", dialog), message("t1", dialog))
    first, second = await socket.text("message_sent"), await socket.text("message_sent")
    assert first["message"] == second["message"]
    assert first["event_id"] == first["message"]["id"]
    assert "event_id" not in second
    await other.next("new_message")
    await other.settle()
    assert other.take("new_message") == []


async def test_one_temp_id_belongs_to_each_sender(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    one, other = await house.connect(ann), await house.connect(bob)
    mine, yours = await one.say(dialog, "hello", temp_id="t"), await other.say(dialog, "hello", temp_id="t")
    assert mine["id"] < yours["id"]


async def test_a_temp_id_used_for_another_message_is_a_conflict(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    dialog, elsewhere = await house.dialog(ann, bob), await house.dialog(ann, cat)
    socket = await house.connect(ann)
    await socket.say(dialog, "hello", temp_id="t1")
    for frame in (message("t1", dialog, "other"), message("t1", elsewhere)):
        await socket.send(frame)
        error = await socket.next("error")
        assert error.pop("message")
        assert error == {
            "type": "error",
            "code": "temp_id_conflict",
            "temp_id": "t1",
            "conversation_id": frame["conversation_id"],
        }


async def test_frames_of_one_socket_are_handled_in_their_order(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket, other = await house.raw(ann), await house.connect(bob)
    await socket.send_json(*(message(str(number), dialog, f"line {number}") for number in range(300)))
    acks = [await socket.text("message_sent") for _ in range(300)]
    assert [ack["temp_id"] for ack in acks] == [str(number) for number in range(300)]
    assert [ack["message"]["seq"] for ack in acks] == list(range(1, 301))
    told = [await other.next("new_message") for _ in range(300)]
    assert [frame["message"]["text"] for frame in told] == [f"line {number}" for number in range(300)]


async def test_an_ack_stands_in_its_events_place_among_the_events_of_others(house: House) -> None:
    """Socket itself fails where an `event_id` goes back; here it is seen that there was a race at all."""
    people = await house.people(*"abcde")
    group = await house.group(people[0], *people[1:])
    sockets = [await house.connect(person) for person in people]
    for number in range(40):
        await asyncio.gather(*(socket.send_message(group, f"{number}") for socket in sockets))
    for socket in sockets:
        for _ in range(40):
            await socket.next("message_sent")
        for _ in range(160):
            await socket.next("new_message")
    orders = {
        tuple(
            frame["event_id"] for frame in socket.received if frame["type"] in ("new_message", "message_sent")
        )
        for socket in sockets
    }
    assert len(orders) == 1
    kinds = [frame["type"] for frame in sockets[0].received if "message" in frame]
    assert any(pair == ("message_sent", "new_message") for pair in itertools.pairwise(kinds))
    assert any(len(commit) > 2 for commit in house.commits), "no two messages ever shared a commit"


async def test_all_that_one_commit_brings_a_socket_leaves_in_one_write(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group, dialog = await house.group(ann, bob, cat), await house.dialog(ann, bob)
    await house.connect(ann)
    reader = await house.connect(bob)
    writes = house.writes(bob)
    await house.together(
        *(house.post(ann, group, f"{number}") for number in range(20)),
        house.post(ann, dialog, "and"),
        house.post(cat, group, "too"),
    )
    for _ in range(22):
        await reader.next("new_message")
    assert len(writes) == 1
    assert writes[0].count(b"new_message") == 22


async def test_acks_leave_in_the_same_write_as_the_events_of_their_commit(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket = await house.raw(ann)
    writes = house.writes(ann)
    before = len(house.commits)
    await socket.send_json(*(message(str(number), dialog) for number in range(20)))
    for _ in range(20):
        await socket.text("message_sent")
    commits = len(house.commits) - before
    assert 1 <= commits < 20
    assert len(writes) == commits


async def test_an_event_is_encoded_once_however_many_receive_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await house.people(*"abcdefgh")
    group = await house.group(people[0], *people[1:])
    sockets = [await house.connect(person) for person in people for _ in range(3)]
    encoded: list[Any] = []

    def encode(body: Any) -> bytes:
        encoded.append(body["type"])
        return json.dumps(body).encode()

    monkeypatch.setattr(frames, "encode", encode)
    await house.post(people[0], group, "hello")
    await house.rename(people[0], group, "Crowd")
    for socket in sockets:
        await socket.next("new_message")
        await socket.next("conversation_updated")
    await house.until(lambda: encoded.count("delivered") > 0)
    assert [kind for kind in encoded if kind != "delivered"] == ["new_message", "conversation_updated"]


async def test_what_one_turn_of_the_loop_brings_a_socket_leaves_in_one_write(house: House) -> None:
    ann = await house.person()
    socket = await house.raw(ann)
    writes = house.writes(ann)
    await socket.send_json(*({"type": "dance", "temp_id": str(number)} for number in range(10)))
    assert [(await socket.text("error"))["temp_id"] for _ in range(10)] == [
        str(number) for number in range(10)
    ]
    assert len(writes) == 1


async def test_a_long_text_arrives_unchanged(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket, other = await house.connect(ann), await house.connect(bob)
    text = "\u20ac" * 9_999 + "\U0001f600"
    await socket.say(dialog, text)
    assert (await other.next("new_message"))["message"]["text"] == text


async def test_a_client_with_hundreds_of_messages_under_way_waits_and_loses_none(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket = await house.raw(ann)
    connection = house.connection(ann)
    deepest = 0

    async def watch() -> None:
        nonlocal deepest
        while True:
            deepest = max(deepest, connection.in_flight)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    sending = asyncio.create_task(send_many(socket, dialog, 1500))
    acks = [await socket.text("message_sent") for _ in range(1500)]
    await sending
    watching.cancel()
    assert [ack["message"]["seq"] for ack in acks] == list(range(1, 1501))
    assert 200 <= deepest < 1500
    await house.until(lambda: connection.in_flight == 0)


async def send_many(socket: RawSocket, conversation_id: int, count: int) -> None:
    for start in range(0, count, 100):
        await socket.send_json(*(message(str(start + number), conversation_id) for number in range(100)))


async def test_a_fact_that_cannot_be_told_keeps_no_other_from_being_told(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ann, bob, cy = await house.people("ann", "bob", "cy")
    dialog, cursed = await house.dialog(ann, bob), await house.dialog(ann, cy)
    reader = await house.connect(bob)
    tell = house.hub._publisher._messages_posted

    def broken(run: Any) -> None:
        if run[0].conversation_id == cursed:
            raise ZeroDivisionError
        tell(run)

    monkeypatch.setattr(house.hub._publisher, "_messages_posted", broken)
    await house.together(
        house.post(ann, dialog, "1", "1"),
        house.post(ann, cursed, "x", "x"),
        house.post(ann, dialog, "2", "2"),
    )
    assert [(await reader.next("new_message"))["message"]["text"] for _ in "12"] == ["1", "2"]
    assert "A MessagePosted was not told to all" in caplog.text


async def test_a_temp_id_has_up_to_64_characters_whatever_they_weigh(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket = await house.connect(ann)
    for temp_id in ("x", "x" * 64, "\U0001f600" * 64):
        assert (await socket.say(dialog, "hello", temp_id=temp_id))["temp_id"] == temp_id
    await socket.send_message(dialog, "hello", temp_id="\U0001f600" * 65)
    assert (await socket.next("error"))["code"] == "invalid"
