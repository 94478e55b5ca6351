"""The client class: one account on one server, over REST and a socket (docs/protocol.md)."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from beseda.client import files, outbox
from beseda.client.backoff import Timing
from beseda.client.errors import LoggedOut, Rejected
from beseda.client.files import Progress
from beseda.client.live import Live
from beseda.client.rest import Rest, Tokens
from beseda.client.socket import Socket, open_socket
from protocol.entities import (
    Attachment,
    ConversationView,
    Member,
    Message,
    OwnUser,
    Registered,
    Role,
    Session,
    User,
)


class Client(Rest):
    """One account on one server.

    Every call that finds the access token expired refreshes it by itself, once for all that wait. `on_tokens` is told
    of each new pair, so that it can be kept and given as `tokens` next time. All calls raise ClientError: Rejected with
    the server's code, LoggedOut, or Unreachable. Use it as a context manager, or `close` it.
    """

    # Accounts and sessions (docs/protocol.md section 1).

    async def server(self) -> dict[str, Any]:
        """What the server tells everyone of itself: version, registration, limits, features."""
        found: dict[str, Any] = await self.request("GET", "/server", login=False)
        return found

    async def register(
        self, email: str, password: str, username: str, invite: str | None = None
    ) -> Registered:
        """A new account; `login` is another call."""
        body = {"email": email, "password": password, "username": username}
        if invite:
            body["invite"] = invite
        registered: Registered = await self.request("POST", "/auth/register", body, login=False)
        return registered

    async def login(self, email: str, password: str) -> OwnUser:
        """A new session, which all further calls use."""
        body = {"email": email, "password": password}
        answer = await self.request("POST", "/auth/login", body, login=False)
        self.keep(Tokens(answer["access_token"], answer["refresh_token"]))
        user: OwnUser = answer["user"]
        return user

    async def logout(self) -> None:
        """End the session."""
        await self.request("POST", "/auth/logout")
        self.keep(None)

    async def sessions(self) -> list[Session]:
        """The account's sessions, newest first."""
        found: list[Session] = await self.request("GET", "/auth/sessions")
        return found

    async def end_session(self, session_id: int) -> None:
        """End one of them."""
        await self.request("DELETE", f"/auth/sessions/{session_id}")

    async def change_password(self, current: str, new: str) -> None:
        """Another password; all other sessions end."""
        await self.request("POST", "/auth/password", {"current_password": current, "new_password": new})

    # Users (section 2).

    async def me(self) -> OwnUser:
        """The account itself."""
        user: OwnUser = await self.request("GET", "/users/me")
        return user

    async def user(self, user_id: int) -> User:
        """A user."""
        user: User = await self.request("GET", f"/users/{user_id}")
        return user

    async def users(
        self, query: str | None = None, *, ids: Sequence[int] | None = None, limit: int = 20
    ) -> list[User]:
        """Users whose name begins with `query`; or those of these `ids`, 200 at most."""
        asked = {"query": query, "limit": limit} if ids is None else {"ids": ",".join(map(str, ids))}
        found: list[User] = await self.request("GET", "/users", query=asked)
        return found

    # Conversations (section 3).

    async def conversations(self, limit: int = 50, before: int | None = None) -> list[ConversationView]:
        """A page of the account's conversations, newest activity first."""
        found: list[ConversationView] = await self.request(
            "GET", "/chats", query={"limit": limit, "before": before}
        )
        return found

    async def all_conversations(self, since: int = 0) -> AsyncIterator[ConversationView]:
        """All of them whose `event_id` is above `since`, page by page, each once."""
        known: set[int] = set()
        is_whole = False
        while not is_whole:
            # What moves to the front while the pages are fetched may be on none of them: it is looked for there.
            is_whole, before, tip = True, None, since
            while page := await self.conversations(200, before):
                moved = [each for each in page if each["event_id"] > since]
                for conversation in moved:
                    if conversation["id"] not in known:
                        known.add(conversation["id"])
                        yield conversation
                tip = max(tip, page[0]["event_id"])
                if len(moved) < len(page) or len(page) < 200:
                    break
                is_whole, before = False, page[-1]["event_id"]
            since = tip

    async def conversation(self, conversation_id: int) -> ConversationView:
        """One conversation."""
        return await self._conversation("GET", f"/chats/{conversation_id}")

    async def open_dialog(self, user_id: int) -> ConversationView:
        """The dialog with a user, made if there is none yet."""
        return await self._conversation("POST", "/chats", {"type": "dialog", "members": [user_id]})

    async def create_group(self, title: str | None, members: Sequence[int] = ()) -> ConversationView:
        """A new group; the account is its owner."""
        body = {"type": "group", "title": title, "members": list(members)}
        return await self._conversation("POST", "/chats", body)

    async def rename(self, conversation_id: int, title: str | None) -> ConversationView:
        """Another title for a group."""
        return await self._conversation("PATCH", f"/chats/{conversation_id}", {"title": title})

    async def members(self, conversation_id: int) -> list[Member]:
        """A conversation's members, with their cursors."""
        found: list[Member] = await self.request("GET", f"/chats/{conversation_id}/members")
        return found

    async def add_members(self, conversation_id: int, user_ids: Sequence[int]) -> ConversationView:
        """Add users to a group."""
        return await self._conversation(
            "POST", f"/chats/{conversation_id}/members", {"members": list(user_ids)}
        )

    async def remove_member(self, conversation_id: int, user_id: int) -> None:
        """Take a member out of a group, or leave it oneself."""
        await self.request("DELETE", f"/chats/{conversation_id}/members/{user_id}")

    async def set_role(self, conversation_id: int, user_id: int, role: Role) -> Member:
        """Make a member owner, or an owner member."""
        path = f"/chats/{conversation_id}/members/{user_id}"
        member: Member = await self.request("PATCH", path, {"role": role})
        return member

    # Messages (section 4).

    async def history(
        self,
        conversation_id: int,
        limit: int = 50,
        *,
        before_id: int | None = None,
        after_id: int | None = None,
    ) -> list[Message]:
        """A page of messages, newest first; both bounds are exclusive."""
        query = {"limit": limit, "before_id": before_id, "after_id": after_id}
        found: list[Message] = await self.request("GET", f"/chats/{conversation_id}/messages", query=query)
        return found

    async def post(
        self,
        conversation_id: int,
        text: str,
        attachments: Sequence[int] = (),
        *,
        temp_id: str | None = None,
    ) -> Message:
        """Send a message without a socket. With the same `temp_id` it is stored once, however often it is sent."""
        body: dict[str, Any] = {"text": text, "attachments": list(attachments)}
        if temp_id is not None:
            body["temp_id"] = temp_id
        message: Message = await self.request("POST", f"/chats/{conversation_id}/messages", body)
        return message

    async def mark_read(self, conversation_id: int, message_id: int) -> None:
        """All up to this message is read."""
        await self.request("POST", f"/chats/{conversation_id}/read", {"message_id": message_id})

    # Attachments (section 5).

    async def upload(
        self, path: Path, *, content_type: str | None = None, progress: Progress | None = None
    ) -> int:
        """Upload a file; the id that goes into a message's `attachments`. Raises OSError too."""
        return await files.upload(self, path, content_type, progress)

    async def download(self, attachment: Attachment, path: Path, *, progress: Progress | None = None) -> None:
        """Write an attachment's bytes to a new file. Raises FileExistsError, or another OSError."""
        await files.download(self, attachment, path, progress)

    # The socket (section 6).

    def live(
        self,
        *,
        since: int | None = None,
        log: str | None = None,
        max_outbox: int = outbox.MAX_MESSAGES,
        timing: Timing | None = None,
    ) -> Live:
        """A connection that stays, for an `async with` block: iterate over it, and send through it.

        With the `cursor` and the `log` of an earlier one it goes on where that was. At most `max_outbox` messages
        wait to be sent.
        """
        return Live(self.connect, since, log, max_outbox, timing or Timing())

    async def missed(self, since: int, until: int) -> AsyncIterator[Message]:
        """The messages after the event `since`, up to `until`: one conversation after the other, each in its order.

        For a `resync`: from the cursor that there was to the `event_id` that it tells. Raises ClientError.
        """
        moved = [conversation["id"] async for conversation in self.all_conversations(since)]
        for conversation_id in moved:
            at = since
            while page := await self._newer(conversation_id, at, until):
                for message in reversed(page):
                    yield message
                at = page[0]["id"]

    @contextlib.asynccontextmanager
    async def connect(self, *, since: int | None = None, log: str | None = None) -> AsyncIterator[Socket]:
        """An open socket, after its `hello`; closed at the end of the block, and gone when the connection is.

        With a cursor, `since`, and the `log` that it is of, what was missed comes first (docs/protocol.md, Resuming).
        """
        access = self.access()
        connect = partial(
            open_socket, self.url, verify=self.verify, timeout=self.timeout, since=since, log=log
        )
        try:
            socket = await connect(access)
        except LoggedOut:
            socket = await connect(await self.refresh(access))
        try:
            yield socket
        finally:
            await socket.close()

    # Inside.

    async def _newer(self, conversation_id: int, since: int, until: int) -> list[Message]:
        try:
            return await self.history(conversation_id, 200, after_id=since, before_id=until + 1)
        except Rejected as rejected:
            if rejected.code != "not_found":  # One is no longer in it.
                raise
            return []

    async def _conversation(self, method: str, path: str, body: Any = None) -> ConversationView:
        conversation: ConversationView = await self.request(method, path, body)
        return conversation
