"""Masks, bits, lengths, fragments, and how TCP may cut them (RFC 6455 sections 5.1 to 5.4)."""

import asyncio

import pytest

from tests.hub.rfc6455.parts import TEXT_OF_ALL_LENGTHS, answered, asking, closed_with, let_go, open_one
from tests.support.hub import House
from tests.support.raw import CONT, PING, PONG, TEXT, RawFrame, frame_bytes, text_bytes, upgrade_bytes

LIMIT = 64 * 1024
SIZES = [0, 1, 2, 125, 126, 127, 65_534, 65_535, 65_536]

BROKEN = {
    "the first reserved bit": frame_bytes(TEXT, b"{}", rsv=4),
    "the second reserved bit": frame_bytes(TEXT, b"{}", rsv=2),
    "the third reserved bit": frame_bytes(TEXT, b"{}", rsv=1),
    "a reserved bit of a ping": frame_bytes(PING, b"", rsv=1),
    "a reserved bit of a later fragment": frame_bytes(TEXT, b"{", fin=False) + frame_bytes(CONT, b"}", rsv=4),
    "no mask": frame_bytes(TEXT, b"{}", mask=False),
    "no mask on a ping": frame_bytes(PING, b"", mask=False),
    "no mask on a later fragment": frame_bytes(TEXT, b"{", fin=False) + frame_bytes(CONT, b"}", mask=False),
    "a continuation of nothing": frame_bytes(CONT, b"{}"),
    "a continuation of nothing that goes on": frame_bytes(CONT, b"{", fin=False),
    "a continuation of what is whole": frame_bytes(TEXT, b"{}") + frame_bytes(CONT, b"{}"),
    "a message within a message": frame_bytes(TEXT, b"{", fin=False) + frame_bytes(TEXT, b"}"),
    "a binary message within a message": frame_bytes(TEXT, b"{", fin=False) + frame_bytes(2, b"}"),
    **{
        f"the reserved opcode {opcode}": frame_bytes(opcode, b"") for opcode in (*range(3, 8), *range(11, 16))
    },
    "a reserved opcode in a message": frame_bytes(TEXT, b"{", fin=False) + frame_bytes(3, b"}"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
async def test_what_breaks_the_framing_closes_with_1002(house: House, broken: bytes) -> None:
    client = await open_one(house)
    await client.send(broken)
    await closed_with(client, 1002)
    client.close()
    await let_go(house)


@pytest.mark.parametrize("length", [7, 16, 64])
async def test_a_payload_of_any_size_is_read_however_its_length_is_written(house: House, length: int) -> None:
    # More bytes for a length than it needs are forbidden to the sender; nothing asks the receiver to refuse them.
    client = await open_one(house)
    for size in SIZES:
        payload = b'"' + b"x" * (size - 2) + b'"' if size > 1 else b"1" * size
        await client.send_frame(TEXT, payload, length=length)
        assert (await client.text("error"))["code"] == ("invalid" if size else "malformed"), size


@pytest.mark.parametrize("declared", [LIMIT + 126, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
async def test_a_length_that_is_too_large_is_refused_before_its_bytes_come(
    house: House, declared: int
) -> None:
    client = await open_one(house)
    await client.send_frame(TEXT, b"{", length=64, declared=declared)
    await closed_with(client, 1009)


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\xff\1\xfe"])
async def test_any_mask_is_taken_off(house: House, mask: bytes) -> None:
    client = await open_one(house)
    payload = asking("hello, whatever the mask")
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    await client.send(bytes([0x81, 0x80 | len(payload)]) + mask + masked)
    await answered(client, "hello, whatever the mask")


# Fragments.


async def test_a_message_may_be_cut_into_fragments_anywhere_even_within_a_character(house: House) -> None:
    client = await open_one(house)
    payload = asking(TEXT_OF_ALL_LENGTHS)
    for place in range(len(payload) + 1):
        await client.send(frame_bytes(TEXT, payload[:place], fin=False) + frame_bytes(CONT, payload[place:]))
        await answered(client, TEXT_OF_ALL_LENGTHS)


async def test_a_message_may_come_in_fragments_of_one_byte_and_of_none(house: House) -> None:
    client = await open_one(house)
    payload = asking("é€😀")
    pieces = [frame_bytes(CONT, piece, fin=False) for byte in payload for piece in (bytes([byte]), b"")]
    await client.send(frame_bytes(TEXT, b"", fin=False) + b"".join(pieces) + frame_bytes(CONT, b""))
    await answered(client, "é€😀")


async def test_control_frames_between_fragments_are_answered_at_once(house: House) -> None:
    client = await open_one(house)
    payload = asking("between")
    await client.send_frame(TEXT, payload[:5], fin=False)
    for number, place in enumerate(range(5, len(payload), 5)):
        assert number < 20, "more pings in a second close the socket"
        await client.send_frame(PING, b"%d" % number)
        await client.send_frame(PONG, b"nobody asked")
        assert await client.frame() == RawFrame(PONG, b"%d" % number)
        await client.send_frame(CONT, payload[place : place + 5], fin=False)
    await client.send_frame(CONT, b"")
    await answered(client, "between")


# TCP.


async def test_frames_may_come_byte_by_byte(house: House) -> None:
    client = await open_one(house)
    payload = asking("x" * 130 + "€")
    data = (
        frame_bytes(TEXT, payload[:140], fin=False)
        + frame_bytes(PING, b"ping")
        + frame_bytes(CONT, payload[140:])
    )
    for byte in data[:-1]:
        await client.send(bytes([byte]))
        await asyncio.sleep(0)
    assert await client.frame() == RawFrame(PONG, b"ping")
    await client.send(data[-1:])
    await answered(client, "x" * 130 + "€")


async def test_two_frames_may_be_cut_into_two_segments_anywhere(house: House) -> None:
    client = await open_one(house)
    data = frame_bytes(TEXT, asking("é€😀")) + frame_bytes(TEXT, asking("x" * 130))
    for place in range(1, len(data), 2):
        await client.send(data[:place])
        await asyncio.sleep(0)
        await client.send(data[place:])
        await answered(client, "é€😀")
        await answered(client, "x" * 130)


async def test_many_frames_may_come_in_one_segment_and_are_answered_in_their_order(house: House) -> None:
    client = await open_one(house)
    await client.send(b"".join(frame_bytes(TEXT, asking(f"{number}")) for number in range(100)))
    for number in range(100):
        await answered(client, f"{number}")


@pytest.mark.transport
@pytest.mark.parametrize("step", [1, 7, 10_000])
async def test_frames_may_come_with_the_upgrade_in_segments_of_any_size(house: House, step: int) -> None:
    ann = await house.person()
    client = await house.dial()
    data = upgrade_bytes(f"/ws?token={ann.token}") + text_bytes({"type": "x", "temp_id": "early"})
    for start in range(0, len(data), step):
        await client.send(data[start : start + step])
        await asyncio.sleep(0)
    assert (await client.answer()).status == 101
    assert (await client.text())["type"] == "hello"
    await answered(client, "early")
