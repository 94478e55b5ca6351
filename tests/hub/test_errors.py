"""What a frame gets that cannot be done (docs/protocol.md section 6, Errors)."""

import json
from typing import Any

import pytest

from protocol.errors import Refused
from storage import Transaction
from storage.writer import Outcome
from tests.support.hub import House
from tests.support.raw import CLOSE, TEXT

Frame = dict[str, Any]

HELLO: Frame = {"type": "send_message", "temp_id": "t1", "conversation_id": 7, "text": "hello"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{",
        '{"type": NaN}',
        '{"type": "read", "message_id": Infinity}',
        '{"type": "\\ud800"}',
        "[" * 30_000,
        '{"a":' * 10_000,
        '{"type": "read",}',
        "{'type': 'read'}",
        '{"type": "read"} x',
        "\ufeff{}",
        '{"type": "a\tb"}',
        "1e400",
        "1" + "0" * 5_000,
    ],
)
async def test_what_is_no_json_is_malformed(house: House, text: str) -> None:
    socket = await house.connect(await house.person())
    await socket.connection.send(text)
    error = await socket.next("error")
    assert error["code"] == "malformed"
    assert set(error) == {"type", "code", "message"}
    await socket.settle()


@pytest.mark.parametrize("text", ["[]", "1", '"read"', "null", "true", "[{}]"])
async def test_json_that_is_no_object_is_invalid(house: House, text: str) -> None:
    socket = await house.connect(await house.person())
    await socket.connection.send(text)
    assert (await socket.next("error"))["code"] == "invalid"
    await socket.settle()


@pytest.mark.parametrize("kind", ["dance", "hello", "new_message", "", "SEND_MESSAGE", 5, None, True, [], {}])
async def test_a_type_that_the_server_does_not_know_is_unknown(house: House, kind: object) -> None:
    socket = await house.connect(await house.person())
    await socket.send({"type": kind, "temp_id": "t1", "conversation_id": 7})
    error = await socket.next("error")
    assert error.pop("message")
    assert error == {"type": "error", "code": "unknown_type", "temp_id": "t1", "conversation_id": 7}


async def test_a_frame_without_a_type_is_of_an_unknown_one(house: House) -> None:
    socket = await house.connect(await house.person())
    await socket.send({})
    assert (await socket.next("error"))["code"] == "unknown_type"


BAD_IDS = [0, -1, 2**53, 2**63, 2**64, 10**30, 1.0, 1.5, True, "1", None, [], {}]


@pytest.mark.parametrize("value", BAD_IDS, ids=repr)
async def test_ids_are_positive_integers_below_2_to_the_53_and_nothing_else(
    house: House, value: object
) -> None:
    socket = await house.connect(await house.person())
    frames: list[Frame] = [
        {**HELLO, "conversation_id": value},
        {**HELLO, "attachments": [value]},
        {"type": "typing_start", "conversation_id": value},
        {"type": "typing_stop", "conversation_id": value},
        {"type": "read", "conversation_id": value, "message_id": 1},
        {"type": "read", "conversation_id": 1, "message_id": value},
    ]
    for frame in frames:
        await socket.send(frame)
        error = await socket.next("error")
        assert error["code"] == "invalid", frame
        assert error.get("temp_id") == frame.get("temp_id")
    await socket.settle()


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": ""},
        {"text": " \n\t\u2003"},
        {"text": "a\0b"},
        {"text": 5},
        {"text": None},
        {"text": "x" * 10_001},
        {"temp_id": ""},
        {"temp_id": "x" * 65},
        {"temp_id": 5},
        {"temp_id": "a\0b"},
        {"temp_id": None},
        {"attachments": None},
        {"attachments": {}},
        {"attachments": [5, 5]},
        {"attachments": list(range(1, 12))},
        {"conversation_id": "7"},
    ],
    ids=lambda wrong: str(wrong)[:30],
)
async def test_a_message_that_breaks_a_rule_is_invalid_and_not_stored(house: House, wrong: Frame) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket = await house.connect(ann)
    await socket.send({**HELLO, "conversation_id": dialog, **wrong})
    error = await socket.next("error")
    assert error["code"] == "invalid"
    assert next(iter(wrong)) in error["message"]
    assert (await socket.say(dialog, "hello"))["seq"] == 1


async def test_unknown_fields_are_ignored(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket = await house.connect(ann)
    await socket.say(dialog, "hello", mood="good", attachments=[])


async def test_an_attachment_that_is_not_there_is_unavailable(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket = await house.connect(ann)
    await socket.send({**HELLO, "conversation_id": dialog, "attachments": [99]})
    error = await socket.next("error")
    assert (error["code"], error["temp_id"]) == ("attachment_unavailable", "t1")


async def test_what_the_store_cannot_do_is_unavailable_and_says_when_to_try_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket = await house.connect(ann)

    def full(unit: object, done: Any, by: object = None) -> None:
        house.hub.timers.call_soon(done, Outcome(error=Refused("unavailable", retry_after=1)))

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "submit", full)
        await socket.send({**HELLO, "conversation_id": dialog})
        error = await socket.next("error")
    assert (error["code"], error["temp_id"], error["retry_after"]) == ("unavailable", "t1", 1)
    assert (await socket.say(dialog, "hello", temp_id="t1"))["seq"] == 1


async def test_a_bug_in_an_action_is_unavailable_to_the_client_and_closes_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket = await house.connect(ann)

    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("a secret of the server's")

    with monkeypatch.context() as patch:
        patch.setattr("hub.answering.messages.send", broken)
        await socket.send({**HELLO, "conversation_id": dialog})
        error = await socket.next("error")
    assert error["code"] == "unavailable"
    assert "secret" not in json.dumps(error)
    assert "ZeroDivisionError" in caplog.text
    await socket.say(dialog, "hello")


async def test_19_bad_frames_are_forgiven_and_the_20th_closes_with_1008(house: House) -> None:
    ann = await house.person()
    for bad in (b"{", b"[]", b'{"type": "read"}'):
        client = await house.raw(ann)
        for _ in range(19):
            await client.send_frame(TEXT, bad)
            await client.text("error")
        await client.settle()
        await client.send_frame(TEXT, bad)
        await client.text("error")
        assert (await client.until_close()).close_code == 1008
        await client.ended()


async def test_bad_frames_that_the_store_finds_count_too(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(ann)
    await client.send_json(*({**HELLO, "conversation_id": dialog, "text": " "} for _ in range(40)))
    assert (await client.until_close()).close_code == 1008
    assert [frame.json["code"] for frame in client.passed] == ["invalid"] * 20


async def test_other_refusals_are_no_abuse(house: House) -> None:
    socket = await house.connect(await house.person())
    for _ in range(30):
        await socket.send({"type": "dance"})
        await socket.send(HELLO)
    codes = [(await socket.next("error"))["code"] for _ in range(60)]
    assert sorted(set(codes)) == ["not_found", "unknown_type"]
    await socket.settle()


async def test_a_bad_frame_changes_nothing_for_the_good_ones_around_it(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(ann)
    good = {**HELLO, "conversation_id": dialog}
    await client.send_json(
        {**good, "temp_id": "1"}, {**good, "temp_id": "2", "text": ""}, {**good, "temp_id": "3"}
    )
    answers = {(await client.text())["temp_id"] for _ in range(3)}
    assert answers == {"1", "2", "3"}
    history = await house.store.read(
        lambda snapshot: snapshot.rows("SELECT temp_id FROM messages ORDER BY id")
    )
    assert history == [("1",), ("3",)]


async def test_a_unit_that_fails_beside_others_fails_alone(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(ann)

    def broken(tx: Transaction) -> None:
        tx.execute("UPDATE users SET username = 'nobody'")
        raise Refused("forbidden")

    failing = house.store.write(broken)
    await client.send_json(*({**HELLO, "conversation_id": dialog, "temp_id": str(n)} for n in range(5)))
    with pytest.raises(Refused):
        await failing
    for _ in range(5):
        await client.text("message_sent")
    assert CLOSE not in {frame.opcode for frame in await client.settle()}
