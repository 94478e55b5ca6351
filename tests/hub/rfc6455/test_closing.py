"""How a connection is closed (RFC 6455 sections 5.5.1 and 7)."""

import pytest

from tests.hub.rfc6455.parts import closed_with, let_go, open_one
from tests.support.hub import House
from tests.support.raw import BINARY, CLOSE, CONT, PING, TEXT, RawFrame, frame_bytes, text_bytes

VALID = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
INVALID = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]

REASONS = {
    "nothing": b"",
    "a code": b"\x03\xe8",
    "a reason": b"\x03\xe9bye",
    "a reason in any script": (4999).to_bytes(2, "big") + "тчк 😀".encode(),
    "the longest reason": b"\x03\xe8" + b"x" * 123,
}


@pytest.mark.transport
@pytest.mark.parametrize("payload", REASONS.values(), ids=REASONS.keys())
async def test_a_clients_close_is_echoed_and_the_server_ends_the_stream_first(
    house: House, payload: bytes
) -> None:
    client = await open_one(house)
    await client.send_frame(CLOSE, payload)
    assert await client.until_close() == RawFrame(CLOSE, payload)
    await client.ended()
    client.close()
    await let_go(house)


async def test_every_code_that_a_client_may_send_is_echoed(house: House) -> None:
    ann = await house.person()
    for code in VALID:
        with await house.raw(ann) as client:
            await client.send_close(code)
            await closed_with(client, code)


async def test_a_code_that_nobody_may_send_closes_with_1002(house: House) -> None:
    ann = await house.person()
    for code in INVALID:
        with await house.raw(ann) as client:
            await client.send_close(code)
            await closed_with(client, 1002)


@pytest.mark.parametrize("reason", [b"\xff", b"bye \xe2\x82", b"\xed\xa0\x80"])
async def test_a_reason_that_is_no_utf_8_closes_with_1007(house: House, reason: bytes) -> None:
    client = await open_one(house)
    await client.send_frame(CLOSE, b"\x03\xe8" + reason)
    await closed_with(client, 1007)


async def test_half_a_code_closes_with_1002(house: House) -> None:
    client = await open_one(house)
    await client.send_frame(CLOSE, b"\x03")
    await closed_with(client, 1002)


async def test_a_close_within_a_message_closes_with_1002(house: House) -> None:
    # It may stand there; but a message that will never end is worth a word to whoever wrote the client.
    client = await open_one(house)
    await client.send(frame_bytes(TEXT, b"{", fin=False) + frame_bytes(CLOSE, b"\x03\xe8"))
    await closed_with(client, 1002)


async def test_frames_behind_a_close_are_not_read(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client, other = await house.raw(ann), await house.connect(bob)
    message = {"type": "send_message", "temp_id": "1", "conversation_id": dialog, "text": "too late"}
    behind = [
        text_bytes(message),
        frame_bytes(PING),
        frame_bytes(3),
        frame_bytes(CONT),
        frame_bytes(CLOSE),
        b"\xff",
    ]
    await client.send(frame_bytes(CLOSE) + b"".join(behind))
    assert await client.until_close() == RawFrame(CLOSE, b"")
    await client.ended()
    await house.store.idle()
    await other.settle()
    assert other.take("new_message") == []


async def test_what_came_before_the_broken_frame_is_done(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client, other = await house.raw(ann), await house.connect(bob)
    message = {"type": "send_message", "temp_id": "1", "conversation_id": dialog, "text": "hello"}
    no_mask = frame_bytes(TEXT, b"{}", mask=False)
    await client.send(text_bytes(message) + no_mask + text_bytes({**message, "temp_id": "2"}))
    await closed_with(client, 1002)
    assert (await other.next("new_message"))["message"]["text"] == "hello"
    await other.settle()
    assert other.take("new_message") == []


async def test_after_the_servers_close_the_stream_ends_with_the_clients(house: House) -> None:
    client = await open_one(house)
    await client.send_frame(BINARY, b"x")
    assert (await client.until_close()).close_code == 1003
    await client.send_frame(TEXT, b"{}")
    await client.send_frame(PING, b"still there?")
    await client.send_close(1003)
    await client.ended()
    client.close()
    await let_go(house)


@pytest.mark.transport
async def test_a_client_that_ends_its_half_without_a_close_is_let_go_of(house: House) -> None:
    client = await open_one(house)
    client.shut_down()
    await client.ended()
    await let_go(house)


@pytest.mark.transport
@pytest.mark.parametrize(
    "said", [b"", b"\x81", frame_bytes(TEXT, b"{", fin=False)], ids=["nothing", "a byte", "half"]
)
async def test_a_client_that_resets_the_connection_is_gone(house: House, said: bytes) -> None:
    ann = await house.person()
    client = await house.raw(ann)
    await client.send(said)
    client.reset()
    await let_go(house)
    await house.gone(ann)
