"""What happened: the facts that a commit hands on, in commit order.

An *event* has an `event_id` and is replayed to who was away; a *notice* has none and is not. `origin` is the
socket that asked, opaque to everyone but the hub; None when it came over REST.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from protocol.entities import Conversation, Message

Origin = object | None


class MessagePosted(
    NamedTuple
):  # the one that comes with every message: a frozen dataclass takes thrice as long
    """Event: a message was stored. `message` is as others see it; `temp_id` is its sender's alone."""

    event_id: int
    conversation_id: int
    sender_id: int
    message: Message
    temp_id: str | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class ConversationChanged:
    """Event: a conversation was made, or its title, members or roles changed.

    To those `added` it is new, to those `removed` it is gone, to its other members it is updated.
    """

    event_id: int
    conversation: Conversation
    added: tuple[int, ...]
    removed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UserUpdated:
    """Event: a user has another name. It concerns who is in one of these conversations, and the user."""

    event_id: int
    user_id: int
    username: str
    last_seen_at: str | None
    conversations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MessageRepeated:
    """Notice: a `temp_id` came again; its first message answers, to the origin alone."""

    message: Message
    temp_id: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class ReceiptMoved:
    """Notice: `user_id` was handed, or has read, these messages: `(author, message_id)`, oldest first.

    In a dialog each message; in a group the highest of each author, which counts for those before it too.
    """

    kind: Literal["delivered", "read"]
    conversation_id: int
    user_id: int
    messages: tuple[tuple[int, int], ...]
    is_dialog: bool


@dataclass(frozen=True, slots=True)
class UnreadChanged:
    """Notice: a user's own read cursor moved; its other sockets want to know."""

    user_id: int
    conversation_id: int
    message_id: int
    unread_count: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Notice: a session is over; its sockets close."""

    session_id: int
    user_id: int


@dataclass(frozen=True, slots=True)
class SocketAdmitted:
    """Notice: a socket may listen from this very place in the order of commits on.

    `event_id` is the log's tip here; `conversations` are the user's, as `(id, number of members)`.
    """

    origin: Origin
    user_id: int
    session_id: int
    event_id: int
    log: str
    conversations: tuple[tuple[int, int], ...]


Event = MessagePosted | ConversationChanged | UserUpdated


@dataclass(frozen=True, slots=True)
class SocketCaughtUp:
    """Notice: with these last events a socket that resumes has all up to this very place in the order of commits.

    `receipts` moved while it was away. `is_too_far`: there is too much to replay, and its client must load anew.
    """

    origin: Origin
    user_id: int
    event_id: int
    log: str
    events: tuple[Event, ...] = ()
    receipts: tuple[ReceiptMoved | UnreadChanged, ...] = ()
    is_too_far: bool = False


Fact = (
    MessagePosted
    | ConversationChanged
    | UserUpdated
    | MessageRepeated
    | ReceiptMoved
    | UnreadChanged
    | SessionEnded
    | SocketAdmitted
    | SocketCaughtUp
)
