"""Pings, pongs and what a control frame may be (RFC 6455 section 5.5)."""

import pytest

from tests.hub.rfc6455.parts import answered, asking, closed_with, let_go, open_one
from tests.support.hub import House
from tests.support.raw import CLOSE, PING, PONG, TEXT, RawFrame, frame_bytes

BROKEN = {
    f"a {name} {what}": frame_bytes(opcode, payload, fin=fin, length=length)
    for name, opcode in (("ping", PING), ("pong", PONG), ("close", CLOSE))
    for what, payload, fin, length in (
        ("in fragments", b"\x03\xe8", False, 7),
        ("of 126 bytes", b"\x03\xe8" + b"x" * 124, True, 7),
        ("of 65,536 bytes", b"\x03\xe8" + b"x" * 65_534, True, 7),
    )
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
async def test_a_control_frame_in_fragments_or_of_more_than_125_bytes_closes_with_1002(
    house: House, broken: bytes
) -> None:
    client = await open_one(house)
    await client.send(broken)
    await closed_with(client, 1002)
    client.close()
    await let_go(house)


@pytest.mark.transport
@pytest.mark.parametrize("payload", [b"", b"hello", b"\xff" * 125], ids=["empty", "text", "no text"])
async def test_a_ping_is_answered_with_its_payload(house: House, payload: bytes) -> None:
    client = await open_one(house)
    await client.send_frame(PING, payload)
    assert await client.frame() == RawFrame(PONG, payload)


async def test_pings_are_answered_in_their_order_and_between_messages(house: House) -> None:
    client = await open_one(house)
    await client.send(frame_bytes(PING, b"1") + frame_bytes(TEXT, asking("x")) + frame_bytes(PING, b"2"))
    answers = [await client.frame() for _ in range(3)]
    assert [answer.payload for answer in answers if answer.opcode == PONG] == [b"1", b"2"]
    assert [answer.json["temp_id"] for answer in answers if answer.opcode == TEXT] == ["x"]


@pytest.mark.transport
async def test_a_pong_that_nobody_asked_for_is_ignored(house: House) -> None:
    client = await open_one(house)
    for payload in (b"", b"hello", b"\xff" * 125):
        await client.send_frame(PONG, payload)
    assert await client.settle() == []
    await client.send_frame(TEXT, asking("x"))
    await answered(client, "x")
