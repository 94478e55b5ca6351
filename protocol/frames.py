"""What the server says on the socket: each frame's fields, as they stand in JSON (docs/protocol.md section 6)."""

from typing import Annotated, Literal, NotRequired, get_args, get_type_hints

from pydantic import Field
from typing_extensions import TypedDict

from protocol.entities import Conversation, Count, Message, User
from protocol.errors import SocketCode
from protocol.ids import Cursor, Id
from protocol.times import Time

EventId = Annotated[Id, Field(description="The place in the one order of all events.")]


class Hello(TypedDict):
    """The first frame. If `log` is another than before, forget all you hold."""

    type: Literal["hello"]
    user_id: Id
    event_id: Annotated[Cursor, Field(description="The log's latest event.")]
    log: Annotated[str, Field(description="A random name made with the database.")]


class Resumed(TypedDict):
    """The replay is over: all that was missed has been sent, and live traffic follows."""

    type: Literal["resumed"]
    event_id: Annotated[Cursor, Field(description="The log's latest event, and the cursor from here on.")]


class Resync(TypedDict):
    """There is no replay: too much was missed, or `since` is not of this log. Load what is newer over REST."""

    type: Literal["resync"]
    event_id: Annotated[Cursor, Field(description="The log's latest event, and the cursor from here on.")]
    log: Annotated[str, Field(description="If it is another than before, forget all you hold.")]


class MessageSent(TypedDict):
    """The ACK: your message is stored. A repeat has no `event_id`, nor one that overtakes a replay."""

    type: Literal["message_sent"]
    temp_id: str
    event_id: NotRequired[EventId]
    message: Message


class NewMessage(TypedDict):
    """A message: to every socket of every member, save the one that sent it."""

    type: Literal["new_message"]
    event_id: EventId
    conversation_id: Id
    message: Message


class ConversationCreated(TypedDict):
    """A conversation is new to the user, or the user was added to it: it replaces what the client held of it."""

    type: Literal["conversation_created"]
    event_id: EventId
    conversation: Conversation


class ConversationUpdated(TypedDict):
    """A conversation's title, members or roles changed."""

    type: Literal["conversation_updated"]
    event_id: EventId
    conversation_id: Id
    conversation: Conversation


class ConversationRemoved(TypedDict):
    """The user left the conversation, or was removed."""

    type: Literal["conversation_removed"]
    event_id: EventId
    conversation_id: Id


class UserUpdated(TypedDict):
    """A contact has another name, or the user itself."""

    type: Literal["user_updated"]
    event_id: EventId
    user: User


class Delivered(TypedDict):
    """`user_id` was handed this message of yours; earlier ones count with it."""

    type: Literal["delivered"]
    message_id: Id
    conversation_id: Id
    user_id: Id


class ReadReceipt(TypedDict):
    """`user_id` has read this message of yours; earlier ones count with it."""

    type: Literal["read"]
    message_id: Id
    conversation_id: Id
    user_id: Id


class Unread(TypedDict):
    """The user has read elsewhere, up to `message_id`."""

    type: Literal["unread"]
    conversation_id: Id
    message_id: Id
    unread_count: Count


class Typing(TypedDict):
    """Someone types."""

    type: Literal["typing"]
    conversation_id: Id
    user_id: Id


class TypingStopped(TypedDict):
    """Someone types no more."""

    type: Literal["typing_stop"]
    conversation_id: Id
    user_id: Id


class OnlineStatus(TypedDict):
    """A contact came or went. `last_seen_at` only when offline; null for who is no contact any more."""

    type: Literal["online_status"]
    user_id: Id
    online: bool
    last_seen_at: NotRequired[Time | None]


class Error(TypedDict):
    """A frame was refused; the socket stays open. Which one, `temp_id` and `conversation_id` say if it had them."""

    type: Literal["error"]
    code: SocketCode
    message: Annotated[str, Field(description="A sentence for people.")]
    temp_id: NotRequired[str]
    conversation_id: NotRequired[int]
    retry_after: NotRequired[Annotated[int, Field(ge=0, description="In seconds.")]]


ServerFrame = (
    Hello
    | Resumed
    | Resync
    | MessageSent
    | NewMessage
    | ConversationCreated
    | ConversationUpdated
    | ConversationRemoved
    | UserUpdated
    | Delivered
    | ReadReceipt
    | Unread
    | Typing
    | TypingStopped
    | OnlineStatus
    | Error
)

SERVER_FRAMES: dict[str, type] = {
    get_args(get_type_hints(frame)["type"])[0]: frame for frame in get_args(ServerFrame)
}
"""The frames that the server sends, by their `type`."""
