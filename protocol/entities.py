"""What the server speaks of: the objects inside answers and events, as they stand in JSON."""

from typing import Literal, NotRequired, TypedDict

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
    "user_search",
    "user_lookup",
    "conversations",
    "rest_messages",
    "ordered_events",
    "receipts",
]
"""What a server may offer beyond the contract: names that stay (docs/protocol.md section 0)."""


class AttachmentLimits(TypedDict):
    """What one user's files may take. Sizes in bytes."""

    max_bytes: int
    unsent_files: int
    unsent_bytes: int


class Limits(TypedDict):
    """The numbers that a client needs, by the names of the settings. 0 sockets per user is no limit."""

    message_chars: int
    message_attachments: int
    frame_bytes: int
    body_bytes: int
    group_members: int
    live_members: int
    sockets_per_user: int
    attachments: AttachmentLimits


class ServerInfo(TypedDict):
    """What a server is and offers."""

    version: str
    registration: Registration
    limits: Limits
    features: list[Feature]


class User(TypedDict):
    """A user as others see it (docs/protocol.md section 2)."""

    id: int
    username: str
    online: bool
    last_seen_at: str | None


class OwnUser(User):
    """A user as it sees itself: `GET /users/me`, and the `user` of a login."""

    email: str
    is_admin: bool
    created_at: str


class Registered(TypedDict):
    """The answer to a registration, as the contract has it."""

    id: int
    email: str
    username: str


class Invite(TypedDict):
    """An invitation to register that can still be used (docs/protocol.md section 1)."""

    id: int
    uses_left: int
    expires_at: str | None
    created_at: str
    created_by: int


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
    expires_in: int


class Session(TypedDict):
    """A login that lasts until its refresh token does (docs/protocol.md section 1)."""

    id: int
    created_at: str
    last_used_at: str
    address: str
    user_agent: str
    current: bool


class Attachment(TypedDict):
    """A file in a message (docs/protocol.md section 5). `size` is in bytes."""

    id: int
    filename: str
    content_type: str
    size: int
    url: str


class Presigned(TypedDict):
    """Where to PUT the bytes of an attachment, and for how many seconds that holds."""

    id: int
    url: str
    method: Literal["PUT"]
    headers: dict[str, str]
    expires_in: int


class Message(TypedDict):
    """A message (docs/protocol.md section 4). Only its sender sees `temp_id`."""

    id: int
    conversation_id: int
    seq: int
    sender_id: int
    text: str
    attachments: list[Attachment]
    created_at: str
    temp_id: NotRequired[str]


class Conversation(TypedDict):
    """A conversation as events tell it: the same for every member (docs/protocol.md section 3)."""

    id: int
    type: ConversationType
    title: str | None
    members: list[int]
    created_at: str
    created_by: int
    event_id: int


class ConversationView(Conversation):
    """A conversation as REST tells it: with the caller's own view. The `peer_` fields in dialogs only."""

    last_message: Message | None
    unread_count: int
    read_id: int
    peer_delivered_id: NotRequired[int]
    peer_read_id: NotRequired[int]


class Member(TypedDict):
    """A member of a conversation; a cursor without a message is 0."""

    user_id: int
    username: str
    role: Role
    joined_at: str
    delivered_id: int
    read_id: int
