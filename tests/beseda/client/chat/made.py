"""What the server would tell, made for the tests of the model and of the screen."""

from typing import Any

from beseda.client.chat.conversation import Conversation, Outgoing
from beseda.client.chat.model import Model
from protocol.entities import Attachment, ConversationView, Message, User

ME, BOB, CAROL = 1, 2, 3
DAY = "2026-11-23"


def person(user_id: int, name: str, *, online: bool = False, seen: str | None = None) -> User:
    return {"id": user_id, "username": name, "online": online, "last_seen_at": seen}


def message(
    number: int,
    text: str = "hello",
    sender: int = BOB,
    to: int = 7,
    at: str = "13:05",
    *,
    temp_id: str | None = None,
    files: list[Attachment] | None = None,
    day: str = DAY,
) -> Message:
    made: Message = {
        "id": number,
        "conversation_id": to,
        "seq": number,
        "sender_id": sender,
        "text": text,
        "attachments": files or [],
        "created_at": f"{day}T{at}:00.000Z",
    }
    if temp_id is not None:
        made["temp_id"] = temp_id
    return made


def file(number: int = 9, name: str = "tea.jpg", size: int = 48_213) -> Attachment:
    return {"id": number, "filename": name, "content_type": "image/jpeg", "size": size, "url": ""}


def dialog(conversation_id: int = 7, peer: int = BOB, event_id: int = 10, **more: Any) -> ConversationView:
    made: dict[str, Any] = {
        "id": conversation_id,
        "type": "dialog",
        "title": None,
        "members": [ME, peer],
        "created_at": f"{DAY}T12:00:00.000Z",
        "created_by": ME,
        "event_id": event_id,
        "last_message": None,
        "unread_count": 0,
        "read_id": 0,
        "peer_delivered_id": 0,
        "peer_read_id": 0,
    }
    made.update(more)
    return made  # type: ignore[return-value]


def group(conversation_id: int = 8, event_id: int = 11, **more: Any) -> ConversationView:
    return dialog(
        conversation_id,
        event_id=event_id,
        **{"type": "group", "title": "Team", "members": [ME, BOB, CAROL]} | more,
    )


def new(number: int, **more: Any) -> dict[str, Any]:
    """The frame of a message from someone."""
    made = message(number, **more)
    return {
        "type": "new_message",
        "event_id": number,
        "conversation_id": made["conversation_id"],
        "message": made,
    }


def model(*views: ConversationView, open_id: int | None = 7) -> Model:
    """Ann's model with these conversations (a dialog with Bob by default), the open one loaded and empty."""
    made = Model(ME, "ann")
    made.meet([person(BOB, "bob", online=True), person(CAROL, "carol")])
    made.reload(views or [dialog()])
    made.show(open_id)
    if made.open is not None:
        made.open.load([], 100)
    return made


def opened(made: Model) -> Conversation:
    assert made.open is not None
    return made.open


def composed(text: str = "hello", at: str = "13:05") -> Outgoing:
    return Outgoing("t-1", 7, text, f"{DAY}T{at}:00Z")
