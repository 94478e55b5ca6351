"""What clients ask for: the bodies of requests and the frames of the socket.

Strict: no coercion, so `true`, `1.0` and `"1"` are no ids. Unknown fields are ignored (docs/protocol.md section 0).
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field

from protocol.entities import ConversationType, Role
from protocol.ids import Cursor, Id

MAX_ATTACHMENTS = 10


def _without_nul(text: str) -> str:
    # SQLite's length() and many a client stop at NUL.
    if "\0" in text:
        raise ValueError("must not contain NUL")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _each_once(ids: list[int]) -> list[int]:
    if len(set(ids)) != len(ids):
        raise ValueError("must name each one once")
    return ids


# Behind a length, never before it: pydantic counts what comes out of a function as items, not as characters.
NoNul = AfterValidator(_without_nul)
NotBlank = AfterValidator(_not_blank)

Text = Annotated[str, NoNul]
Title = Annotated[str, Field(min_length=1, max_length=128), NoNul, NotBlank]
Email = Annotated[str, Field(max_length=320), NoNul]
Username = Annotated[str, Field(max_length=128), NoNul]
Password = Annotated[str, Field(max_length=1024)]
NewPassword = Annotated[str, Field(min_length=8, max_length=1024)]
TempId = Annotated[str, Field(min_length=1, max_length=64), NoNul]
AttachmentIds = Annotated[list[Id], Field(max_length=MAX_ATTACHMENTS), AfterValidator(_each_once)]

UserIds = Annotated[list[Id], FailFast(), Field(max_length=100_000)]
"""Many, if need be. Only the first wrong one is named: a body full of them would otherwise take seconds to refuse."""


class Command(BaseModel):
    """A request that can be checked without knowing anything but itself."""

    # Each one's validator is built with its first use, so that a start does not wait for all of them.
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, defer_build=True)


class Register(Command):
    """`POST /auth/register`. Email and username have rules of their own in `protocol.names`."""

    email: Email
    username: Username
    password: NewPassword
    invite: Annotated[str, Field(max_length=128)] | None = None


class UpdateProfile(Command):
    """`PATCH /users/me`. What is missing, or null, stays as it is."""

    email: Email | None = None
    username: Username | None = None
    current_password: Password | None = None


class Login(Command):
    """`POST /auth/login`. Anything may be tried; only what was registered matches."""

    email: Annotated[str, Field(max_length=1024)]
    password: Password


class Refresh(Command):
    """`POST /auth/refresh`. With `rotate` the answer brings the refresh token that replaces this one."""

    refresh_token: Annotated[str, Field(max_length=4096)]
    rotate: bool | None = None


class ChangePassword(Command):
    """`POST /auth/password`."""

    current_password: Password
    new_password: NewPassword


class CreateInvite(Command):
    """`POST /admin/invites`. Good for so many registrations, for so many seconds; null for ever."""

    uses: Annotated[int, Field(ge=1, le=10_000)] | None = None
    expires_in: Annotated[int, Field(ge=1, le=3650 * 86_400)] | None = None


class CreateUser(Command):
    """`POST /admin/users`. The rules are those of a registration."""

    email: Email
    username: Username
    password: NewPassword
    is_admin: bool | None = None


class UpdateUser(Command):
    """`PATCH /admin/users/{id}`. What is missing, or null, stays as it is."""

    password: NewPassword | None = None
    disabled: bool | None = None
    is_admin: bool | None = None


class CreateConversation(Command):
    """`POST /chats`. The creator is a member, listed or not."""

    type: ConversationType
    title: Title | None = None
    members: UserIds = []


class Rename(Command):
    """`PATCH /chats/{id}`."""

    title: Title | None


class AddMembers(Command):
    """`POST /chats/{id}/members`."""

    members: Annotated[UserIds, Field(min_length=1)]


class SetRole(Command):
    """`PATCH /chats/{id}/members/{user_id}`."""

    role: Role


class Draft(Command):
    """What a message is made of. How long `text` may be is a setting."""

    text: Text = ""
    attachments: AttachmentIds = []


class PostMessage(Draft):
    """`POST /chats/{id}/messages`."""

    temp_id: TempId | None = None


class MarkRead(Command):
    """`POST /chats/{id}/read`."""

    message_id: Id


class Presign(Command):
    """`POST /attachments/presign`. `size` is in bytes."""

    filename: Annotated[str, Field(min_length=1, max_length=255), NoNul, NotBlank]
    content_type: Annotated[
        str,
        Field(
            max_length=127,
            # RFC 9110, section 8.3.1; and the bare comma of browsers' recorders: `video/webm;codecs=vp8,opus`.
            pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+"
            r'( ?; ?[A-Za-z0-9-]+=([A-Za-z0-9_.+,-]+|"[ !#-\[\]-~]*"))*$',
        ),
    ]
    size: Annotated[int, Field(ge=0)] | None = None


class SendMessage(Draft):
    """Frame `send_message`. `read: false` leaves the sender's read cursor where it is (an outbox flushed later)."""

    type: Literal["send_message"]
    temp_id: TempId
    conversation_id: Id
    read: bool = True


class TypingStart(Command):
    """Frame `typing_start`."""

    type: Literal["typing_start"]
    conversation_id: Id


class TypingStop(Command):
    """Frame `typing_stop`."""

    type: Literal["typing_stop"]
    conversation_id: Id


class Read(Command):
    """Frame `read`: all up to `message_id` is read."""

    type: Literal["read"]
    conversation_id: Id
    message_id: Id


class HistoryPage(Command):
    """The query of `GET /chats/{id}/messages`."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before_id: Id | None = None
    after_id: Cursor | None = None


class ConversationPage(Command):
    """The query of `GET /chats`."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: Id | None = None


class InvitePage(Command):
    """The query of `GET /admin/invites`."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: Id | None = None


class UserPage(Command):
    """The query of `GET /admin/users`: all, or those whose username or email begins with `query`."""

    query: Annotated[str, Field(max_length=320), NoNul] = ""
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: Id | None = None


class UserLookup(Command):
    """The query of `GET /users?ids=`."""

    ids: Annotated[list[Id], FailFast(), Field(min_length=1, max_length=200)]


class UserSearch(Command):
    """The query of `GET /users`."""

    query: Annotated[str, Field(min_length=1, max_length=128), NoNul]
    limit: Annotated[int, Field(ge=1, le=200)] = 20


FRAMES: dict[str, type[SendMessage | TypingStart | TypingStop | Read]] = {
    "send_message": SendMessage,
    "typing_start": TypingStart,
    "typing_stop": TypingStop,
    "read": Read,
}
"""The frames a client may send, by their `type`."""
