"""What the server speaks of: the objects inside answers and events, as they stand in JSON."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field

# Before Python 3.12 pydantic cannot read those of `typing`.
from typing_extensions import TypedDict

from protocol.ids import Cursor, Id
from protocol.times import Time

Count = Annotated[int, Field(ge=0)]
ConversationType = Literal["dialog", "group"]
Role = Literal["owner", "member"]


Registration = Literal["open", "invite", "closed"]

Feature = Literal[
    "sessions",
    "rotation",
    "password_change",
    "profile_change",
    "tickets",
    "invites",
    "administration",
    "user_search",
    "user_lookup",
    "conversations",
    "rest_messages",
    "ordered_events",
    "resuming",
    "receipts",
]
"""What a server may offer beyond the contract: names that stay (docs/protocol.md section 0)."""


class AttachmentLimits(TypedDict):
    """What one user's files may take. Sizes in bytes."""

    max_bytes: Count
    unsent_files: Count
    unsent_bytes: Count


class Limits(TypedDict):
    """The numbers that a client needs, by the names of the settings. 0 sockets per user or a rate of 0: no limit."""

    message_chars: Count
    message_attachments: Count
    frame_bytes: Count
    body_bytes: Count
    group_members: Count
    live_members: Count
    sockets_per_user: Count
    messages_per_second: Count
    message_burst: Count
    requests_per_second: Count
    request_burst: Count
    attachments: AttachmentLimits


class ServerInfo(TypedDict):
    """What a server is and offers."""

    version: str
    registration: Registration
    limits: Limits
    features: list[Feature]


class User(TypedDict):
    """A user as others see it (docs/protocol.md section 2)."""

    id: Id
    username: str
    online: bool
    last_seen_at: Time | None


class OwnUser(User):
    """A user as it sees itself: `GET /users/me`, and the `user` of a login."""

    email: str
    is_admin: bool
    created_at: Time


class Registered(TypedDict):
    """The answer to a registration, as the contract has it."""

    id: Id
    email: str
    username: str


class Invite(TypedDict):
    """An invitation to register that can still be used (docs/protocol.md section 1)."""

    id: Id
    uses_left: Count
    expires_at: Time | None
    created_at: Time
    created_by: Id


class NewInvite(Invite):
    """An invitation as whoever made it sees it, this once."""

    code: str


class TokenPair(TypedDict):
    """The answer to a login."""

    access_token: str
    refresh_token: str
    user: OwnUser


class Refreshed(TypedDict):
    """The answer to a refresh. `refresh_token` where `rotate` asked for it."""

    access_token: str
    refresh_token: NotRequired[str]


class Ticket(TypedDict):
    """What opens one socket, within so many seconds (docs/protocol.md section 6)."""

    ticket: str
    expires_in: Count


class AccountSession(TypedDict):
    """A login that lasts until its refresh token does (docs/protocol.md section 1)."""

    id: Id
    created_at: Time
    last_used_at: Time
    address: str
    user_agent: str


class Session(AccountSession):
    """A login as its own user sees it. `current`: the one that asks."""

    current: bool


class Account(TypedDict):
    """An account as admins see it (docs/protocol.md section 1)."""

    id: Id
    username: str
    email: str
    is_admin: bool
    disabled_at: Time | None
    created_at: Time
    last_seen_at: Time | None
    sessions: Count


class Totals(TypedDict):
    """How much the server holds (docs/protocol.md section 1). Sizes in bytes."""

    users: Count
    disabled: Count
    admins: Count
    sessions: Count
    dialogs: Count
    groups: Count
    messages: Count
    attachments: Count
    attachment_bytes: Count
    database_bytes: Count
    last_event_id: Cursor
    log: str
    oldest_message_at: Time | None
    newest_message_at: Time | None


class Stats(Totals):
    """The same, and who is connected at the moment."""

    connections: Count
    online: Count


class Attachment(TypedDict):
    """A file in a message (docs/protocol.md section 5). `size` is in bytes."""

    id: Id
    filename: str
    content_type: str
    size: Count
    url: str


class Presigned(TypedDict):
    """Where to PUT the bytes of an attachment, and for how many seconds that holds."""

    id: Id
    url: str
    method: Literal["PUT"]
    headers: dict[str, str]
    expires_in: Count


class FreshUrl(TypedDict):
    """A signed URL of an attachment, and for how many seconds it holds."""

    url: str
    expires_in: Count


class Health(TypedDict):
    """All is well."""

    status: Literal["ok"]


class Message(TypedDict):
    """A message (docs/protocol.md section 4). Only its sender sees `temp_id`."""

    id: Id
    conversation_id: Id
    seq: Id
    sender_id: Id
    text: str
    attachments: list[Attachment]
    created_at: Time
    temp_id: NotRequired[str]


class Conversation(TypedDict):
    """A conversation as events tell it: the same for every member (docs/protocol.md section 3)."""

    id: Id
    type: ConversationType
    title: str | None
    members: list[Id]
    created_at: Time
    created_by: Id
    event_id: Id


class ConversationView(Conversation):
    """A conversation as REST tells it: with the caller's own view. The `peer_` fields in dialogs only."""

    last_message: Message | None
    unread_count: Count
    read_id: Cursor
    peer_delivered_id: NotRequired[Cursor]
    peer_read_id: NotRequired[Cursor]


class Member(TypedDict):
    """A member of a conversation; a cursor without a message is 0."""

    user_id: Id
    username: str
    role: Role
    joined_at: Time
    delivered_id: Cursor
    read_id: Cursor
