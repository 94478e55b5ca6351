"""A client's WebSocket: events in their order, and messages that are sent once they are acknowledged."""

import asyncio
import ssl
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast
from urllib.parse import urlencode

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from beseda.client.errors import (
    ClientError,
    ConnectionLost,
    LoggedOut,
    Rejected,
    Unreachable,
    problem,
    unreachable,
)
from protocol.entities import Message
from protocol.frames import Error, Hello, ServerFrame

MAX_WAITING = 10_000
"""Frames that may wait to be iterated over. The connection is closed beyond that: memory is no place for a backlog."""

MAX_FRAME_BYTES = 16 * 1024 * 1024
ANSWER_SECONDS = 20.0


async def open_socket(
    url: str,
    access: str,
    verify: ssl.SSLContext,
    timeout: float,
    *,
    since: int | None = None,
    log: str | None = None,
) -> "Socket":
    """Connect to the server at `url`, with an access token, and go on after the event `since` of `log`.

    Raises LoggedOut, Rejected, Unreachable or ConnectionLost. The token goes in a header: URLs end up in logs.
    """
    target = "ws" + url.removeprefix("http") + "/ws"
    if since is not None:
        target += "?" + urlencode({"since": since} | ({"log": log} if log else {}))
    try:
        connection = await connect(
            target,
            additional_headers={"Authorization": f"Bearer {access}"},
            compression=None,
            open_timeout=timeout,
            max_size=MAX_FRAME_BYTES,
            ssl=verify if target.startswith("wss:") else None,
        )
    except InvalidStatus as error:
        raise _not_upgraded(error) from None
    except (InvalidHandshake, InvalidURI, OSError, EOFError) as error:
        raise unreachable(url, error) from error
    try:
        async with asyncio.timeout(timeout):
            hello = orjson.loads(await connection.recv())
    except ConnectionClosed as error:
        if error.rcvd is not None:
            raise ConnectionLost(error.rcvd.code, error.rcvd.reason) from None
        raise unreachable(url, error) from error
    except (TimeoutError, orjson.JSONDecodeError) as error:
        await connection.close()
        raise unreachable(url, error) from error
    if not isinstance(hello, dict) or hello.get("type") != "hello":
        await connection.close()
        raise Unreachable(f"{url} takes sockets, but does not greet as a Beseda server does.")
    return Socket(connection, cast(Hello, hello))


class Socket:
    """An open socket: iterate over it for every frame from the server, `message_sent` among them, in their order.

    The iteration raises ConnectionLost at its end, unless `close` was called. Reading goes on behind it all the
    time, so `send` may be awaited from within the loop. Made by `Client.connect`.
    """

    def __init__(self, connection: ClientConnection, hello: Hello) -> None:
        self.hello = hello
        """The first frame: `user_id`, `event_id`, `log`."""
        self._connection = connection
        self._frames: deque[ServerFrame] = deque()
        self._news = asyncio.Event()
        self._answers: dict[str, asyncio.Future[Message]] = {}
        self._lost: ConnectionLost | None = None
        self._is_closed = False
        self._reader = asyncio.create_task(self._read())

    async def send(
        self,
        conversation_id: int,
        text: str,
        attachments: Sequence[int] = (),
        *,
        temp_id: str | None = None,
        read: bool = True,
    ) -> Message:
        """Send a message and wait for the ACK: the message as it is stored for good.

        Raises Rejected; or ConnectionLost, after which nobody knows: send it again under the same `temp_id`, on any
        connection, and it is stored once.
        """
        temp_id = temp_id or str(uuid.uuid4())
        if temp_id in self._answers:
            raise ValueError(f"temp_id {temp_id!r} is under way already")
        answer = self._answers[temp_id] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(seen)
        frame: dict[str, Any] = {
            "type": "send_message",
            "temp_id": temp_id,
            "conversation_id": conversation_id,
            "text": text,
            "attachments": list(attachments),
        }
        if not read:
            frame["read"] = False
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.tell(frame)
                message: Message = await answer
                return message
        except TimeoutError:
            raise ConnectionLost(1006, "the server did not acknowledge in time") from None
        finally:
            del self._answers[temp_id]

    async def read(self, conversation_id: int, message_id: int) -> None:
        """All up to this message is read."""
        await self.tell({"type": "read", "conversation_id": conversation_id, "message_id": message_id})

    async def typing(self, conversation_id: int, *, stopped: bool = False) -> None:
        """The user types; repeat it every few seconds. Or has stopped."""
        kind = "typing_stop" if stopped else "typing_start"
        await self.tell({"type": kind, "conversation_id": conversation_id})

    async def tell(self, frame: Mapping[str, Any]) -> None:
        """Send any frame. Raises ConnectionLost."""
        if self._lost is not None:
            raise self._lost
        try:
            await self._connection.send(orjson.dumps(frame).decode())
        except ConnectionClosed:
            await asyncio.wait([self._reader])  # It has seen why.
            assert self._lost is not None
            raise self._lost from None

    async def close(self) -> None:
        """Close it, and end the iteration. What still waits for an answer fails with ConnectionLost."""
        self._is_closed = True
        await self._connection.close()
        await asyncio.wait([self._reader])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerFrame:
        """The next frame. Raises ConnectionLost when there will be no more."""
        while not self._frames:
            if self._is_closed:
                raise StopAsyncIteration
            if self._lost is not None:
                raise self._lost
            self._news.clear()
            await self._news.wait()
        return self._frames.popleft()

    async def _read(self) -> None:
        try:
            async for data in self._connection:
                self._take_in(orjson.loads(data))
                if len(self._frames) > MAX_WAITING:
                    self._lost = ConnectionLost(
                        1000, f"{MAX_WAITING} frames wait unread; iterate over the socket"
                    )
                    await self._connection.close()
        except (ConnectionClosed, orjson.JSONDecodeError):
            pass
        finally:
            code, reason = self._connection.close_code, self._connection.close_reason
            lost = self._lost = self._lost or ConnectionLost(code or 1006, reason or "")
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(lost)
            self._news.set()

    def _take_in(self, frame: ServerFrame) -> None:
        if frame["type"] == "message_sent" or frame["type"] == "error":
            answer = self._answers.get(frame.get("temp_id", ""))
            if answer is not None and not answer.done():
                if frame["type"] == "message_sent":
                    answer.set_result(frame["message"])
                else:
                    answer.set_exception(refusal(frame))
        self._frames.append(frame)
        self._news.set()


def refusal(frame: Error) -> ClientError:
    """What a frame of type `error` says."""
    return Rejected(frame["code"], frame["message"], retry_after=frame.get("retry_after"))


def seen(answer: "asyncio.Future[Message]") -> None:
    """Who waited may be gone: asyncio would complain of an error that nobody looked at."""
    if not answer.cancelled():
        answer.exception()


def _not_upgraded(error: InvalidStatus) -> ClientError:
    response = error.response
    if response.status_code == 401:
        return LoggedOut()
    return problem(response.status_code, bytes(response.body or b""), response.headers.get("Retry-After"))
