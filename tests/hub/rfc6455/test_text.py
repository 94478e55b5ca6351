"""Text is UTF-8 (RFC 6455 sections 5.6 and 8.1).

What is not is refused once its message is whole: the RFC lets a receiver wait that long, and nothing of a message is
used before its end.
"""

import pytest

from tests.hub.rfc6455.parts import TEXT_OF_ALL_LENGTHS, answered, asking, open_one
from tests.support.hub import House
from tests.support.raw import CLOSE, CONT, TEXT, RawSocket, frame_bytes

INVALID = {
    "a byte that never stands in UTF-8": [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff", b"\xc0", b"\xc1", b"\xf5"],
    "a continuation byte alone": [b"\x80", b"\xbf", b"\x80\xbf\x80", b"a\x80b"],
    "a first byte alone": [b"\xc3 ", b"\xe2 ", b"\xf0 ", b"\xc3\xc3", b"\xe2\x82\xe2\x82"],
    "a character cut short": [
        b"\xc3",
        b"\xe2",
        b"\xe2\x82",
        b"\xf0",
        b"\xf0\x9f",
        b"\xf0\x9f\x98",
        b"\xf0\x9f\x98 ",
    ],
    "an overlong form": [
        *(
            b"\xc0\xaf",
            b"\xe0\x80\xaf",
            b"\xf0\x80\x80\xaf",
            b"\xf8\x80\x80\x80\xaf",
            b"\xfc\x80\x80\x80\x80\xaf",
        ),
        *(
            b"\xc1\xbf",
            b"\xe0\x9f\xbf",
            b"\xf0\x8f\xbf\xbf",
            b"\xc0\x80",
            b"\xe0\x80\x80",
            b"\xf0\x80\x80\x80",
        ),
    ],
    "a surrogate": [
        b"\xed\xa0\x80",
        b"\xed\xaf\xbf",
        b"\xed\xb0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\x80\xed\xb0\x80",
    ],
    "beyond the last character": [b"\xf4\x90\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xf8\x88\x80\x80\x80"],
}


async def refused(client: RawSocket) -> None:
    """The socket closes with 1007."""
    assert (await client.until_close()).close_code == 1007
    await client.send_close(1007)
    await client.ended()
    client.close()


@pytest.mark.parametrize("texts", INVALID.values(), ids=INVALID.keys())
async def test_what_is_no_utf_8_closes_with_1007(house: House, texts: list[bytes]) -> None:
    ann = await house.person()
    for text in texts:
        # Within a message that would be one, and alone; in one frame, and cut within what is wrong.
        for payload in (b'{"type": "x", "temp_id": "' + text + b'"}', text):
            client = await house.raw(ann)
            await client.send_frame(TEXT, payload)
            await refused(client)
            middle = payload.index(text) + len(text) // 2
            client = await house.raw(ann)
            await client.send(
                frame_bytes(TEXT, payload[:middle], fin=False) + frame_bytes(CONT, payload[middle:])
            )
            await refused(client)


@pytest.mark.transport
async def test_a_message_that_ends_within_a_character_closes_with_1007(house: House) -> None:
    client = await open_one(house)
    await client.send(frame_bytes(TEXT, b'{"type": "\xe2', fin=False) + frame_bytes(CONT, b"\x82"))
    await refused(client)


async def test_a_character_is_not_put_together_over_two_messages(house: House) -> None:
    client = await open_one(house)
    await client.send(frame_bytes(TEXT, b'"\xe2\x82') + frame_bytes(TEXT, b'\xac"'))
    await refused(client)


async def test_every_character_is_text_even_those_that_are_none_in_unicode(house: House) -> None:
    client = await open_one(house)
    planes = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    for text in (TEXT_OF_ALL_LENGTHS, planes, "\ufdd0\ufdef", "\u200b\u202e\x7f\x80\x9f"):
        await client.send_frame(TEXT, asking(text))
        await answered(client, text)


async def test_what_is_wrong_waits_for_the_end_of_its_message(house: House) -> None:
    client = await open_one(house)
    await client.send_frame(TEXT, b'{"type": "\xff', fin=False)
    assert CLOSE not in {frame.opcode for frame in await client.settle()}
    await client.send_frame(CONT, b'"}')
    await refused(client)
