"""The server's own pings, and clients that do not answer them (docs/protocol.md section 6, Limits)."""

import asyncio
from dataclasses import fields

from hub import Settings
from tests.hub.conftest import MakeHouse
from tests.support.raw import PONG, RawSocket


async def test_an_idle_socket_is_pinged_and_stays_open_as_long_as_it_answers(make_house: MakeHouse) -> None:
    house = await make_house(ping_seconds=1.0)
    client = await house.raw(await house.person())
    payloads = set()
    for _ in range(3):
        payload = await client.ping()
        await client.send_frame(PONG, payload)
        payloads.add(payload)
    assert len(payloads) == 3


async def test_a_client_that_does_not_answer_is_closed_with_1011_and_goes_offline(
    make_house: MakeHouse,
) -> None:
    house = await make_house(ping_seconds=0.2, close_seconds=0.1)
    ann = await house.person()
    client = await house.raw(ann)
    connection = house.connection(ann)
    await client.ping()
    left = connection.pulse.pinged_at
    assert left is not None
    close = await client.until_close()
    assert house.hub.timers.time() - left > 0.199
    assert close.close_code == 1011
    assert client.pings == []
    await client.broken()
    await house.gone(ann)


async def test_the_time_counts_from_when_the_ping_left_whatever_it_left_for(make_house: MakeHouse) -> None:
    house = await make_house(ping_seconds=0.4)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(bob)
    connection = house.connection(bob)
    await client.send_frame(PONG, await client.ping())  # the wheel's own
    await asyncio.sleep(0.15)
    await house.post(ann, dialog, "hello")
    await client.ping()
    left = connection.pulse.pinged_at
    assert left is not None
    assert (await client.until_close()).close_code == 1011
    assert house.hub.timers.time() - left > 0.399  # and no longer: tests/hub/test_pulse.py


async def test_a_late_pong_is_in_time_as_long_as_it_comes_at_all(make_house: MakeHouse) -> None:
    house = await make_house(ping_seconds=1.5)
    client = await house.raw(await house.person())
    for _ in range(2):
        payload = await client.ping()
        await asyncio.sleep(0.5)
        await client.send_frame(PONG, payload)
    await client.settle()


async def test_what_else_a_client_sends_is_no_pong(make_house: MakeHouse) -> None:
    house = await make_house(ping_seconds=0.2)
    client = await house.raw(await house.person())
    await client.ping()
    for _ in range(5):
        await asyncio.sleep(0.02)
        await client.send_json({"type": "dance"})
        await client.send_frame(PONG, b"nonsense")
    assert (await client.until_close()).close_code == 1011


async def test_all_sockets_have_their_turn(make_house: MakeHouse) -> None:
    house = await make_house(ping_seconds=2.0)
    clients = [await house.raw(person) for person in await house.people(*"abcdefghij")]

    async def answer(client: RawSocket) -> None:
        await client.send_frame(PONG, await client.ping())

    await asyncio.gather(*map(answer, clients))


def test_the_usual_times_are_the_protocols() -> None:
    usual = {field.name: field.default for field in fields(Settings)}
    assert (usual["ping_seconds"], usual["stuck_seconds"]) == (20.0, 30.0)
