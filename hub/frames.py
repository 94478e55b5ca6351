"""Frames from the server, encoded once however many receive them (RFC 6455 section 5.2: not masked)."""

from typing import Any, Final

from websockets.frames import Frame, Opcode

from protocol.codec import encode
from protocol.entities import Conversation, Message, User
from protocol.errors import SOCKET_CODES, Refused

PROTOCOL_ERROR: Final = 1002
BINARY: Final = 1003
NOT_UTF8: Final = 1007
ABUSE: Final = 1008
TOO_BIG: Final = 1009
NO_PONG: Final = 1011
BUG: Final = 1011
RESTART: Final = 1012
TOO_SLOW: Final = 4008
SESSION_ENDED: Final = 4501
TOO_MANY_SOCKETS: Final = 4509

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


def event(body: dict[str, Any]) -> bytes:
    """A JSON object as one text frame."""
    return text(encode(body))


def ping(payload: bytes) -> bytes:
    """A ping (RFC 6455 section 5.5.2)."""
    return Frame(Opcode.PING, payload).serialize(mask=False)


def hello(user_id: int, event_id: int, log: str) -> bytes:
    """The first frame on every socket."""
    return event({"type": "hello", "user_id": user_id, "event_id": event_id, "log": log})


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
    body: dict[str, Any] = {"type": "message_sent", "temp_id": temp_id}
    if event_id is not None:
        body["event_id"] = event_id
    body["message"] = message
    return event(body)


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


def receipt(kind: str, conversation_id: int, message_id: int, user_id: int) -> bytes:
    """`delivered` or `read`: how far `user_id` is."""
    return event(
        {"type": kind, "message_id": message_id, "conversation_id": conversation_id, "user_id": user_id}
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


def typing(kind: str, conversation_id: int, user_id: int) -> bytes:
    """`typing` or `typing_stop`."""
    return event({"type": kind, "conversation_id": conversation_id, "user_id": user_id})


def online(user_id: int) -> bytes:
    """A contact is there."""
    return event({"type": "online_status", "user_id": user_id, "online": True})


def offline(user_id: int, last_seen_at: str | None) -> bytes:
    """A contact is gone, or is no contact any more: then `last_seen_at` is None."""
    return event({"type": "online_status", "user_id": user_id, "online": False, "last_seen_at": last_seen_at})


def error(refusal: Refused, echo: dict[str, Any]) -> bytes:
    """A refusal. `echo` is the frame it answers: its `temp_id` and `conversation_id` come back."""
    body: dict[str, Any] = {
        "type": "error",
        "code": SOCKET_CODES.get(refusal.code, refusal.code),
        "message": refusal.detail,
    }
    if isinstance(echo.get("temp_id"), str):
        body["temp_id"] = echo["temp_id"]
    if type(echo.get("conversation_id")) is int:
        body["conversation_id"] = echo["conversation_id"]
    if refusal.retry_after is not None:
        body["retry_after"] = refusal.retry_after
    return event(body)
