"""Messages on their way: in order, each until it is stored or refused, over however many connections that takes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from beseda.client.backoff import Timing
from beseda.client.errors import ClientError, ConnectionLost, OutboxFull, Rejected
from beseda.client.socket import Socket, seen
from protocol.entities import Message

MAX_MESSAGES = 1_000

_TOO_LARGE = 1009
_TRY_AGAIN = frozenset({"unavailable", "rate_limited"})


@dataclass(eq=False)
class Entry:
    """A message on its way. One that had to wait for a connection reads nothing (`read` is then False)."""

    temp_id: str
    conversation_id: int
    text: str
    attachments: Sequence[int]
    read: bool
    answer: "asyncio.Future[Message]"


class Outbox:
    """The messages of one `Live`. They go one after the other: so they are stored in the order of their sending."""

    def __init__(self, limit: int, timing: Timing) -> None:
        self._limit = limit
        self._timing = timing
        self._entries: dict[str, Entry] = {}
        self._posted = asyncio.Event()
        self._under_way: Entry | None = None

    async def send(
        self, temp_id: str, conversation_id: int, text: str, attachments: Sequence[int], *, read: bool
    ) -> Message:
        """Wait until a message is stored. Raises OutboxFull, Rejected; or why the connection ended for good."""
        if temp_id in self._entries:
            raise ValueError(f"temp_id {temp_id!r} is under way already")
        if len(self._entries) >= self._limit:
            raise OutboxFull(self._limit)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(seen)
        entry = Entry(temp_id, conversation_id, text, list(attachments), read, answer)
        self._entries[temp_id] = entry
        self._posted.set()
        try:
            return await answer
        finally:
            self._drop(entry)

    async def flush(self, socket: Socket) -> None:
        """Send what waits, and whatever comes, until the connection is lost."""
        while True:
            entry = next(iter(self._entries.values()), None)
            if entry is None:
                self._posted.clear()
                await self._posted.wait()
                continue
            self._under_way = entry
            try:
                await self._deliver(entry, socket)
            except ConnectionLost as lost:
                # Broken off, or only silent: an open socket that acknowledges nothing is of no use.
                if lost.code == 1006:
                    await socket.close()
                return
            self._under_way = None

    def lost(self, error: ClientError) -> bool:
        """The connection is lost. Whether it was for the message under way, which then is refused."""
        for each in self._entries.values():
            each.read = False
        entry, self._under_way = self._under_way, None
        if entry is None or not (isinstance(error, ConnectionLost) and error.code == _TOO_LARGE):
            return False
        self._answer(entry, Rejected("too_large", "it is larger than this server takes."))
        return True

    def fail(self, error: Exception) -> None:
        """Nothing will be sent any more."""
        for entry in list(self._entries.values()):
            self._answer(entry, error)

    async def _deliver(self, entry: Entry, socket: Socket) -> None:
        attempt = 0
        while not entry.answer.done():
            try:
                message = await socket.send(
                    entry.conversation_id,
                    entry.text,
                    entry.attachments,
                    temp_id=entry.temp_id,
                    read=entry.read,
                )
            except Rejected as rejected:
                if rejected.code not in _TRY_AGAIN:
                    self._answer(entry, rejected)
                    return
                await self._timing.pause(attempt, rejected)
                attempt += 1
            except (TypeError, ValueError) as error:  # It can't be written as JSON, or is under way already.
                self._answer(entry, error)
            else:
                self._answer(entry, message)

    def _answer(self, entry: Entry, answer: Message | Exception) -> None:
        self._drop(entry)
        if entry.answer.done():
            return
        if isinstance(answer, Exception):
            entry.answer.set_exception(answer)
        else:
            entry.answer.set_result(answer)

    def _drop(self, entry: Entry) -> None:
        if self._entries.get(entry.temp_id) is entry:
            del self._entries[entry.temp_id]
