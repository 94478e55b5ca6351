"""Rates on real sockets, under a clock that stands still (docs/protocol.md, Rates)."""

import time
from typing import Any

from actions.rates import Rates
from hub.incoming import REFUSED_SECONDS
from hub.meter import FLOOD
from tests.hub.conftest import MakeHouse
from tests.support.hub import House
from tests.support.raw import TEXT, RawSocket, text_bytes
from tests.support.socket import Socket
from tests.support.timers import FakeTimers


class Slow:
    """A house where little may be done, and the time it goes by."""

    def __init__(self, house: House, timers: FakeTimers) -> None:
        self.house = house
        self.timers = timers


async def slow(
    make_house: MakeHouse, messages: int, message_burst: int, calls: int, call_burst: int, **settings: Any
) -> Slow:
    """A house with these rates: messages a second, burst, requests a second, burst."""
    timers = FakeTimers()
    return Slow(
        await make_house(rates=Rates(messages, message_burst, calls, call_burst, timers.time), **settings),
        timers,
    )


async def texts(house: House, conversation_id: int) -> list[str]:
    """All that is stored of a conversation, in its order."""
    rows: list[str] = await house.store.read(
        lambda snapshot: [
            row[0]
            for row in snapshot.db.execute(
                "SELECT text FROM messages WHERE conversation_id = ? ORDER BY id", (conversation_id,)
            )
        ]
    )
    return rows


async def answers(socket: Socket, count: int) -> dict[str, str]:
    """What came of so many messages, by `temp_id`: a code, or "sent"."""
    found = {}
    for _ in range(count):
        frame = await socket.next(where=lambda frame: frame["type"] in ("message_sent", "error"))
        found[frame["temp_id"]] = frame.get("code", "sent")
    return found


async def test_past_the_burst_messages_are_refused_with_what_they_were_and_are_not_stored(
    make_house: MakeHouse,
) -> None:
    at = await slow(make_house, 20, 60, 0, 0)
    ann, bob = await at.house.people("ann", "bob")
    dialog = await at.house.dialog(ann, bob)
    socket = await at.house.connect(ann)
    names = [await socket.send_message(dialog, f"{number}") for number in range(100)]
    found = await answers(socket, 100)
    assert [found[name] for name in names] == ["sent"] * 60 + ["rate_limited"] * 40
    [error, *_] = [frame for frame in socket.received if frame["type"] == "error"]
    assert error == {
        "type": "error",
        "code": "rate_limited",
        "message": "Too many messages or changes of conversations at once (limits.messages_per_second).",
        "temp_id": names[60],
        "conversation_id": dialog,
        "retry_after": 1,
    }
    assert await texts(at.house, dialog) == [str(number) for number in range(60)]


async def test_what_was_refused_can_be_sent_again_after_the_wait_and_keeps_its_order(
    make_house: MakeHouse,
) -> None:
    at = await slow(make_house, 20, 20, 0, 0)
    ann, bob = await at.house.people("ann", "bob")
    dialog = await at.house.dialog(ann, bob)
    socket = await at.house.connect(ann)
    outbox = {f"t{number}": ("x" * 3000 if number % 3 else "x") + str(number) for number in range(40)}
    expected = list(outbox.values())
    while outbox:
        for temp_id, text in outbox.items():
            await socket.send_message(dialog, text, temp_id=temp_id)
            # As if each took a while to write: a short one could overtake a long one that had to wait.
            at.timers.advance(0.01)
        for temp_id, code in (await answers(socket, len(outbox))).items():
            if code == "sent":
                del outbox[temp_id]
        at.timers.advance(1)
    assert await texts(at.house, dialog) == expected


async def test_a_repeat_costs_as_much_as_the_message(make_house: MakeHouse) -> None:
    at = await slow(make_house, 1, 3, 0, 0)
    ann, bob = await at.house.people("ann", "bob")
    dialog = await at.house.dialog(ann, bob)
    socket = await at.house.connect(ann)
    for _ in range(4):
        await socket.send_message(dialog, "once", temp_id="t")
    for _ in range(3):
        assert (await socket.next("message_sent"))["temp_id"] == "t"
    assert (await socket.next("error"))["code"] == "rate_limited"


async def test_all_sockets_of_a_user_share_one_rate_and_nobody_else_does(make_house: MakeHouse) -> None:
    at = await slow(make_house, 1, 4, 1, 100)
    ann, bob = await at.house.people("ann", "bob")
    dialog = await at.house.dialog(ann, bob)
    one, two, bobs = [await at.house.connect(person) for person in (ann, ann, bob)]
    for socket in (one, two, one, two):
        await socket.say(dialog, "hello")
    for socket in (one, two):
        await socket.send_message(dialog, "hello")
        assert (await socket.next("error"))["code"] == "rate_limited"
    await bobs.say(dialog, "hello")


async def test_all_other_frames_cost_calls_and_so_do_those_that_are_wrong(make_house: MakeHouse) -> None:
    at = await slow(make_house, 0, 0, 1, 7)
    ann, bob = await at.house.people("ann", "bob")
    dialog = await at.house.dialog(ann, bob)
    socket = await at.house.connect(ann)  # the first
    await socket.send({"type": "typing_start", "conversation_id": dialog})
    await socket.send({"type": "typing_stop", "conversation_id": dialog})
    await socket.connection.send("{")
    assert (await socket.next("error"))["code"] == "malformed"
    await socket.send({"type": "dance"})
    assert (await socket.next("error"))["code"] == "unknown_type"
    await socket.send({"type": "read"})
    assert (await socket.next("error"))["code"] == "invalid"
    await socket.send({"type": "read", "conversation_id": dialog, "message_id": 1})
    assert (await socket.next("error"))["code"] == "not_found"
    for frame in ({"type": "read", "conversation_id": dialog, "message_id": 1}, {"type": "dance"}):
        await socket.send(frame)
        error = await socket.next("error")
        assert error["code"] == "rate_limited"
        assert "(limits.requests_per_second)" in error["message"]
    await socket.say(dialog, "messages go on")


async def test_opening_a_socket_is_a_call_and_refused_before_the_upgrade(make_house: MakeHouse) -> None:
    at = await slow(make_house, 0, 0, 1, 3)
    ann, bob = await at.house.people("ann", "bob")
    for _ in range(3):
        (await at.house.raw(ann)).close()
    for token in (ann.token, at.house.rules.tickets.issue(ann.id, at.house.actor(ann).session_id)):
        client = await at.house.dial()
        begin = time.monotonic()
        answer = await client.upgrade(f"/ws?token={token}")
        assert time.monotonic() - begin >= REFUSED_SECONDS
        assert (answer.status, answer.problem["code"]) == (429, "rate_limited")
        assert answer.headers["retry-after"] == "1"
        await client.ended()
    await at.house.raw(bob)
    at.timers.advance(1)
    await at.house.raw(ann)


async def test_hundreds_of_refusals_on_end_close_with_4029_and_one_accepted_begins_anew(
    make_house: MakeHouse,
) -> None:
    at = await slow(make_house, 0, 0, 1, 3, close_seconds=60.0)
    ann, bob = await at.house.people("ann", "bob")
    dialog = await at.house.dialog(ann, bob)
    client = await at.house.raw(ann)
    frame = {"type": "typing_stop", "conversation_id": dialog}
    await flood(client, frame, 2 + FLOOD - 1)
    assert len(await client.settle()) == FLOOD - 1
    at.timers.advance(1)
    await flood(client, frame, 1 + FLOOD - 1)
    assert len(await client.settle()) == FLOOD - 1
    await flood(client, frame, 2)
    close = await client.until_close()
    assert close.close_code == 4029
    assert [frame.json["code"] for frame in client.passed if frame.opcode == TEXT][-1:] == ["rate_limited"]


async def flood(client: RawSocket, frame: dict[str, Any], count: int) -> None:
    """The same frame, so many times, in one write."""
    await client.send(text_bytes(frame) * count)


async def test_what_is_not_utf_8_closes_with_1007_however_much_was_said_before(make_house: MakeHouse) -> None:
    at = await slow(make_house, 0, 0, 1, 1, close_seconds=60.0)
    client = await at.house.raw(await at.house.person())
    await client.send_json({"type": "dance"})
    assert (await client.text("error"))["code"] == "rate_limited"
    await client.send_frame(TEXT, b"\xff")
    assert (await client.until_close()).close_code == 1007


async def test_a_refused_message_leaves_the_typing_of_its_sender_alone(make_house: MakeHouse) -> None:
    at = await slow(make_house, 1, 1, 0, 0)
    ann, bob = await at.house.people("ann", "bob")
    dialog = await at.house.dialog(ann, bob)
    socket, bobs = await at.house.connect(ann), await at.house.connect(bob)
    await socket.say(dialog, "hello")
    await socket.send({"type": "typing_start", "conversation_id": dialog})
    await bobs.next("typing")
    await socket.send_message(dialog, "hello")
    assert (await socket.next("error"))["code"] == "rate_limited"
    await bobs.settle()
    assert bobs.take("typing_stop") == []
