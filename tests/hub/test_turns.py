"""A client that sends much at once takes turns with all others (hub/connection.py)."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from actions.rates import Rates
from hub.incoming import MAX_IN_FLIGHT, REFUSED_SECONDS, SLOW_TURN_BYTES, TURN_BYTES
from hub.meter import PATIENCE
from tests.hub.conftest import MakeHouse
from tests.support.raw import BINARY, frame_bytes, text_bytes

pytestmark = pytest.mark.transport


async def test_of_much_that_was_sent_at_once_only_a_little_is_taken_in_a_turn_of_the_loop(
    make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await make_house()
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(ann)
    turn = 0
    taken: Counter[int] = Counter()
    handle = house.hub.answering.handle

    def noted(*arguments: Any) -> None:
        taken[turn] += 1
        handle(*arguments)

    monkeypatch.setattr(house.hub.answering, "handle", noted)
    frame = text_bytes({"type": "typing_start", "conversation_id": dialog})
    await client.send(frame * 1000)
    async with asyncio.timeout(20):
        while taken.total() < 1000:
            turn += 1
            await asyncio.sleep(0)
    # The loop of the test and the turns of the connection alternate, or nearly so.
    assert max(taken.values()) <= 3 * (TURN_BYTES // len(frame) + 1)


async def test_all_that_was_sent_at_once_is_done_in_its_order(make_house: MakeHouse) -> None:
    house = await make_house()
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(ann)
    count = 3 * MAX_IN_FLIGHT
    message = {"type": "send_message", "conversation_id": dialog, "text": "x"}
    await client.send(b"".join(text_bytes({**message, "temp_id": str(number)}) for number in range(count)))
    acks = [await client.text("message_sent") for _ in range(count)]
    assert [ack["temp_id"] for ack in acks] == [str(number) for number in range(count)]
    assert [ack["message"]["seq"] for ack in acks] == list(range(1, count + 1))


async def test_a_message_as_large_as_may_be_is_put_together_over_many_turns(make_house: MakeHouse) -> None:
    house = await make_house()
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(ann)
    message = {"type": "send_message", "conversation_id": dialog, "temp_id": "1", "text": "🙂" * 10_000}
    assert len(text_bytes(message)) > 2 * TURN_BYTES
    await client.send(text_bytes(message))
    assert (await client.text("message_sent"))["message"]["text"] == message["text"]


async def test_a_client_that_is_over_its_rate_is_read_slowly(make_house: MakeHouse) -> None:
    house = await make_house(rates=Rates(requests_per_second=1, request_burst=2, clock=lambda: 0.0))
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(ann)  # the first of its two calls
    frame = text_bytes({"type": "typing_start", "conversation_id": dialog})
    await client.send(frame * (PATIENCE + 1))  # one is taken
    for _ in range(PATIENCE):
        assert (await client.text("error"))["code"] == "rate_limited"
    count = 8 * SLOW_TURN_BYTES // len(frame)
    began = house.hub.timers.time()
    await client.send(frame * count)
    for _ in range(count):
        assert (await client.text("error"))["code"] == "rate_limited"
    assert house.hub.timers.time() - began > 2 * REFUSED_SECONDS
    # And it goes on, however slowly.
    for _ in range(3):
        await client.send(frame)
        assert (await client.text("error"))["code"] == "rate_limited"


async def test_what_lies_behind_a_frame_that_closes_the_socket_is_not_read(make_house: MakeHouse) -> None:
    house = await make_house(close_seconds=60.0)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(ann)
    message = {"type": "send_message", "conversation_id": dialog, "temp_id": "1", "text": "too late"}
    await client.send(
        frame_bytes(BINARY, b"x") + text_bytes(message) * (2 * TURN_BYTES // len(text_bytes(message)))
    )
    assert (await client.until_close()).close_code == 1003
    # Its own close frame would be somewhere behind: nobody waits for that.
    await client.ended()
    client.close()


async def test_answers_do_not_have_a_client_read_before_its_turn(make_house: MakeHouse) -> None:
    house = await make_house()
    [ann] = await house.people("ann")
    await house.raw(ann)
    connection = house.connection(ann)
    connection._take_turn_soon(60.0)
    for _ in range(MAX_IN_FLIGHT):
        connection.asked()
    for _ in range(MAX_IN_FLIGHT):
        connection.answered()
    assert not connection._transport.is_reading()


async def test_who_goes_on_sending_behind_the_server_s_close_frame_is_not_waited_for(
    make_house: MakeHouse,
) -> None:
    house = await make_house(close_seconds=60.0)
    [ann] = await house.people("ann")
    client = await house.raw(ann)
    house.connection(ann).close(1012, "the server restarts")
    assert (await client.until_close()).close_code == 1012
    await client.send(text_bytes({"type": "x" * SLOW_TURN_BYTES}))
    await client.ended()
    client.close()
