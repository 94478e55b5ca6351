"""Frames from the server, encoded once however many receive them (RFC 6455 section 5.2: not masked)."""

from typing import Any, Final, cast

from websockets.frames import Opcode

from protocol import frames
from protocol.codec import encode
from protocol.entities import Conversation, Message, User
from protocol.errors import SOCKET_CODES, Refused, SocketCode

FINISHED: Final = 0x80


def text(payload: bytes) -> bytes:
    """`payload`, UTF-8, as one text frame."""
    size = len(payload)
    # By hand, for it is on the road of every message: Frame.serialize() takes four times as long.
    if size < 126:
        return bytes((FINISHED | Opcode.TEXT, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def event(body: frames.ServerFrame) -> bytes:
    """A JSON object as one text frame."""
    return text(encode(body))


def ping(payload: bytes) -> bytes:
    """A ping with at most 125 bytes (RFC 6455 section 5.5.2)."""
    return bytes((FINISHED | Opcode.PING, len(payload))) + payload


def hello(user_id: int, event_id: int, log: str) -> bytes:
    """The first frame on every socket."""
    return event({"type": "hello", "user_id": user_id, "event_id": event_id, "log": log})


def resumed(event_id: int) -> bytes:
    """The replay is over."""
    return event({"type": "resumed", "event_id": event_id})


def resync(event_id: int, log: str) -> bytes:
    """There will be no replay."""
    return event({"type": "resync", "event_id": event_id, "log": log})


def new_message(event_id: int, message: Message) -> bytes:
    """A message for those who did not just send it."""
    return event(
        {
            "type": "new_message",
            "event_id": event_id,
            "conversation_id": message["conversation_id"],
            "message": message,
        }
    )


def message_sent(temp_id: str, message: Message, event_id: int | None) -> bytes:
    """The ACK. Without `event_id` where it does not stand in its event's place."""
    if event_id is None:
        return event({"type": "message_sent", "temp_id": temp_id, "message": message})
    return event({"type": "message_sent", "temp_id": temp_id, "event_id": event_id, "message": message})


def conversation_created(event_id: int, conversation: Conversation) -> bytes:
    """A conversation that is new to the user."""
    return event({"type": "conversation_created", "event_id": event_id, "conversation": conversation})


def conversation_updated(event_id: int, conversation: Conversation) -> bytes:
    """Another title, other members or roles."""
    return event(
        {
            "type": "conversation_updated",
            "event_id": event_id,
            "conversation_id": conversation["id"],
            "conversation": conversation,
        }
    )


def conversation_removed(event_id: int, conversation_id: int) -> bytes:
    """The user left, or was removed."""
    return event({"type": "conversation_removed", "event_id": event_id, "conversation_id": conversation_id})


def user_updated(event_id: int, user: User) -> bytes:
    """A contact, or the user itself, has another name."""
    return event({"type": "user_updated", "event_id": event_id, "user": user})


def delivered(conversation_id: int, message_id: int, user_id: int) -> bytes:
    """How far `user_id` was handed messages."""
    return event(
        {
            "type": "delivered",
            "message_id": message_id,
            "conversation_id": conversation_id,
            "user_id": user_id,
        }
    )


def read(conversation_id: int, message_id: int, user_id: int) -> bytes:
    """How far `user_id` has read."""
    return event(
        {"type": "read", "message_id": message_id, "conversation_id": conversation_id, "user_id": user_id}
    )


def unread(conversation_id: int, message_id: int, unread_count: int) -> bytes:
    """The user has read on another socket, up to `message_id`."""
    return event(
        {
            "type": "unread",
            "conversation_id": conversation_id,
            "message_id": message_id,
            "unread_count": unread_count,
        }
    )


def typing(conversation_id: int, user_id: int) -> bytes:
    """Someone types."""
    return event({"type": "typing", "conversation_id": conversation_id, "user_id": user_id})


def typing_stop(conversation_id: int, user_id: int) -> bytes:
    """Someone types no more."""
    return event({"type": "typing_stop", "conversation_id": conversation_id, "user_id": user_id})


def online(user_id: int) -> bytes:
    """A contact is there."""
    return event({"type": "online_status", "user_id": user_id, "online": True})


def offline(user_id: int, last_seen_at: str | None) -> bytes:
    """A contact is gone, or is no contact any more: then `last_seen_at` is None."""
    return event({"type": "online_status", "user_id": user_id, "online": False, "last_seen_at": last_seen_at})


def error(refusal: Refused, echo: dict[str, Any]) -> bytes:
    """A refusal. `echo` is the frame it answers: its `temp_id` and `conversation_id` come back."""
    body: frames.Error = {
        "type": "error",
        "code": SOCKET_CODES.get(refusal.code, cast(SocketCode, refusal.code)),
        "message": refusal.detail,
    }
    if isinstance(echo.get("temp_id"), str):
        body["temp_id"] = echo["temp_id"]
    if type(echo.get("conversation_id")) is int:
        body["conversation_id"] = echo["conversation_id"]
    if refusal.retry_after is not None:
        body["retry_after"] = refusal.retry_after
    return event(body)
