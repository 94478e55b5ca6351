"""The chat's connection: what comes changes the model, what was composed goes out (docs/protocol.md, Resuming)."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Iterable

from beseda.client import (
    Client,
    ClientError,
    ConnectionLost,
    Event,
    OutboxFull,
    Rejected,
    Timing,
    Unreachable,
)
from beseda.client.chat.conversation import Conversation, Outgoing
from beseda.client.chat.model import Model
from beseda.client.chat.text import one_line
from beseda.client.chat.view import View
from protocol.entities import Message

PAGE = 100


class Connection:
    """Keeps the model up to date, and the outbox moving. `changed` is called after every change."""

    def __init__(self, client: Client, model: Model, view: View, changed: Callable[[], None]) -> None:
        self.client = client
        self.model = model
        self.view = view
        self._changed = changed
        self._live = client.live()
        self._log = ""
        self._is_loading = True
        self._stored: dict[str, Message] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until it is cancelled. Raises LoggedOut, or ConnectionLost where it makes no sense to come back."""
        try:
            async with self._live:
                async for event in self._live:
                    await self._take_in(event)
                    self._settle()
                    self.view.settle(self.model)
                    self._changed()
        finally:
            if self._sending:
                await asyncio.wait(self._sending)

    async def _take_in(self, event: Event) -> None:
        if event["type"] == "hello":
            self.view.link = "connecting"
            self.view.trouble = ""
        elif event["type"] == "offline":
            self.view.link = "lost"
            self.model.part()
            if not isinstance(event["error"], ConnectionLost):
                self.view.trouble = str(event["error"])
        elif event["type"] == "resync":
            self._is_loading = True
            if self._log not in ("", event["log"]):
                for conversation in self.model.conversations.values():
                    conversation.forget()
            self._log = event["log"]
            await self._at_last(self._load_all)
            self._is_loading = False
            self.view.link = "online"
        elif event["type"] == "resumed":
            self.model.resume()
            await self._at_last(self._look_around)
            self.view.link = "online"
        else:
            await self._apply(event)

    async def _at_last(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it until it succeeds. What comes over the socket waits meanwhile."""
        for attempt in itertools.count():
            try:
                await work()
            except (Rejected, Unreachable) as error:
                self.view.trouble = str(error)
                self._changed()
                await Timing().pause(attempt, error)
            else:
                self.view.trouble = ""
                return

    async def _load_all(self) -> None:
        """The recipe "Loading anew" of docs/protocol.md."""
        views = [view async for view in self.client.all_conversations()]
        if self.model.open_id not in {view["id"] for view in views}:
            self._bid_farewell()
        self.model.reload(views)
        await self._look_around()

    async def _look_around(self) -> None:
        """People's names and whereabouts, and what is on the screen as far as it isn't here."""
        peers = {peer for each in self.model.conversations.values() if (peer := self.model.peer(each))}
        await self.meet(peers | self.model.strangers())
        if self.model.open is not None and not self.model.open.is_loaded:
            try:
                await self.load(self.model.open)
            except Rejected as rejected:
                if rejected.code != "not_found":  # One is no longer in it; the event comes.
                    raise

    async def _apply(self, event: Event) -> None:
        if event["type"] == "conversation_removed" and event["conversation_id"] == self.model.open_id:
            self._bid_farewell()
        self.model.apply(event)
        if event["type"] == "error" and "temp_id" not in event:
            self.view.tell(event["message"], error=True)
        if "conversation" in event and self.view.link == "online":
            await self._welcome()

    def _bid_farewell(self) -> None:
        conversation = self.model.open
        if conversation is not None:
            told = [f"You are no longer in {self.model.title(conversation)}."]
            # What was refused stood in its place, which is no more.
            told += [
                _not_sent(each)
                for each in self.model.outbox.values()
                if each.refused and each.conversation_id == conversation.id
            ]
            self.view.tell(" ".join(told), error=True)

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

    async def _send(self, outgoing: Outgoing) -> None:
        try:
            self._stored[outgoing.temp_id] = await self._live.send(
                outgoing.conversation_id,
                outgoing.text,
                [each["id"] for each in outgoing.attachments],
                temp_id=outgoing.temp_id,
                read=not outgoing.late,
            )
        except (Rejected, OutboxFull) as refusal:
            self._refuse(outgoing, str(refusal))
        except ClientError:
            return  # The connection has ended for good: it stays unsent.
        self._settle()
        self._changed()

    def _settle(self) -> None:
        """What is acknowledged goes into its place, once all that stands before it is here."""
        for temp_id, message in list(self._stored.items()):
            if not self._is_loading and message["id"] <= (self._live.cursor or 0):
                del self._stored[temp_id]
                self.model.apply({"type": "message_sent", "message": message | {"temp_id": temp_id}})

    def _refuse(self, outgoing: Outgoing, why: str) -> None:
        self.model.refuse(outgoing.temp_id, why)
        if self.model.open is None or outgoing.conversation_id != self.model.open.id:
            self.view.tell(_not_sent(outgoing), error=True)

    # What the application asks for.

    def post(self, outgoing: Outgoing) -> None:
        """A message is to be sent: now, or as soon as there is a connection."""
        self.model.compose(outgoing)
        task = asyncio.create_task(self._send(outgoing))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def read(self, conversation_id: int, message_id: int) -> None:
        """All up to there is read."""
        await self._live.read(conversation_id, message_id)

    async def typing(self, conversation_id: int, *, stopped: bool) -> None:
        """Oneself types, or has stopped."""
        await self._live.typing(conversation_id, stopped=stopped)

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


def _not_sent(outgoing: Outgoing) -> str:
    """With its text: where its conversation is not on the screen, or is no more, it stands nowhere else."""
    return f"A message was not sent: {outgoing.refused} It was: {one_line(outgoing.text)}"
