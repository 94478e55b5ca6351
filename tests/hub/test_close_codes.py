"""How the server closes sockets of its own accord (docs/protocol.md section 6, Close codes). `rfc6455` has the rest."""

import asyncio

import pytest

from hub import Connection
from tests.hub.conftest import MakeHouse
from tests.hub.rfc6455.parts import let_go, open_one
from tests.support.hub import House
from tests.support.raw import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    RawFrame,
    frame_bytes,
    text_bytes,
)

pytestmark = pytest.mark.transport

LIMIT = 64 * 1024


@pytest.fixture
async def house(make_house: MakeHouse) -> House:
    """A house that lets go of nobody who has not closed: an end that comes is one that was meant."""
    return await make_house(close_seconds=60.0)


async def test_a_binary_frame_closes_with_1003(house: House) -> None:
    for whole in (True, False):
        client = await open_one(house)
        await client.send_frame(BINARY, b"{}", fin=whole)
        close = await client.until_close()
        assert close.close_code == 1003
        await client.send_close(1003)
        await client.ended()


async def test_more_than_20_pings_in_a_second_close_with_1008(house: House) -> None:
    ann = await house.person()
    client = await house.raw(ann)
    await client.send(frame_bytes(PING, b"there?") * 19)
    await client.settle()  # by one more
    assert house.connection(ann).is_open
    await client.send(frame_bytes(PING, b"there?") * 21)
    assert (await client.until_close()).close_code == 1008


async def test_a_frame_of_64_kib_is_taken_and_one_byte_more_closes_with_1009(house: House) -> None:
    client = await open_one(house)
    await client.send_frame(TEXT, b'"' + b"x" * (LIMIT - 2) + b'"')
    assert (await client.text("error"))["code"] == "invalid"
    await client.send_frame(TEXT, b'"' + b"x" * (LIMIT - 1) + b'"')
    assert (await client.until_close()).close_code == 1009
    await client.send_close(1009)
    await client.ended()


async def test_the_limit_holds_for_all_fragments_of_a_message_together(make_house: MakeHouse) -> None:
    house = await make_house(frame_bytes=1000)
    client = await open_one(house)
    await client.send_frame(TEXT, b'"' + b"x" * 499, fin=False)
    await client.send_frame(CONT, b"x" * 499 + b'"')
    assert (await client.text("error"))["code"] == "invalid"
    await client.send_frame(TEXT, b"x" * 500, fin=False)
    await client.send_frame(CONT, b"x" * 501, fin=False)
    assert (await client.until_close()).close_code == 1009
    await client.send_close(1009)
    await client.ended()


async def test_control_frames_between_fragments_are_none_of_the_messages_bytes(house: House) -> None:
    client = await open_one(house)
    await client.send_frame(TEXT, b'"' + b"x" * (LIMIT - 2), fin=False)
    await client.send_frame(PING, b"y" * 125)
    assert await client.frame() == RawFrame(PONG, b"y" * 125)
    await client.send_frame(PONG, b"y" * 125)
    await client.send_frame(CONT, b'"')
    assert (await client.text("error"))["code"] == "invalid"


async def test_a_client_that_is_still_sending_its_huge_frame_gets_1009_and_no_reset(house: House) -> None:
    client = await open_one(house)
    sending = asyncio.create_task(client.send(frame_bytes(TEXT, b"x" * 8_000_000)))
    close = await client.until_close()
    assert close.close_code == 1009
    await client.ended()
    await sending
    client.close()
    await let_go(house)


@pytest.mark.parametrize("rest", [1, 126])
async def test_128_fragments_are_taken_and_one_more_closes_with_1009(house: House, rest: int) -> None:
    client = await open_one(house)
    await client.send_frame(TEXT, b"[", fin=False)
    for _ in range(126):
        await client.send_frame(CONT, b"", fin=False)
    await client.send_frame(CONT, b"]")
    assert (await client.text("error"))["code"] == "invalid"
    pieces = [frame_bytes(TEXT, b"[", fin=False), *[frame_bytes(CONT, b"", fin=False)] * 128]
    step = 129 // rest
    for start in range(0, 129, step):
        await client.send(b"".join(pieces[start : start + step]))
    close = await client.until_close()
    assert close.close_code == 1009
    await client.send_close(1009)
    await client.ended()


async def test_megabytes_of_tiny_fragments_cost_no_more_than_their_close(house: House) -> None:
    client = await open_one(house)
    flood = frame_bytes(TEXT, b"[", fin=False) + frame_bytes(CONT, b"x", fin=False) * 300_000
    sending = asyncio.create_task(client.send(flood))
    assert (await client.until_close()).close_code == 1009
    await client.send_close_after(sending)
    client.close()
    await let_go(house)


@pytest.mark.parametrize(
    "tail",
    [b"", frame_bytes(TEXT, b"{}", mask=False), frame_bytes(CLOSE, b"\x03\xe8"), frame_bytes(TEXT, b"{}")],
    ids=["nothing", "no mask", "a close", "a text"],
)
@pytest.mark.parametrize(
    "head",
    [
        frame_bytes(BINARY, b"x"),
        frame_bytes(TEXT, b"\xff"),
        frame_bytes(TEXT, b"{") * 20,
        frame_bytes(TEXT, b"[", fin=False) + frame_bytes(CONT, b"", fin=False) * 128,
    ],
    ids=["binary", "no UTF-8", "bad frames", "fragments"],
)
async def test_whatever_follows_a_fatal_frame_in_the_same_read_the_socket_closes_once(
    house: House, head: bytes, tail: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = await open_one(house)
    await client.send(head + tail)
    assert (await client.until_close()).close_code in (1002, 1003, 1007, 1008, 1009, 1000)
    client.shut_down()
    await client.ended()
    await let_go(house)
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


async def test_a_client_that_does_not_answer_a_close_is_let_go_of(make_house: MakeHouse) -> None:
    house = await make_house(close_seconds=0.1)
    client = await open_one(house)
    await client.send_frame(BINARY, b"x")
    assert (await client.until_close()).close_code == 1003
    await client.broken()
    await let_go(house)


async def test_what_a_client_sends_instead_of_its_close_is_thrown_away(
    make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[int] = []
    receive = Connection.data_received

    def data_received(self: Connection, data: bytes) -> None:
        received.append(len(data))
        receive(self, data)

    monkeypatch.setattr(Connection, "data_received", data_received)
    house = await make_house(close_seconds=60.0)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client, other = await house.raw(ann), await house.connect(bob)
    connection = house.connection(ann)
    await client.send_frame(BINARY, b"x")
    assert (await client.until_close()).close_code == 1003
    message = {"type": "send_message", "temp_id": "1", "conversation_id": dialog, "text": "too late"}
    for _ in range(20):
        await client.send_json(*[message] * 100)
        await client.send_frame(PING, b"there?")
    await house.until(lambda: sum(received) > 20 * 100 * len(text_bytes(message)), "that all of it is read")
    assert len(connection._protocol.events) == 0
    client.close()
    await house.until(lambda: connection.is_gone)
    await other.settle()
    assert other.take("new_message") == []


async def test_a_socket_outlives_its_access_token(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket = await house.connect(ann)
    house.rules.tokens._key = b"another" * 5  # no token is good any more
    await socket.say(dialog, "still here")


@pytest.mark.parametrize("early", [False, True])
async def test_a_bug_closes_the_socket_it_met_with_1011_and_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, early: bool
) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    other = await house.connect(bob)

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("a secret of the server's")

    monkeypatch.setattr(house.hub._typing, "start", broken)
    sent = [
        {"type": "send_message", "temp_id": "1", "conversation_id": dialog, "text": "before"},
        {"type": "typing_start", "conversation_id": dialog},
        {"type": "send_message", "temp_id": "2", "conversation_id": dialog, "text": "after"},
    ]
    if early:
        client = await house.dial()
        await client.send_upgrade(ann, *sent)
        assert (await client.answer()).status == 101
    else:
        client = await house.raw(ann)
        await client.send_json(*sent)
    close = await client.until_close()
    assert close.close_code == 1011
    assert b"secret" not in close.payload
    await client.send_close(1011)
    await client.ended()
    await house.store.idle()
    await other.settle()
    assert [frame["message"]["text"] for frame in other.take("new_message")] == ["before"]
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (record.name, bool(record.exc_info)) == ("hub.incoming", True)
