"""A frame that takes long: the later ones of its socket wait for it, in their order (docs/protocol.md section 5)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

from hub.incoming import MAX_IN_FLIGHT, TURN_BYTES
from protocol.errors import Refused
from storage import Transaction, uploads
from storage.attachments.s3 import Copied, Copies, S3Files
from storage.uploads import Upload
from tests.hub.conftest import MakeHouse
from tests.support.hub import House
from tests.support.raw import PING, PONG, RawFrame, RawSocket, text_bytes
from tests.support.rest import Person

FRAME = {"type": "send_message", "text": "", "attachments": []}


class SlowS3:
    """Copies when the test says so."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.refusal: Refused | None = None

    @contextlib.asynccontextmanager
    async def copied(self, found: Sequence[Upload]) -> AsyncIterator[Copies]:
        self.is_asked.set()
        await self.answers.wait()
        if self.refusal is not None:
            raise self.refusal
        yield Copies({upload.id: Copied(f"files/{upload.id}", 1, b"x") for upload in found})


async def uploaded(house: House, person: Person) -> int:
    """An attachment whose bytes are said to be on S3."""

    def unit(tx: Transaction) -> int:
        attachment_id = uploads.insert(
            tx, uploader_id=person.id, filename="a", content_type="text/plain", declared_size=None
        )
        uploads.expect_on_s3(tx, attachment_id, f"uploads/{attachment_id}")
        return attachment_id

    return await house.store.write(unit)


async def scene(
    make_house: MakeHouse, **settings: Any
) -> tuple[House, SlowS3, Person, RawSocket, dict[str, Any], dict[str, Any]]:
    """Ann's socket, a message of hers with a file, and one without."""
    s3 = SlowS3()
    house = await make_house(s3=cast(S3Files, s3), **settings)
    ann = await house.person("ann")
    chat = await house.group(ann)
    raw = await house.raw(ann)
    file = {**FRAME, "conversation_id": chat, "temp_id": "file", "attachments": [await uploaded(house, ann)]}
    return house, s3, ann, raw, file, {**FRAME, "conversation_id": chat, "temp_id": "text", "text": "hello"}


async def temp_ids(raw: RawSocket, count: int) -> list[str]:
    return [(await raw.text())["temp_id"] for _ in range(count)]


async def test_frames_of_one_read_are_handled_behind_it_and_the_close_is_the_last(
    make_house: MakeHouse,
) -> None:
    house, s3, ann, raw, file, text = await scene(make_house)
    await raw.send(text_bytes({**text, "temp_id": "0"}) + text_bytes(file) + text_bytes(text))
    await raw.send_close()
    await s3.is_asked.wait()
    assert await temp_ids(raw, 1) == ["0"]
    await raw.nothing(0.1)
    s3.answers.set()
    assert await temp_ids(raw, 1) == ["file"]
    # As ever, who closes at once doesn't hear of what is under way; it happens all the same.
    assert (await raw.until_close()).close_code == 1000
    await house.gone(ann)
    await house.store.idle()
    stored = await house.store.read(
        lambda snapshot: snapshot.rows("SELECT temp_id FROM messages ORDER BY id")
    )
    assert stored == [("0",), ("file",), ("text",)]


async def test_what_waits_is_no_more_than_a_frame_may_have_and_then_nothing_is_read(
    make_house: MakeHouse,
) -> None:
    house, s3, ann, raw, file, text = await scene(make_house)
    await raw.send_json(file)
    await s3.is_asked.wait()
    connection = house.connection(ann)
    assert connection._transport.is_reading()
    long = {**text, "text": "x" * 9000}
    for number in range(8):
        await raw.send_json({**long, "temp_id": f"long-{number}"})
    while connection._transport.is_reading():
        await asyncio.sleep(0.01)
    # What is done meanwhile must not set it reading again.
    for _ in range(100):
        connection.asked()
    for _ in range(100):
        connection.answered()
    assert not connection._transport.is_reading()
    s3.answers.set()
    await raw.send_json(text)
    assert await temp_ids(raw, 10) == ["file", *(f"long-{number}" for number in range(8)), "text"]
    assert connection._transport.is_reading()


async def test_so_many_small_frames_wait_and_then_nothing_is_read(make_house: MakeHouse) -> None:
    house, s3, ann, raw, file, _ = await scene(make_house)
    await raw.send_json(file)
    await s3.is_asked.wait()
    await raw.send(text_bytes({"type": "x"}) * MAX_IN_FLIGHT)
    while house.connection(ann)._transport.is_reading():
        await asyncio.sleep(0.01)


async def test_of_much_that_came_at_once_no_more_waits_than_a_turn_brings(make_house: MakeHouse) -> None:
    house, s3, ann, raw, file, text = await scene(make_house)
    await raw.send_json(file)
    await s3.is_asked.wait()
    connection = house.connection(ann)
    frame = text_bytes({"type": "typing_stop", "conversation_id": text["conversation_id"]})
    connection.data_received(frame * 4000 + text_bytes(text))
    for _ in range(100):
        await asyncio.sleep(0)
    assert connection._held is not None
    assert MAX_IN_FLIGHT <= len(connection._held) <= MAX_IN_FLIGHT + TURN_BYTES // len(frame) + 1
    assert not connection._transport.is_reading()
    s3.answers.set()
    assert await temp_ids(raw, 2) == ["file", "text"]
    assert connection._transport.is_reading()


async def test_pings_are_answered_meanwhile_and_pongs_heard(make_house: MakeHouse) -> None:
    _, s3, _, raw, file, _ = await scene(make_house, ping_seconds=1.0)
    await raw.send_json(file)
    await s3.is_asked.wait()
    # The server pings anew only when it has heard the last pong.
    payloads = set()
    for _ in range(2):
        payload = await raw.ping()
        await raw.send_frame(PONG, payload)
        payloads.add(payload)
    assert len(payloads) == 2
    await raw.send_frame(PING, b"are you there?")
    assert await raw.frame() == RawFrame(PONG, b"are you there?")
    s3.answers.set()
    assert await temp_ids(raw, 1) == ["file"]


async def test_nobody_is_given_up_whose_pong_may_lie_unread(make_house: MakeHouse) -> None:
    house, s3, ann, raw, file, _ = await scene(make_house, ping_seconds=0.5)
    await raw.send_json(file)
    await s3.is_asked.wait()
    house.connection(ann)._transport.pause_reading()
    await raw.send_frame(PONG, await raw.ping())
    await asyncio.sleep(1.5)
    assert house.connection(ann).is_open
    s3.answers.set()
    assert await temp_ids(raw, 1) == ["file"]
    await raw.ping()


async def test_two_that_take_long_take_turns(make_house: MakeHouse) -> None:
    house, s3, ann, raw, file, text = await scene(make_house)
    another = {**file, "temp_id": "another", "attachments": [await uploaded(house, ann)]}
    await raw.send(text_bytes(file) + text_bytes(another) + text_bytes(text))
    await s3.is_asked.wait()
    s3.answers.set()
    assert await temp_ids(raw, 3) == ["file", "another", "text"]


async def test_a_refusal_comes_in_its_place_and_the_frames_behind_it_go_on(make_house: MakeHouse) -> None:
    _, s3, _, raw, file, text = await scene(make_house)
    s3.refusal = Refused("unavailable", retry_after=5)
    await raw.send(text_bytes(file) + text_bytes(text))
    s3.answers.set()
    error = await raw.text()
    assert (error["type"], error["code"], error["temp_id"]) == ("error", "unavailable", "file")
    assert error["retry_after"] == 5
    assert (await raw.text())["type"] == "message_sent"


async def test_a_bug_is_logged_and_answered_as_unavailable(make_house: MakeHouse, caplog: Any) -> None:
    _, s3, _, raw, file, text = await scene(make_house)
    s3.refusal = cast(Refused, ValueError("a bug"))
    s3.answers.set()
    await raw.send(text_bytes(file) + text_bytes(text))
    assert (await raw.text())["code"] == "unavailable"
    assert (await raw.text())["type"] == "message_sent"
    assert "A message with attachments was not sent" in caplog.text


async def test_a_socket_that_is_closed_meanwhile_loses_its_own_answer_alone(make_house: MakeHouse) -> None:
    house, s3, ann, raw, file, text = await scene(make_house)
    other = await house.connect(ann)
    await raw.send(text_bytes(file) + text_bytes(text))
    await s3.is_asked.wait()
    raw.reset()
    house.connection(ann, 0).abort()
    await house.until(lambda: len(house.hub._registry.peers[ann.id].connections) == 1)
    s3.answers.set()
    assert (await other.next("new_message"))["message"]["temp_id"] == "file"
    assert len(house.hub.answering._sending) == 0


async def test_a_session_that_ends_meanwhile_closes_the_socket_and_sends_nothing(
    make_house: MakeHouse,
) -> None:
    house, s3, ann, raw, file, text = await scene(make_house)
    await raw.send(text_bytes(file) + text_bytes(text))
    await s3.is_asked.wait()
    await house.logout(ann)
    assert (await raw.until_close()).close_code == 4501
    s3.answers.set()
    await house.hub.finish()
    await house.store.idle()
    assert (await house.store.read(lambda snapshot: snapshot.value("SELECT count(*) FROM messages"))) == 0


async def test_messages_without_attachments_start_no_task(make_house: MakeHouse) -> None:
    house, _, ann, raw, _, text = await scene(make_house)
    async with house.held():
        await raw.send_json(text)
        await house.until(lambda: house.connection(ann).in_flight == 1)
        assert not house.hub.answering._sending
    assert await temp_ids(raw, 1) == ["text"]
