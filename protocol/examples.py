"""An example of each thing that is said: Ann (1) and Bob (2) have dialog 7, and tea at five."""

from typing import Any, Final, get_args, get_origin

from protocol import commands, entities, frames
from protocol.errors import HTTP_STATUS, TITLES, Code

_AT = "2026-11-23T13:05:00.123Z"

_BOB = {"id": 2, "username": "bob", "online": True, "last_seen_at": _AT}
_ANN = {
    "id": 1,
    "username": "ann",
    "online": True,
    "last_seen_at": None,
    "email": "ann@example.org",
    "is_admin": True,
    "created_at": _AT,
}
_FILE = {"filename": "tea.jpg", "content_type": "image/jpeg", "size": 48213}
_URL = "/files/9?expires=1795453200&signature=Kq3w7n2b"
_SENT = {"text": "Tea at five?", "attachments": [9], "temp_id": "7f3a"}
_MESSAGE = {
    "id": 514,
    "conversation_id": 7,
    "seq": 12,
    "sender_id": 1,
    "text": "Tea at five?",
    "attachments": [{"id": 9, **_FILE, "url": _URL}],
    "created_at": _AT,
}
_CONVERSATION = {
    "id": 7,
    "type": "dialog",
    "title": None,
    "members": [1, 2],
    "created_at": _AT,
    "created_by": 1,
    "event_id": 514,
}
_RECEIPT = {"message_id": 514, "conversation_id": 7, "user_id": 2}
_INVITE = {"id": 5, "uses_left": 1, "expires_at": None, "created_at": _AT, "created_by": 1}
_SESSION = {
    "id": 3,
    "created_at": _AT,
    "last_used_at": _AT,
    "address": "203.0.113.7",
    "user_agent": "Mozilla/5.0",
}
_LOGIN = {"email": "ann@example.org", "password": "correct horse"}

EXAMPLES: Final[dict[Any, Any]] = {
    # Bodies and queries.
    commands.Register: {**_LOGIN, "username": "ann"},
    commands.Login: _LOGIN,
    commands.Refresh: {"refresh_token": "eyJhbGciOiJIUzI1NiJ9.refresh.token"},
    commands.ChangePassword: {"current_password": "correct horse", "new_password": "battery staple"},
    commands.UpdateProfile: {"username": "anna"},
    commands.CreateInvite: {"uses": 1, "expires_in": 604_800},
    commands.InvitePage: {"limit": 50, "before": 5},
    commands.CreateUser: {
        "email": "cleo@example.org",
        "username": "cleo",
        "password": "correct horse",
        "is_admin": False,
    },
    commands.UpdateUser: {"disabled": True},
    commands.UserPage: {"query": "bo", "limit": 50, "before": 7},
    commands.UserLookup: {"ids": [1, 2]},
    commands.UserSearch: {"query": "bo", "limit": 20},
    commands.CreateConversation: {"type": "dialog", "title": None, "members": [2]},
    commands.ConversationPage: {"limit": 50, "before": 514},
    commands.Rename: {"title": "Team"},
    commands.AddMembers: {"members": [4, 5]},
    commands.SetRole: {"role": "owner"},
    commands.HistoryPage: {"limit": 50, "before_id": 514, "after_id": 400},
    commands.PostMessage: _SENT,
    commands.MarkRead: {"message_id": 514},
    commands.Presign: _FILE,
    # Answers.
    entities.Registered: {"id": 1, "email": "ann@example.org", "username": "ann"},
    entities.TokenPair: {
        "access_token": "eyJhbGciOiJIUzI1NiJ9.access.token",
        "refresh_token": "eyJhbGciOiJIUzI1NiJ9.refresh.token",
        "user": _ANN,
    },
    entities.Refreshed: {
        "access_token": "eyJhbGciOiJIUzI1NiJ9.access.token",
        "refresh_token": "eyJhbGciOiJIUzI1NiJ9.refresh.token",
    },
    entities.Ticket: {"ticket": "eyJhbGciOiJIUzI1NiJ9.socket.ticket", "expires_in": 30},
    entities.Invite: _INVITE,
    entities.NewInvite: {**_INVITE, "code": "k3v9-tea-at-five"},
    entities.ServerInfo: {
        "version": "0.1.0",
        "registration": "open",
        "limits": {
            "message_chars": 10_000,
            "message_attachments": 10,
            "frame_bytes": 65_536,
            "body_bytes": 1_048_576,
            "group_members": 1000,
            "live_members": 256,
            "sockets_per_user": 20,
            "messages_per_second": 20,
            "message_burst": 60,
            "requests_per_second": 50,
            "request_burst": 200,
            "attachments": {"max_bytes": 26_214_400, "unsent_files": 20, "unsent_bytes": 262_144_000},
        },
        "features": ["rotation", "tickets"],
    },
    entities.Session: {**_SESSION, "current": True},
    entities.AccountSession: _SESSION,
    entities.Account: {
        "id": 2,
        "username": "bob",
        "email": "bob@example.org",
        "is_admin": False,
        "disabled_at": None,
        "created_at": _AT,
        "last_seen_at": _AT,
        "sessions": 2,
    },
    entities.Stats: {
        "users": 12,
        "disabled": 1,
        "admins": 1,
        "sessions": 19,
        "dialogs": 21,
        "groups": 4,
        "messages": 48_213,
        "attachments": 310,
        "attachment_bytes": 91_226_112,
        "database_bytes": 14_680_064,
        "last_event_id": 48_391,
        "log": "k3v9",
        "oldest_message_at": _AT,
        "newest_message_at": _AT,
        "connections": 9,
        "online": 7,
    },
    entities.User: _BOB,
    entities.OwnUser: _ANN,
    entities.ConversationView: {
        **_CONVERSATION,
        "last_message": {**_MESSAGE, "temp_id": "7f3a"},
        "unread_count": 0,
        "read_id": 514,
        "peer_delivered_id": 514,
        "peer_read_id": 498,
    },
    entities.Member: {
        "user_id": 1,
        "username": "ann",
        "role": "owner",
        "joined_at": _AT,
        "delivered_id": 514,
        "read_id": 498,
    },
    entities.Message: {**_MESSAGE, "temp_id": "7f3a"},
    entities.Presigned: {
        "id": 9,
        "url": "https://chat.example.org" + _URL,
        "method": "PUT",
        "headers": {"Content-Type": "image/jpeg"},
        "expires_in": 600,
    },
    entities.FreshUrl: {"url": _URL, "expires_in": 86400},
    entities.Health: {"status": "ok"},
    dict[str, Any]: {"info": {"title": "Beseda"}},
    # Frames.
    commands.SendMessage: {"type": "send_message", "conversation_id": 7, **_SENT},
    commands.Read: {"type": "read", "conversation_id": 7, "message_id": 514},
    commands.TypingStart: {"type": "typing_start", "conversation_id": 7},
    commands.TypingStop: {"type": "typing_stop", "conversation_id": 7},
    frames.Hello: {"type": "hello", "user_id": 1, "event_id": 512, "log": "k3v9"},
    frames.Resumed: {"type": "resumed", "event_id": 514},
    frames.Resync: {"type": "resync", "event_id": 9514, "log": "k3v9"},
    frames.MessageSent: {
        "type": "message_sent",
        "temp_id": "7f3a",
        "event_id": 514,
        "message": {**_MESSAGE, "temp_id": "7f3a"},
    },
    frames.NewMessage: {
        "type": "new_message",
        "event_id": 514,
        "conversation_id": 7,
        "message": _MESSAGE,
    },
    frames.ConversationCreated: {
        "type": "conversation_created",
        "event_id": 514,
        "conversation": _CONVERSATION,
    },
    frames.ConversationUpdated: {
        "type": "conversation_updated",
        "event_id": 514,
        "conversation_id": 7,
        "conversation": _CONVERSATION,
    },
    frames.ConversationRemoved: {"type": "conversation_removed", "event_id": 520, "conversation_id": 7},
    frames.UserUpdated: {"type": "user_updated", "event_id": 521, "user": _BOB},
    frames.Delivered: {"type": "delivered", **_RECEIPT},
    frames.ReadReceipt: {"type": "read", **_RECEIPT},
    frames.Unread: {"type": "unread", "conversation_id": 7, "message_id": 514, "unread_count": 3},
    frames.Typing: {"type": "typing", "conversation_id": 7, "user_id": 2},
    frames.TypingStopped: {"type": "typing_stop", "conversation_id": 7, "user_id": 2},
    frames.OnlineStatus: {"type": "online_status", "user_id": 2, "online": False, "last_seen_at": _AT},
    frames.Error: {
        "type": "error",
        "code": "temp_id_conflict",
        "message": "This temp_id was used for another message.",
        "temp_id": "7f3a",
        "conversation_id": 7,
    },
}
"""By the type that it is of."""


def example(of: Any) -> Any:
    """An example of a type; of a list, one with a single item."""
    return [EXAMPLES[get_args(of)[0]]] if get_origin(of) is list else EXAMPLES[of]


def example_problem(code: Code, status: int | None = None) -> dict[str, Any]:
    """The body of a refusal."""
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES[code],
        "status": status or HTTP_STATUS[code],
        "detail": TITLES[code] + ".",
        "code": code,
    }
    if problem["status"] == 422:
        problem["errors"] = [{"field": "members.0", "message": "there is no such user"}]
    return problem
