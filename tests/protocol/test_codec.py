"""JSON in and out: what is taken, what is refused, and as what."""

import json
from typing import Any

import pytest

from protocol.codec import decode, encode, parse, parse_frame
from protocol.commands import (
    FRAMES,
    AddMembers,
    Command,
    CreateConversation,
    Draft,
    HistoryPage,
    Login,
    PostMessage,
    Presign,
    Read,
    Register,
    Rename,
    SendMessage,
    SetRole,
    TypingStart,
    UserSearch,
)
from protocol.errors import Refused

SEND = {"type": "send_message", "temp_id": "t-1", "conversation_id": 7, "text": "hello", "attachments": []}


def code(data: bytes) -> str:
    """As what `data` is refused."""
    with pytest.raises(Refused) as caught:
        decode(data)
    assert len(caught.value.detail) < 200
    return caught.value.code


def fields(model: type[Command], value: dict[str, Any]) -> list[str]:
    """The fields for which `value` is refused."""
    with pytest.raises(Refused) as caught:
        parse(model, value)
    assert caught.value.code == "invalid"
    assert caught.value.errors
    assert all(error["message"] for error in caught.value.errors)
    return [error["field"] for error in caught.value.errors]


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"{", b"}", b"{]", b"{'a': 1}", b'{"a": 1,}', b'{"a" 1}', b"nul", b"{}{}", b"{} x", b"\0", b"{}\0",
        b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 1e400}', b'{"a": 01}', b'{"a": +1}',
        b'{"a": .5}',
        b'{"a": ' + b"1" * 5000 + b"}",
        b'{"a": "\\ud800"}', b'{"a": "\\udc00\\ud800"}', b'{"\\ud800": 1}', b'{"a": "\xed\xa0\x80"}',
        b"\xff", b'{"a": "\xff"}', b'{"a": "\xc0\x80"}', b'{"a": "\xf5\x80\x80\x80"}',
        b'{"a": "\n"}', b'{"a": "\\x"}', b"\xef\xbb\xbf{}", '{"a": 1}'.encode("utf-16"),
        b"[" * 200_000, b'{"a":' * 200_000, b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
    ids=lambda data: f"{len(data)} bytes {data[:20]!r}",
)  # fmt: skip
def test_what_is_no_json_is_malformed(data: bytes) -> None:
    assert code(data) == "malformed"


@pytest.mark.parametrize("data", [b"null", b"true", b"1", b'"text"', b"[]", b"[{}]", b"1.5"])
def test_json_that_is_no_object_is_invalid(data: bytes) -> None:
    assert code(data) == "invalid"


def test_an_object_is_taken_as_it_is() -> None:
    assert decode(b' {"a": [1, "\\u0000", "\\ud83d\\ude00", null, true, 1.5], "b": {}} ') == {
        "a": [1, "\0", "😀", None, True, 1.5],
        "b": {},
    }
    assert decode(b'{"a": 1, "a": 2}') == {"a": 2}


def test_what_is_encoded_is_utf_8_without_escapes_or_spaces() -> None:
    assert encode({"text": "привет 👋", "id": 2**53 - 1, "at": None}) == (
        '{"text":"привет 👋","id":9007199254740991,"at":null}'.encode()
    )
    assert json.loads(encode({"text": "\0\u2028</script>"})) == {"text": "\0\u2028</script>"}


@pytest.mark.parametrize(
    "kind", [None, 1, True, [], {}, "", "Read", "hello", "new_message", "send_message\0"]
)
def test_a_frame_of_no_type_of_ours_is_told_so(kind: Any) -> None:
    for frame in ({"type": kind}, {**SEND, "type": kind}):
        with pytest.raises(Refused) as caught:
            parse_frame(frame)
        assert caught.value.code == "unknown_type"
    with pytest.raises(Refused) as caught:
        parse_frame({})
    assert caught.value.code == "unknown_type"


def test_every_frame_of_the_protocol_is_taken() -> None:
    assert set(FRAMES) == {"send_message", "typing_start", "typing_stop", "read"}
    assert parse_frame(SEND) == SendMessage(
        type="send_message", temp_id="t-1", conversation_id=7, text="hello", attachments=[]
    )
    assert parse_frame({"type": "typing_start", "conversation_id": 7}) == TypingStart(
        type="typing_start", conversation_id=7
    )
    assert isinstance(parse_frame({"type": "read", "conversation_id": 7, "message_id": 1}), Read)


def test_fields_that_nobody_knows_are_ignored() -> None:
    assert parse_frame({**SEND, "since": [], "": {}, "sender_id": 9}) == parse_frame(SEND)


@pytest.mark.parametrize(
    "changes, wrong",
    [
        ({"temp_id": None}, ["temp_id"]),
        ({"temp_id": ""}, ["temp_id"]),
        ({"temp_id": "x" * 65}, ["temp_id"]),
        ({"temp_id": "a\0b"}, ["temp_id"]),
        ({"temp_id": 7}, ["temp_id"]),
        ({"conversation_id": "7"}, ["conversation_id"]),
        ({"conversation_id": True}, ["conversation_id"]),
        ({"conversation_id": 7.0}, ["conversation_id"]),
        ({"conversation_id": 0, "temp_id": ""}, ["temp_id", "conversation_id"]),
        ({"text": None}, ["text"]),
        ({"text": 7}, ["text"]),
        ({"text": ["hello"]}, ["text"]),
        ({"text": "a\0b"}, ["text"]),
        ({"read": 1}, ["read"]),
        ({"read": "false"}, ["read"]),
        ({"attachments": None}, ["attachments"]),
        ({"attachments": {}}, ["attachments"]),
        ({"attachments": [1, "2"]}, ["attachments.1"]),
        ({"attachments": [True]}, ["attachments.0"]),
        ({"attachments": [0]}, ["attachments.0"]),
        ({"attachments": [1, 1]}, ["attachments"]),
        ({"attachments": list(range(1, 12))}, ["attachments"]),
    ],
)
def test_a_frame_with_wrong_fields_is_invalid_and_each_is_named(
    changes: dict[str, Any], wrong: list[str]
) -> None:
    assert fields(SendMessage, {**SEND, **changes}) == wrong


def test_what_may_be_left_out_of_a_message_has_its_default() -> None:
    frame = {"type": "send_message", "temp_id": "t", "conversation_id": 7}
    sent = parse(SendMessage, frame)
    assert (sent.text, sent.attachments, sent.read) == ("", [], True)
    assert parse(PostMessage, {}).temp_id is None
    assert fields(SendMessage, {"type": "send_message"}) == ["temp_id", "conversation_id"]


@pytest.mark.parametrize(
    "model, value, wrong",
    [
        (Register, {}, ["email", "username", "password"]),
        (Register, {"email": "a@b", "username": "anna", "password": "1234567"}, ["password"]),
        (Register, {"email": "a@b", "username": "anna", "password": "x" * 1025}, ["password"]),
        (Register, {"email": "a@b\0", "username": "an\0na", "password": "12345678"}, ["email", "username"]),
        (Login, {"email": None, "password": 12345678}, ["email", "password"]),
        (CreateConversation, {"type": "channel"}, ["type"]),
        (CreateConversation, {"type": "group", "title": ""}, ["title"]),
        (CreateConversation, {"type": "group", "title": " \t\u3000"}, ["title"]),
        (CreateConversation, {"type": "group", "title": "x" * 129}, ["title"]),
        (CreateConversation, {"type": "group", "title": "a\0b"}, ["title"]),
        (CreateConversation, {"type": "group", "members": None}, ["members"]),
        (CreateConversation, {"type": "group", "members": [1, None, "x"]}, ["members.1"]),
        (AddMembers, {}, ["members"]),
        (AddMembers, {"members": []}, ["members"]),
        (AddMembers, {"members": [1.0]}, ["members.0"]),
        (Rename, {}, ["title"]),
        (SetRole, {"role": "admin"}, ["role"]),
        (HistoryPage, {"limit": 0}, ["limit"]),
        (HistoryPage, {"limit": 201}, ["limit"]),
        (HistoryPage, {"limit": True, "before_id": 0}, ["limit", "before_id"]),
        (UserSearch, {"query": ""}, ["query"]),
        (UserSearch, {"query": "a\0"}, ["query"]),
        (Presign, {"filename": "", "content_type": "image/png"}, ["filename"]),
        (Presign, {"filename": " ", "content_type": "image/png"}, ["filename"]),
        (Presign, {"filename": "x" * 256, "content_type": "image/png"}, ["filename"]),
        (Presign, {"filename": "a.png", "content_type": "image/png\r\nX: y"}, ["content_type"]),
        (Presign, {"filename": "a.png", "content_type": "image"}, ["content_type"]),
        (Presign, {"filename": "a.png", "content_type": "image/png", "size": -1}, ["size"]),
        (Presign, {"filename": "a.png", "content_type": "image/png", "size": True}, ["size"]),
    ],
)
def test_a_body_with_wrong_fields_is_invalid_and_each_is_named(
    model: type[Command], value: dict[str, Any], wrong: list[str]
) -> None:
    assert fields(model, value) == wrong


def test_texts_are_taken_unchanged() -> None:
    for text in (" spaces ", "\r\n", "e\u0301", "\u200b", "👩‍👩‍👧", "\ufeff", "\x7f\x01", "x" * 100_000):
        assert parse(Draft, {"text": text}).text == text


def test_a_refusal_never_repeats_what_was_sent() -> None:
    secret = "correct horse battery staple"
    for body in (
        {"email": [secret], "username": {secret: secret}, "password": [secret]},
        {"email": secret + "\0", "username": secret * 10, "password": secret[:7]},
        {"email": 1, "username": 2, "password": secret * 100},
    ):
        with pytest.raises(Refused) as caught:
            parse(Register, body)
        assert caught.value.errors
        assert secret[:7] not in json.dumps(caught.value.errors) + caught.value.detail


def test_a_body_full_of_mistakes_costs_little_and_tells_only_some_of_them() -> None:
    body = {"type": "group", "members": [""] * 300_000}
    assert fields(CreateConversation, body) == ["members.0"]
    assert fields(AddMembers, body) == ["members.0"]
    assert fields(Draft, {"attachments": [0] * 300_000}) == ["attachments"]


def test_commands_do_not_change() -> None:
    command = parse(Draft, {"text": "hello"})
    with pytest.raises(ValueError, match="frozen"):
        command.text = "bye"  # type: ignore[misc]


def test_a_text_that_is_too_long_is_told_in_characters() -> None:
    with pytest.raises(
        Refused, match=r"^\('invalid', 'title: String should have at most 128 characters\.'\)$"
    ):
        parse(Rename, {"title": "x" * 129})
