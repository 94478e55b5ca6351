"""What can be asked over HTTP, a row for each operation: `/openapi.json` is made of them, and `api` is held to them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from protocol.commands import (
    AddMembers,
    ChangePassword,
    Command,
    ConversationPage,
    CreateConversation,
    CreateInvite,
    CreateUser,
    HistoryPage,
    InvitePage,
    Login,
    MarkRead,
    PostMessage,
    Presign,
    Refresh,
    Register,
    Rename,
    SetRole,
    UpdateProfile,
    UpdateUser,
    UserLookup,
    UserPage,
    UserSearch,
)
from protocol.entities import (
    Account,
    AccountSession,
    ConversationView,
    FreshUrl,
    Health,
    Invite,
    Member,
    Message,
    NewInvite,
    OwnUser,
    Presigned,
    Refreshed,
    Registered,
    ServerInfo,
    Session,
    Stats,
    Ticket,
    TokenPair,
    User,
)
from protocol.errors import HTTP_STATUS, Code

Access = Literal["open", "bearer", "admin", "signed", "socket"]
"""What lets a caller in: nothing is needed, an access token, an admin's one, a signed URL, or a token in a URL."""

BYTES: Final = "bytes"
"""In place of a type: the bytes of a file."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What a method does on a path, and all that may come of it.

    `query` are the forms that its query may have.

    `answers` are the successes: by status the type of the body, `BYTES`, or None for no body. `refusals` are the
    operation's own codes, with a status where it is not the code's usual one; `problems` adds those that all of its
    kind have. `headers` are its successes' own, `conditions` headers that a request may have.
    """

    name: str
    route: str
    summary: str
    access: Access = "bearer"
    query: tuple[type[Command], ...] = ()
    body: type[Command] | Literal["bytes"] | None = None
    answers: Mapping[int, Any] = field(default_factory=dict)
    refusals: tuple[Code | tuple[int, Code], ...] = ()
    notes: str = ""
    headers: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """`GET`."""
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        """`/chats/{id}`."""
        return self.route.partition(" ")[2]

    def problems(self) -> dict[int, list[Code]]:
        """The codes of all its refusals, by status."""
        found: dict[int, list[Code]] = {}
        for refusal in (*self._usual(), *self.refusals):
            status, code = refusal if isinstance(refusal, tuple) else (HTTP_STATUS[refusal], refusal)
            if code not in found.setdefault(status, []):
                found[status].append(code)
        return dict(sorted(found.items()))

    def _usual(self) -> Iterator[Code]:
        """What any operation of its kind may be refused with."""
        yield from ("malformed", "headers_too_large")
        if self.access in ("bearer", "admin", "socket"):
            yield from ("unauthorized", "rate_limited")
        if self.access == "signed":
            yield "invalid_url"
        if "{" in self.path or self.access == "admin":
            yield "not_found"
        if self.query:
            yield "invalid"
        if self.body is not None:
            yield "too_large"
        if isinstance(self.body, type):
            yield from ("unsupported_media_type", "invalid")
        if self.access != "open" or self.body is not None:
            yield "unavailable"


# fmt: off
OPERATIONS: Final[Mapping[str, tuple[Operation, ...]]] = {
    "Accounts and sessions": (
        Operation("register", "POST /auth/register", "Make an account", "open",
            body=Register, answers={201: Registered},
            refusals=("registration_closed", "invite_required", "email_taken", "username_taken", "rate_limited"),
            notes="The first account becomes the server's admin."),
        Operation("login", "POST /auth/login", "Log in", "open",
            body=Login, answers={200: TokenPair}, refusals=("invalid_credentials", "forbidden", "rate_limited"),
            notes="Each login makes a session. 403: the password is right, and an admin has disabled the account."),
        Operation("refresh", "POST /auth/refresh", "Get a new access token", "open",
            body=Refresh, answers={200: Refreshed}, refusals=("unauthorized", "rate_limited"),
            notes="401 means: log in again."),
        Operation("logout", "POST /auth/logout", "End the caller's session",
            answers={204: None}, notes="Its tokens are dead at once, and its sockets close."),
        Operation("change_password", "POST /auth/password", "Change the caller's password",
            body=ChangePassword, answers={204: None}, refusals=((403, "invalid_credentials"),),
            notes="Ends all the caller's other sessions."),
        Operation("list_sessions", "GET /auth/sessions", "The caller's sessions, newest first",
            answers={200: list[Session]}),
        Operation("end_session", "DELETE /auth/sessions/{id}", "End one of the caller's sessions",
            answers={204: None}),
    ),
    "Invitations": (
        Operation("create_invite", "POST /admin/invites", "Make an invitation", "admin",
            body=CreateInvite, answers={201: NewInvite}, notes="The code is told only here."),
        Operation("list_invites", "GET /admin/invites", "Invitations that can still be used", "admin",
            query=(InvitePage,), answers={200: list[Invite]}),
        Operation("revoke_invite", "DELETE /admin/invites/{id}", "Revoke an invitation", "admin",
            answers={204: None}),
    ),
    "Administration": (
        Operation("list_accounts", "GET /admin/users", "Accounts, newest first", "admin",
            query=(UserPage,), answers={200: list[Account]},
            notes="With `query` those whose username or email begins so."),
        Operation("create_account", "POST /admin/users", "Make an account for someone", "admin",
            body=CreateUser, answers={201: Account}, refusals=("email_taken", "username_taken"),
            notes="Whether the server takes registrations or not."),
        Operation("get_account", "GET /admin/users/{id}", "An account", "admin", answers={200: Account}),
        Operation("update_account", "PATCH /admin/users/{id}", "Reset its password, disable it, make it an admin's",
            "admin", body=UpdateUser, answers={200: Account}, refusals=("last_admin",),
            notes="A new password and `disabled` end all its sessions, and their sockets close."),
        Operation("delete_account", "DELETE /admin/users/{id}", "Delete an account, for good", "admin",
            answers={204: None}, refusals=("last_admin",),
            notes="What it has sent stays, under the name `deleted:<id>`."),
        Operation("list_account_sessions", "GET /admin/users/{id}/sessions", "An account's sessions, newest first",
            "admin", answers={200: list[AccountSession]}),
        Operation("end_account_sessions", "DELETE /admin/users/{id}/sessions", "End all of an account's sessions",
            "admin", answers={204: None}),
        Operation("end_account_session", "DELETE /admin/users/{id}/sessions/{session_id}",
            "End one of an account's sessions", "admin", answers={204: None}),
        Operation("get_stats", "GET /admin/stats", "How much there is, and who is connected", "admin",
            answers={200: Stats}),
    ),
    "Users": (
        Operation("search_users", "GET /users", "Users whose name begins so, or by their ids",
            query=(UserSearch, UserLookup), answers={200: list[User]}),
        Operation("get_me", "GET /users/me", "The caller", answers={200: OwnUser}),
        Operation("update_me", "PATCH /users/me", "Change the caller's username or email",
            body=UpdateProfile, answers={200: OwnUser},
            refusals=((403, "invalid_credentials"), "email_taken", "username_taken"),
            notes="An email changes only with `current_password`."),
        Operation("get_user", "GET /users/{id}", "A user", answers={200: User}),
    ),
    "Conversations": (
        Operation("list_conversations", "GET /chats", "The caller's conversations, newest activity first",
            query=(ConversationPage,), answers={200: list[ConversationView]},
            notes="The last one's `event_id` is the next page's `before`."),
        Operation("create_conversation", "POST /chats", "Start a dialog or a group",
            body=CreateConversation, answers={201: ConversationView, 200: ConversationView},
            notes="200: the dialog that the two have already."),
        Operation("get_conversation", "GET /chats/{id}", "A conversation", answers={200: ConversationView}),
        Operation("rename_conversation", "PATCH /chats/{id}", "Give a group another title",
            body=Rename, answers={200: ConversationView}, refusals=("forbidden",),
            notes="Owners only."),
        Operation("list_members", "GET /chats/{id}/members", "The members, and how far each has read",
            answers={200: list[Member]}),
        Operation("add_members", "POST /chats/{id}/members", "Add members to a group",
            body=AddMembers, answers={200: ConversationView}, refusals=("forbidden",),
            notes="Owners only. Adding someone who is in it is no error."),
        Operation("remove_member", "DELETE /chats/{id}/members/{user_id}", "Remove a member, or leave",
            answers={204: None}, refusals=("forbidden",),
            notes="Owners remove, anyone may leave. The last owner's leaving makes the longest-standing member owner."),
        Operation("set_role", "PATCH /chats/{id}/members/{user_id}", "Make a member owner, or an owner member",
            body=SetRole, answers={200: Member}, refusals=("forbidden", "last_owner"),
            notes="Owners only."),
    ),
    "Messages": (
        Operation("list_messages", "GET /chats/{id}/messages", "A page of history, newest first",
            query=(HistoryPage,), answers={200: list[Message]},
            notes="Reading a page counts as delivered, up to its highest id."),
        Operation("post_message", "POST /chats/{id}/messages", "Send a message",
            body=PostMessage, answers={201: Message, 200: Message},
            refusals=("temp_id_conflict", "attachment_unavailable"),
            notes="201: the message is on the disk. 200: it was already, under this `temp_id`."),
        Operation("mark_read", "POST /chats/{id}/read", "All up to this message is read",
            body=MarkRead, answers={204: None}),
    ),
    "Attachments": (
        Operation("presign", "POST /attachments/presign", "Ask where to put a file",
            body=Presign, answers={201: Presigned}, refusals=("too_many_uploads", "storage_low")),
        Operation("get_attachment", "GET /attachments/{id}", "A fresh URL of a file",
            answers={200: FreshUrl, 307: None},
            notes="200 to `Accept: application/json`. For who may read the message, and before for the uploader."),
        Operation("upload", "PUT /files/{id}", "Upload a file to its presigned URL", "signed",
            body=BYTES, answers={200: None},
            refusals=("attachment_unavailable", "too_many_uploads", "storage_low", "rate_limited"),
            notes="It may be repeated until the attachment is sent."),
        Operation("download", "GET /files/{id}", "Download a file by its URL", "signed",
            answers={200: BYTES, 206: BYTES, 304: None}, refusals=((416, "invalid"),),
            headers=("ETag", "Accept-Ranges", "Content-Disposition", "Content-Security-Policy"),
            conditions=("Range", "If-Range", "If-None-Match")),
    ),
    "The socket": (
        Operation("create_ticket", "POST /auth/ticket", "A token that opens one socket",
            answers={201: Ticket}, notes="So that a page need never put a lasting token in a URL."),
        Operation("connect", "GET /ws", "Open the WebSocket", "socket",
            answers={101: None}, refusals=("forbidden_origin", "upgrade_required"),
            notes="What is said on it is in `/asyncapi.json`."),
    ),
    "The server": (
        Operation("get_server", "GET /server", "What the server is and offers", "open",
            answers={200: ServerInfo}),
        Operation("healthz", "GET /healthz", "Is the process up?", "open", answers={200: Health}),
        Operation("readyz", "GET /readyz", "Can the storage be written?", "open",
            answers={200: Health}, refusals=("unavailable",)),
        Operation("openapi", "GET /openapi.json", "This description", "open",
            answers={200: dict[str, Any], 304: None}, headers=("ETag",), conditions=("If-None-Match",)),
        Operation("asyncapi", "GET /asyncapi.json", "The description of the socket (AsyncAPI)", "open",
            answers={200: dict[str, Any], 304: None}, headers=("ETag",), conditions=("If-None-Match",)),
    ),
}
"""All operations, in the order to show them."""
# fmt: on


def every() -> Iterator[Operation]:
    """All operations."""
    for operations in OPERATIONS.values():
        yield from operations
