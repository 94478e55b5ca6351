"""A connection that stays: it comes back by itself, where it was (docs/protocol.md section 6, Resuming)."""

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Protocol, Self, TypedDict

from beseda.client.backoff import Timing, may_return, pause
from beseda.client.errors import ClientError, ConnectionLost, LoggedOut
from beseda.client.outbox import Outbox
from beseda.client.socket import Socket
from protocol.entities import Message
from protocol.frames import ServerFrame

MAX_WAITING = 10_000
"""Events that may wait to be iterated over. What comes beyond that is left with the server, and fetched later."""

LASTING_SECONDS = 1.0
"""A connection that lasted so long was a success: after it attempts are counted anew. One that ends at once is none."""

READS = 20
"""So many conversations' latest `read` are told again after a break: nobody acknowledges them."""

_SESSION_ENDED = 4501


class Offline(TypedDict):
    """The connection is lost, or could not be made; the next attempt follows after so many `seconds`."""

    type: Literal["offline"]
    error: ClientError
    seconds: float


Event = ServerFrame | Offline


class Connect(Protocol):
    """`Client.connect`."""

    def __call__(
        self, *, since: int | None, log: str | None
    ) -> contextlib.AbstractAsyncContextManager[Socket]:
        """Open a socket."""


class Live:
    """All that the server tells an account, without end: iterate over it. Made by `Client.live`.

    Each event comes once and in order, however often the connection breaks. So do one's own messages: as
    `message_sent` if they were sent here and the connection held, otherwise as `new_message`. `hello` comes whenever
    there is a connection, `offline` whenever there is none, with the reason.

    `resync` means that the application, if it holds anything, has to load anew over REST. It comes where the server
    sends it, and at first, unless a `since` was given. `Client.missed` helps.

    The iteration raises LoggedOut when the session has ended, and another ClientError where coming back makes no sense.
    """

    def __init__(
        self, connect: Connect, since: int | None, log: str | None, max_outbox: int, timing: Timing
    ) -> None:
        self.cursor = since
        """All up to this event has been iterated over; with `log` it is where `Client.live` goes on another time."""
        self.log = log
        self._connect = connect
        self._timing = timing
        self._outbox = Outbox(max_outbox, timing)
        self._since, self._log = since, log
        self._reads: dict[int, int] = {}
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._is_behind = False
        self._socket: Socket | None = None
        self._is_closed = False
        self._end: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_online(self) -> bool:
        """Whether there is a connection."""
        return self._socket is not None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._stay())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection for good. What still waits to be sent fails with ConnectionLost."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._finish(ConnectionLost(1000))

    # What the application says.

    async def send(
        self,
        conversation_id: int,
        text: str,
        attachments: Sequence[int] = (),
        *,
        temp_id: str | None = None,
        read: bool = True,
    ) -> Message:
        """Send a message and wait until it is stored, through all breaks: once, and in the order of the calls.

        Raises Rejected; OutboxFull where too many wait; and what the iteration raises, where it ends. Who stops waiting
        can't know whether it was stored. What waits for a connection reads nothing, whatever `read` says.
        """
        if self._end is not None:
            raise self._end
        return await self._outbox.send(
            temp_id or str(uuid.uuid4()),
            conversation_id,
            text,
            attachments,
            read=read and self.is_online,
        )

    async def read(self, conversation_id: int, message_id: int) -> None:
        """All up to this message is read; told as soon as there is a connection."""
        self._reads.pop(conversation_id, None)
        self._reads[conversation_id] = message_id
        if len(self._reads) > READS:
            del self._reads[next(iter(self._reads))]
        if self._socket is not None:
            with contextlib.suppress(ConnectionLost):
                await self._socket.read(conversation_id, message_id)

    async def typing(self, conversation_id: int, *, stopped: bool = False) -> None:
        """The user types, or has stopped; without a connection nobody is told."""
        if self._socket is not None:
            with contextlib.suppress(ConnectionLost):
                await self._socket.typing(conversation_id, stopped=stopped)

    # What the server says.

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._is_closed:
                raise StopAsyncIteration
            if self._end is not None:
                raise self._end
            self._news.clear()
            if self._is_behind and self._socket is not None:
                # Room again: fetch what was left with the server.
                await self._socket.close()
            await self._news.wait()
        event = self._events.popleft()
        self.cursor, self.log = _place(event, self.cursor, self.log)
        return event

    # Staying.

    async def _stay(self) -> None:
        try:
            self._finish(await self._come_back())
        except Exception as bug:  # noqa: BLE001 - whoever iterates gets it
            self._finish(bug)

    async def _come_back(self) -> ClientError:
        """Connect again and again; why not once more."""
        attempt = 0
        while True:
            began = None
            try:
                async with self._connect(since=self._since, log=self._log) as socket:
                    began = self._timing.clock()
                    await self._serve(socket)
                error: ClientError = ConnectionLost(1006, "this side gave it up")
            except ClientError as lost:
                error = lost
            if began is not None and self._timing.clock() - began >= LASTING_SECONDS:
                attempt = 0
            if not self._outbox.lost(error) and not may_return(error):
                return error
            seconds = pause(attempt, error, self._timing.chance())
            self._tell_offline({"type": "offline", "error": error, "seconds": seconds})
            await self._timing.sleep(seconds)
            attempt += 1

    async def _serve(self, socket: Socket) -> None:
        """Until the connection is lost. Raises ConnectionLost."""
        self._socket = socket
        self._is_behind = False
        sender = asyncio.create_task(self._send_all(socket))
        try:
            is_first = self._since is None
            self._put(socket.hello)
            if is_first:
                hello = socket.hello
                self._put({"type": "resync", "event_id": hello["event_id"], "log": hello["log"]})
            async for frame in socket:
                self._put(frame)
        finally:
            self._socket = None
            sender.cancel()
            await asyncio.wait([sender])

    async def _send_all(self, socket: Socket) -> None:
        with contextlib.suppress(ConnectionLost):
            for conversation_id, message_id in list(self._reads.items()):
                await socket.read(conversation_id, message_id)
            await self._outbox.flush(socket)

    def _put(self, event: ServerFrame) -> None:
        if event["type"] == "message_sent" and "event_id" not in event:
            return  # It is no event: its message has come already, or comes in its place.
        if self._is_behind or len(self._events) >= MAX_WAITING:
            self._is_behind = True
            return
        self._since, self._log = _place(event, self._since, self._log)
        self._events.append(event)
        self._news.set()

    def _tell_offline(self, event: Offline) -> None:
        if self._events and self._events[-1]["type"] == "offline":
            self._events.pop()
        self._events.append(event)
        self._news.set()

    def _finish(self, error: Exception) -> None:
        if isinstance(error, ConnectionLost) and error.code == _SESSION_ENDED:
            error = LoggedOut("The session has ended: log in again.")
        self._end = self._end or error
        self._outbox.fail(self._end)
        self._news.set()


def _place(event: Event, cursor: int | None, log: str | None) -> tuple[int | None, str | None]:
    """Cursor and log after an event (docs/protocol.md section 6, Order). `hello` moves only what was nowhere."""
    if event["type"] == "hello":
        return (event["event_id"], event["log"]) if cursor is None else (cursor, log or event["log"])
    if event["type"] == "resync":
        return event["event_id"], event["log"]
    moved = event.get("event_id", cursor)
    assert moved is None or isinstance(moved, int)
    return moved, log
