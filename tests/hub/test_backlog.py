"""Clients that read slowly or not at all (docs/protocol.md section 6, 4008)."""

import asyncio
import socket

import pytest

from hub import Connection, inbox
from tests.hub.conftest import MakeHouse
from tests.support.hub import House
from tests.support.raw import PING, RawSocket, frame_bytes
from tests.support.rest import Person

pytestmark = pytest.mark.transport

TEXT = "x" * 9_000


async def slow(house: House, person: Person) -> tuple[RawSocket, Connection]:
    """A client that reads nothing from here on, and its connection, with little room between them."""
    client = await house.raw(person, receive_buffer=4096)
    connection = house.connection(person)
    endpoint = connection._transport.get_extra_info("socket")
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return client, connection


async def test_past_the_backlog_a_slow_reader_is_closed_with_4008_and_others_do_not_notice(
    make_house: MakeHouse,
) -> None:
    house = await make_house(backlog_bytes=100_000, close_seconds=10.0)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    author, good = await house.connect(ann), await house.connect(cat)
    client, connection = await slow(house, bob)
    most = 0
    for number in range(40):
        await author.say(group, f"{number} {TEXT}")
        assert (await good.next("new_message"))["message"]["seq"] == number + 1
        most = max(most, connection._transport.get_write_buffer_size())
    await house.until(lambda: not connection.is_open)
    assert 100_000 < most < 130_000
    close = await client.until_close()
    assert close.close_code == 4008
    assert close.payload[2:].endswith(b"(limits.backlog_bytes)")
    assert 5 < len([frame for frame in client.passed if frame.opcode == 1]) < 30
    await client.send_close(4008)
    await client.ended()
    client.close()
    await house.until(lambda: connection.is_gone)
    await good.settle()


async def test_a_backlog_is_measured_before_more_is_added(make_house: MakeHouse) -> None:
    house = await make_house(backlog_bytes=100_000)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client, connection = await slow(house, bob)
    await asyncio.gather(
        *(house.post(ann, dialog, TEXT) for _ in range(50))
    )  # far more than the limit, at once
    assert connection._transport.get_write_buffer_size() > 300_000
    assert connection.is_open
    for _ in range(50):
        await client.text("new_message")
    await client.settle()


async def test_a_reader_that_is_stuck_for_too_long_is_closed_with_4008(
    make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[float] = []
    pause = Connection.pause_writing

    def noted(self: Connection) -> None:
        began.append(house.hub.timers.time())
        pause(self)

    monkeypatch.setattr(Connection, "pause_writing", noted)
    house = await make_house(stuck_seconds=0.2, close_seconds=10.0)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client, connection = await slow(house, bob)
    await asyncio.gather(*(house.post(ann, dialog, TEXT) for _ in range(20)))
    assert connection.is_paused
    await house.until(lambda: not connection.is_open)
    [begin] = began
    assert house.hub.timers.time() - begin >= 0.15
    assert (await client.until_close()).close_code == 4008


async def test_a_reader_that_catches_up_in_time_is_not_closed(make_house: MakeHouse) -> None:
    house = await make_house()
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client, connection = await slow(house, bob)
    for _ in range(3):
        await asyncio.gather(*(house.post(ann, dialog, TEXT) for _ in range(20)))
        assert connection.is_paused
        for _ in range(20):
            await client.text("new_message")
        await house.until(lambda: not connection.is_paused)
    await client.settle()


async def test_a_slow_reader_that_never_reads_its_close_is_let_go_of(make_house: MakeHouse) -> None:
    house = await make_house(backlog_bytes=50_000, close_seconds=0.1, linger_seconds=0.0)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    _, connection = await slow(house, bob)
    for _ in range(20):
        await house.post(ann, dialog, TEXT)
    await house.until(lambda: connection.is_gone)
    await house.gone(bob)


async def test_a_client_that_ends_its_half_and_reads_nothing_is_let_go_of(make_house: MakeHouse) -> None:
    house = await make_house(close_seconds=0.1)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client, connection = await slow(house, bob)
    await asyncio.gather(*(house.post(ann, dialog, TEXT) for _ in range(20)))
    client.shut_down()
    await house.until(lambda: connection.is_gone)


async def test_pongs_count_in_the_backlog(make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "PINGS", 10**6)  # else it would not come to that
    house = await make_house(backlog_bytes=50_000, close_seconds=0.1)
    ann = await house.person()
    client, connection = await slow(house, ann)
    flood = frame_bytes(PING, b"x" * 125) * 500
    most = 0
    with pytest.raises((ConnectionError, TimeoutError)):
        for _ in range(1000):
            await client.send(flood)
            most = max(most, connection._transport.get_write_buffer_size())
    assert most < 400_000
    await house.until(lambda: connection.is_gone)


async def test_one_socket_that_fails_keeps_nothing_from_the_others(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    await house.raw(bob)
    good = await house.connect(cat)

    def broken(data: bytes) -> None:
        raise RuntimeError("the handler is closed")

    writes = house.writes(bob)
    house.connection(bob)._transport.write = broken  # type: ignore[method-assign,assignment]
    await house.post(ann, group, "hello")
    await good.next("new_message")
    await house.gone(bob)
    assert writes == []
    assert "could not be written to" in caplog.text
