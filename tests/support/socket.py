"""A WebSocket client for our own tests: it reads all the time, records every frame in its order, and checks what
must hold for every socket, whatever the test is about.
"""

import asyncio
import json
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support import described, secrets
from tests.support.rest import Person

TIMEOUT = 20.0
EVENTS = frozenset(
    {
        "message_sent",
        "new_message",
        "conversation_created",
        "conversation_updated",
        "conversation_removed",
        "user_updated",
    }
)
"""The frames that may carry an `event_id` (docs/protocol.md section 6)."""

Frame = dict[str, Any]


class Socket:
    """One connection, after its `hello`. Made by `open_socket`, or by the fixture `connect`, which closes it too.

    A broken promise of the protocol (a frame that is not as `/asyncapi.json` describes it, an `event_id` that goes back
    or comes twice) fails the next call, and the closing.
    """

    def __init__(
        self, connection: ClientConnection, since: int | None = None, said: set[str] | None = None
    ) -> None:
        self.connection = connection
        self._secrets: set[str] = set() if said is None else said
        self.received: list[Frame] = []
        """Every frame so far, in order, `hello` among them."""
        self._unread: list[Frame] = []
        self._sent: dict[str, Frame] = {}
        self._cursor = since
        self._broken: str | None = None
        self._ended = False
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @property
    def hello(self) -> Frame:
        """The first frame."""
        return self.received[0]

    async def send(self, frame: Frame) -> None:
        """Send a frame as JSON text."""
        secrets.note(frame, self._secrets)
        if isinstance(frame.get("temp_id"), str):
            self._sent[frame["temp_id"]] = frame
        await self.connection.send(json.dumps(frame, ensure_ascii=False))

    async def send_message(self, conversation_id: int, text: str, **more: Any) -> str:
        """Send a message without waiting for its ACK; its `temp_id`."""
        temp_id: str = more.setdefault("temp_id", str(uuid.uuid4()))
        frame = {"type": "send_message", "conversation_id": conversation_id, "text": text, "attachments": []}
        await self.send({**frame, **more})
        return temp_id

    async def say(self, conversation_id: int, text: str, **more: Any) -> Frame:
        """Send a message and wait for its ACK; the message."""
        temp_id = await self.send_message(conversation_id, text, **more)
        ack = await self.next("message_sent", where=lambda frame: frame["temp_id"] == temp_id)
        message: Frame = ack["message"]
        return message

    async def next(
        self, type: str | None = None, timeout: float = TIMEOUT, where: Callable[[Frame], bool] | None = None
    ) -> Frame:
        """The first frame not yet taken, of this type if one is named, that `where` accepts; waits for it.

        The frames it passes over stay there for a later call.
        """
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self._check()
                    for place, frame in enumerate(self._unread):
                        if (type is None or frame["type"] == type) and (where is None or where(frame)):
                            return self._unread.pop(place)
                    assert not self._ended, (
                        f"closed ({self.close_code}) before {type or 'a frame'} came; {self._tail()}"
                    )
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {type or 'frame'} within {timeout:g} s; {self._tail()}") from None

    def take(self, type: str | None = None) -> list[Frame]:
        """All frames not yet taken that have arrived, of this type if one is named; does not wait."""
        self._check()
        taken = [frame for frame in self._unread if type is None or frame["type"] == type]
        self._unread = [frame for frame in self._unread if type is not None and frame["type"] != type]
        return taken

    async def expect_nothing(self, seconds: float, type: str | None = None) -> None:
        """Fail if a frame (of this type, if one is named) waits or arrives meanwhile, or the socket closes."""
        try:
            async with asyncio.timeout(seconds):
                frame = await self.next(type, timeout=seconds + TIMEOUT)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected {frame}")

    async def settle(self) -> None:
        """Wait until all that the server had written before now has arrived: it answers pings in order."""
        async with asyncio.timeout(TIMEOUT):
            await (await self.connection.ping())
        # The frames before the pong are parsed by now, but the reading task may not have run yet.
        await asyncio.sleep(0)
        self._check()

    async def closed(self, timeout: float = TIMEOUT) -> int | None:
        """Wait until the server closes the connection; the close code."""
        done, _ = await asyncio.wait([self._reader], timeout=timeout)
        assert done, f"not closed within {timeout:g} s; {self._tail()}"
        return self.close_code

    @property
    def close_code(self) -> int | None:
        """The close code; None while it is open."""
        return self.connection.close_code

    async def close(self) -> None:
        """Close the connection, and fail if the server broke a promise on it."""
        await self.connection.close()
        await self._reader
        self._check()

    def abort(self) -> None:
        """Break the connection off without a closing handshake."""
        self.connection.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _read(self) -> None:
        # A task of its own: a client that doesn't read doesn't answer pings either.
        try:
            while True:
                self._take_in(await self.connection.recv())
        except ConnectionClosed:
            pass
        finally:
            self._ended = True
            self._news.set()

    def _take_in(self, data: str | bytes) -> None:
        self._news.set()
        try:
            assert isinstance(data, str), "a binary frame"
            frame = json.loads(data)
            assert isinstance(frame, dict), "a frame that is no JSON object"
            assert isinstance(frame.get("type"), str), "a frame without a type"
            self._follow(frame)
        except (AssertionError, ValueError) as error:
            self._broken = self._broken or f"{error}: {data!r}"
        else:
            self.received.append(frame)
            self._unread.append(frame)

    def _follow(self, frame: Frame) -> None:
        """Hold the frame against what every socket was promised: `hello` first, each event once, in order."""
        assert bool(self.received) == (frame["type"] != "hello"), "`hello` is the first frame, and comes once"
        described.check_frame(frame)
        if frame["type"] == "message_sent" and frame["temp_id"] in self._sent:
            # What the server takes must be described as what it may be sent.
            described.check_frame(self._sent[frame["temp_id"]], "client")
        number = frame.get("event_id")
        if frame["type"] == "resync" or (frame["type"] == "hello" and self._cursor is None):
            self._cursor = number
        elif frame["type"] == "resumed":
            assert self._cursor is not None
            assert number is not None
            assert number >= self._cursor, f"resumed at {number}, which is before {self._cursor}"
            self._cursor = number
        elif frame["type"] in EVENTS and number is not None:
            assert self._cursor is not None
            assert number > self._cursor, f"event_id went from {self._cursor} to {number}"
            self._cursor = number

    def _check(self) -> None:
        assert self._broken is None, f"the server broke a promise: {self._broken}"

    def _tail(self) -> str:
        return "the last frames were " + json.dumps(self.received[-5:])


async def open_socket(
    person: Person, *, token: str | None = None, ws_url: str | None = None, **query: Any
) -> Socket:
    """Connect, and wait for `hello`. `token` for another than the person's own; `query` is added to the URL.

    `ws_url` is another way to the server than its own.

    Raises websockets' InvalidStatus where the handshake is refused.
    """
    url = (ws_url or person.server.ws_url) + "?" + urlencode({"token": token or person.token, **query})
    connection = await connect(
        url,
        open_timeout=TIMEOUT,
        close_timeout=5,
        max_size=None,
        max_queue=None,
        proxy=None,
        ssl=person.server.trust,
    )
    since = query.get("since")
    socket = Socket(connection, since=None if since is None else int(since), said=person.server.secrets)
    try:
        await socket.next("hello")
    except BaseException:
        await connection.close()
        await socket._reader
        raise
    return socket
