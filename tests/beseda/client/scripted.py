"""A connection that stays, over sockets that do what a test says, with a clock and a chance of the test's own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Self

from beseda.client import ClientError, ConnectionLost, Live, Timing
from beseda.client.live import Event

Frame = dict[str, Any]
Answer = Callable[[Frame], Any]


class ScriptedSocket:
    """Tells `frames`, then breaks with `end` (None: it stays open). `answer` is given what is sent."""

    def __init__(self, frames: Sequence[Frame], end: ClientError | None, answer: Answer) -> None:
        self.hello = {"type": "hello", "user_id": 1, "event_id": 100, "log": "L"}
        self.sent: list[Frame] = []
        self._frames = list(frames)
        self._end = end
        self._answer = answer
        self._closed = asyncio.Event()

    async def send(self, conversation_id: int, text: str, attachments: Sequence[int], **more: Any) -> Any:
        frame = {"text": text, **more}
        self.sent.append(frame)
        answer = self._answer(frame)
        if isinstance(answer, ClientError):
            raise answer
        if answer is None:
            await self._closed.wait()
            raise ConnectionLost(1006)
        return answer

    async def read(self, conversation_id: int, message_id: int) -> None:
        self.sent.append({"read": (conversation_id, message_id)})

    async def close(self) -> None:
        self._closed.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._frames:
            return self._frames.pop(0)
        if self._end is None:
            await self._closed.wait()
            raise StopAsyncIteration
        for _ in range(10):  # What was sent is on its way.
            await asyncio.sleep(0)
        raise self._end


class Script:
    """What happens at each attempt to connect: an error, or frames and how they end. After that: LoggedOut."""

    def __init__(self, *attempts: ClientError | tuple[Sequence[Frame], ClientError | None]) -> None:
        self.answer: Answer = lambda frame: {"id": 1, "text": frame["text"]}
        self.now = 0.0
        self.lasts = 0.0
        """So many seconds each connection lasts."""
        self.asked: list[tuple[int | None, str | None]] = []
        """`since` and `log` of each attempt."""
        self.slept: list[float] = []
        self.sockets: list[ScriptedSocket] = []
        self._attempts = list(attempts)

    def live(self, since: int | None = None, log: str | None = None, max_outbox: int = 10) -> Live:
        """The connection that stays."""
        timing = Timing(clock=lambda: self.now, sleep=self._sleep, chance=lambda: 1.0)
        return Live(self._connect, since, log, max_outbox, timing)  # type: ignore[arg-type]

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    @contextlib.asynccontextmanager
    async def _connect(self, *, since: int | None, log: str | None) -> AsyncIterator[ScriptedSocket]:
        self.asked.append((since, log))
        attempt = self._attempts.pop(0) if self._attempts else ConnectionLost(4501)
        if isinstance(attempt, ClientError):
            raise attempt
        socket = ScriptedSocket(*attempt, self.answer)
        self.sockets.append(socket)
        try:
            yield socket
        finally:
            self.now += self.lasts
            await socket.close()


def new(number: int) -> Frame:
    """The event of a message."""
    return {"type": "new_message", "event_id": number, "conversation_id": 7, "message": {"id": number}}


def kinds(events: Sequence[Event]) -> list[str]:
    return [event["type"] for event in events]
