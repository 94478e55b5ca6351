"""Frames as bytes: RFC 6455 on the outside, the contract on the inside."""

import json
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from hub import frames
from protocol.entities import Conversation, Message
from protocol.errors import SOCKET_CODES, Refused, invalid

MESSAGE: Message = {
    "id": 55,
    "conversation_id": 7,
    "seq": 12,
    "sender_id": 1,
    "text": "hello",
    "attachments": [],
    "created_at": "2026-11-23T13:05:00.123Z",
}
CONVERSATION: Conversation = {
    "id": 7,
    "type": "group",
    "title": "Team",
    "members": [1, 2],
    "created_at": "2026-11-23T13:05:00.123Z",
    "created_by": 1,
    "event_id": 60,
}


def body(frame: bytes) -> Any:
    """The JSON of a short text frame."""
    assert frame[0] == 0x81
    assert frame[1] == len(frame) - 2 < 126 or frame[1] == 126
    return json.loads(frame[2:] if frame[1] < 126 else frame[4:])


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_a_text_frame_is_what_the_library_would_write(size: int) -> None:
    payload = b"x" * size
    assert frames.text(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


def test_a_ping_carries_its_payload() -> None:
    assert frames.ping(b"12345678") == b"\x89\x0812345678"


def test_every_event_has_the_fields_of_the_protocol_and_no_others() -> None:
    own: Message = {**MESSAGE, "temp_id": "t"}
    assert body(frames.hello(1, 512, "k3v9")) == {
        "type": "hello",
        "user_id": 1,
        "event_id": 512,
        "log": "k3v9",
    }
    assert body(frames.new_message(55, MESSAGE)) == {
        "type": "new_message",
        "event_id": 55,
        "conversation_id": 7,
        "message": MESSAGE,
    }
    assert body(frames.message_sent("t", own, 55)) == {
        "type": "message_sent",
        "temp_id": "t",
        "event_id": 55,
        "message": own,
    }
    assert body(frames.conversation_created(60, CONVERSATION)) == {
        "type": "conversation_created",
        "event_id": 60,
        "conversation": CONVERSATION,
    }
    assert body(frames.conversation_updated(60, CONVERSATION)) == {
        "type": "conversation_updated",
        "event_id": 60,
        "conversation_id": 7,
        "conversation": CONVERSATION,
    }
    assert body(frames.conversation_removed(60, 7)) == {
        "type": "conversation_removed",
        "event_id": 60,
        "conversation_id": 7,
    }


def test_an_ack_out_of_its_events_place_has_no_event_id() -> None:
    assert "event_id" not in body(frames.message_sent("t", MESSAGE, None))


def test_every_notice_has_the_fields_of_the_protocol_and_no_others() -> None:
    for kind, receipt in (("delivered", frames.delivered), ("read", frames.read)):
        assert body(receipt(7, 55, 2)) == {"type": kind, "message_id": 55, "conversation_id": 7, "user_id": 2}
    assert body(frames.unread(7, 55, 3)) == {
        "type": "unread",
        "conversation_id": 7,
        "message_id": 55,
        "unread_count": 3,
    }
    for kind, typing in (("typing", frames.typing), ("typing_stop", frames.typing_stop)):
        assert body(typing(7, 2)) == {"type": kind, "conversation_id": 7, "user_id": 2}
    assert body(frames.online(2)) == {"type": "online_status", "user_id": 2, "online": True}
    assert body(frames.offline(2, "2026-11-23T13:05:00.123Z")) == {
        "type": "online_status",
        "user_id": 2,
        "online": False,
        "last_seen_at": "2026-11-23T13:05:00.123Z",
    }


def test_an_error_says_which_frame_it_answers() -> None:
    echo = {"type": "send_message", "temp_id": "t", "conversation_id": 7, "text": "secret"}
    assert body(frames.error(invalid("text", "must not be blank"), echo)) == {
        "type": "error",
        "code": "invalid",
        "message": "text: must not be blank",
        "temp_id": "t",
        "conversation_id": 7,
    }


@pytest.mark.parametrize(
    "echo",
    [
        {},
        {"temp_id": 5},
        {"temp_id": None},
        {"conversation_id": True},
        {"conversation_id": "7"},
        {"conversation_id": 1.5},
    ],
)
def test_an_error_echoes_only_what_can_be_an_id(echo: dict[str, Any]) -> None:
    assert set(body(frames.error(Refused("not_found"), echo))) == {"type", "code", "message"}


def test_an_error_tells_when_to_come_back() -> None:
    refusal = Refused("unavailable", retry_after=1)
    assert body(frames.error(refusal, {}))["retry_after"] == 1


def test_codes_that_the_socket_does_not_have_are_told_by_those_it_has() -> None:
    assert len(SOCKET_CODES) > 0
    for code, told in SOCKET_CODES.items():
        assert body(frames.error(Refused(code), {}))["code"] == told


def test_text_goes_out_as_utf_8() -> None:
    own: Message = {**MESSAGE, "text": "привет \U0001f600"}
    assert "привет \U0001f600".encode() in frames.new_message(55, own)
