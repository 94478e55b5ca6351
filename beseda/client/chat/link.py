"""The chat's connection: made again whenever it is lost; what came meanwhile is loaded, what waits is sent."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable

from beseda.client import Client, ClientError, ConnectionLost, LoggedOut, Rejected, Socket, Unreachable
from beseda.client.chat.conversation import Conversation, Outgoing
from beseda.client.chat.model import Model
from beseda.client.chat.text import one_line
from beseda.client.chat.view import View

PAGE = 100
LONGEST_SECONDS = 30.0

_RESTARTS = 1012
_ABUSE = 1008
_FLOODING = 4029
_TOO_LARGE = 1009
_TRY_AGAIN = frozenset({"unavailable", "rate_limited"})


def pause(attempt: int, code: int, chance: float) -> float:
    """Seconds until the next attempt: longer each time, and by chance, so that not all clients come at once.

    `code` is the close's (docs/protocol.md, close codes), `chance` between 0 and 1.
    """
    if code in (_ABUSE, _FLOODING):
        return 60.0
    longest = 5.0 if code == _RESTARTS and attempt == 0 else min(0.5 * 2**attempt, LONGEST_SECONDS)
    return longest * chance


class Connection:
    """Keeps the model up to date, and the outbox moving. `changed` is called after every change."""

    def __init__(self, client: Client, model: Model, view: View, changed: Callable[[], None]) -> None:
        self.client = client
        self.model = model
        self.view = view
        self._changed = changed
        self._socket: Socket | None = None
        self._posted = asyncio.Event()
        self._log = ""

    async def run(self) -> None:
        """Until it is cancelled. Raises LoggedOut, or ConnectionLost where it makes no sense to come back."""
        attempt = 0
        while True:
            code = 1006
            try:
                async with self.client.connect() as socket:
                    await self._catch_up(socket)
                    attempt = 0
                    await self._live(socket)
            except ConnectionLost as lost:
                code = lost.code
                if not lost.may_return and code != _TOO_LARGE:
                    raise _why(lost) from None
            except Rejected as rejected:
                code = _FLOODING if rejected.status == 429 else 1006
                self.view.tell(str(rejected), error=True)
            except Unreachable as unreachable:
                self.view.tell(str(unreachable), error=True)
            finally:
                self._socket = None
                self.model.part()
                self.view.link = "lost"
                self._changed()
            await asyncio.sleep(pause(attempt, code, random.random()))  # noqa: S311 - no secret
            attempt += 1

    async def _catch_up(self, socket: Socket) -> None:
        """The recipe "Back after a break" of docs/protocol.md: frames wait in the socket meanwhile."""
        if self.view.is_error:
            self.view.tell("")
        if self._log not in ("", socket.hello["log"]):
            for conversation in self.model.conversations.values():
                conversation.forget()
        self._log = socket.hello["log"]
        views = [view async for view in self.client.all_conversations()]
        if self.model.open_id not in {view["id"] for view in views}:
            self._bid_farewell()
        self.model.reload(views)
        peers = {peer for each in self.model.conversations.values() if (peer := self.model.peer(each))}
        await self.meet(peers | self.model.strangers())
        if self.model.open is not None:
            await self.load(self.model.open)

    async def _live(self, socket: Socket) -> None:
        self._socket = socket
        self.view.link = "online"
        self.view.settle(self.model)
        sender = asyncio.create_task(self._send_all(socket))
        try:
            self._changed()
            async for frame in socket:
                if frame["type"] == "conversation_removed" and frame["conversation_id"] == self.model.open_id:
                    self._bid_farewell()
                self.model.apply(frame)
                self.view.settle(self.model)
                if frame["type"] == "error" and "temp_id" not in frame:
                    self.view.tell(frame["message"], error=True)
                if "conversation" in frame:
                    await self._welcome()
                self._changed()
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender

    def _bid_farewell(self) -> None:
        if self.model.open is not None:
            self.view.tell(f"You are no longer in {self.model.title(self.model.open)}.", error=True)

    async def _welcome(self) -> None:
        """After a conversation came or changed: its people's names, and its messages if it is on the screen."""
        with contextlib.suppress(Rejected, Unreachable):
            await self.meet(self.model.strangers())
            if self.model.open is None:
                return
            if not self.model.open.is_loaded:
                await self.load(self.model.open)
            else:
                # Who is new in a group has read all that stood before.
                await self._cursors(self.model.open)

    async def _send_all(self, socket: Socket) -> None:
        """Send what waits, one after the other, so that it is stored in the order of its composing."""
        while True:
            self._posted.clear()
            waiting = self.model.unsent()
            if not waiting:
                await self._posted.wait()
                continue
            try:
                await self._send(socket, waiting[0])
            except ConnectionLost as lost:
                if lost.code == _TOO_LARGE:
                    self._refuse(waiting[0], "it is larger than this server takes.")
                # Broken off, or only silent: an open socket that acknowledges nothing is of no use.
                if lost.code == 1006:
                    await socket.close()
                return
            self._changed()

    async def _send(self, socket: Socket, outgoing: Outgoing) -> None:
        """Send one message until it is stored or refused. Raises ConnectionLost."""
        try:
            message = await socket.send(
                outgoing.conversation_id,
                outgoing.text,
                [each["id"] for each in outgoing.attachments],
                temp_id=outgoing.temp_id,
                read=not outgoing.late,
            )
        except Rejected as rejected:
            if rejected.code in _TRY_AGAIN:
                await asyncio.sleep(rejected.retry_after or 1.0)
            else:
                self._refuse(outgoing, str(rejected))
        else:
            # The frame itself may still wait behind others; applying it a second time changes nothing.
            self.model.apply({"type": "message_sent", "message": message | {"temp_id": outgoing.temp_id}})

    def _refuse(self, outgoing: Outgoing, why: str) -> None:
        self.model.refuse(outgoing.temp_id, why)
        if self.model.open is None or outgoing.conversation_id != self.model.open.id:
            # The text too: where its conversation is no more, it stands nowhere else.
            self.view.tell(f"A message was not sent: {why} It was: {one_line(outgoing.text)}", error=True)

    # What the application asks for.

    def post(self, outgoing: Outgoing) -> None:
        """A message is to be sent: now, or as soon as there is a connection."""
        self.model.compose(outgoing)
        self._posted.set()

    async def read(self, conversation_id: int, message_id: int) -> None:
        """All up to there is read; where there is no connection, nothing is told."""
        await self._tell(lambda socket: socket.read(conversation_id, message_id))

    async def typing(self, conversation_id: int, *, stopped: bool) -> None:
        """Oneself types, or has stopped."""
        await self._tell(lambda socket: socket.typing(conversation_id, stopped=stopped))

    async def _tell(self, frame: Callable[[Socket], Awaitable[None]]) -> None:
        if self._socket is not None:
            with contextlib.suppress(ConnectionLost):
                await frame(self._socket)

    async def load(self, conversation: Conversation) -> None:
        """The newest page of a conversation, and how far its members are. Raises ClientError."""
        page = await self.client.history(conversation.id, PAGE)
        await self._cursors(conversation)
        conversation.load(page, PAGE)
        await self.meet({each["sender_id"] for each in page} - self.model.people.keys())

    async def _cursors(self, conversation: Conversation) -> None:
        members = await self.client.members(conversation.id)
        conversation.cursors(members)
        await self.meet({each["user_id"] for each in members} - self.model.people.keys())

    async def load_older(self, conversation: Conversation) -> None:
        """The page before what is loaded. Raises ClientError."""
        oldest = conversation.messages[0]["id"]
        page = await self.client.history(conversation.id, PAGE, before_id=oldest)
        if conversation.messages and conversation.messages[0]["id"] == oldest:
            conversation.load_older(page, PAGE)
        await self.meet({each["sender_id"] for each in page} - self.model.people.keys())

    async def meet(self, user_ids: Iterable[int]) -> None:
        """Learn people's names and whereabouts. Raises ClientError."""
        ids = sorted(user_ids)
        for at in range(0, len(ids), 200):
            self.model.meet(await self.client.users(ids=ids[at : at + 200]))


def _why(lost: ConnectionLost) -> ClientError:
    return LoggedOut("The session has ended: log in again.") if lost.code == 4501 else lost
