"""A person with one client that comes back, however it was cut off, and sends again what was not acknowledged."""

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import AsyncIterator
from typing import Any

from bench.reliability.follower import Follower, Message, message
from bench.rest import Rest
from bench.wire import Frame, Rejected, Wire, connect

PAGE = 200
GIVE_UP_SECONDS = 20.0
"""So long a client waits for the end of its replay before it comes back anew."""


class Person:
    """Its log, its outbox and its socket. `port` is the server's, or a proxy's."""

    def __init__(self, user_id: int, token: str, port: int, rest_port: int, chance: random.Random) -> None:
        self.user_id = user_id
        self.log = Follower(f"user {user_id}")
        self.counts: Counter[str] = Counter()
        self.wire: Wire | None = None
        self.is_away = False
        self.outbox: dict[str, Frame] = {}
        """What is not acknowledged, by `temp_id`, in its order."""
        self.acked: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.refused: set[str] = set()
        self._token = token
        self._port = port
        self._rest = Rest(rest_port, token)
        self._chance = chance
        self._log_name: str | None = None
        self._is_caught_up = False
        self._sends_early = chance.random() < 0.5
        self._waiting: deque[Frame] | None = None
        """Frames that came while it loads over REST."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_live(self) -> bool:
        """Whether it has all up to now."""
        return self._is_caught_up and self.wire is not None and self.wire.is_open

    def say(self, text: str) -> None:
        """Send into a conversation that it is in, now or once it is back."""
        if not self.log.held:
            return
        conversation_id = self._chance.choice(sorted(self.log.held))
        temp_id = f"{self.user_id}-{len(self.texts)}"
        self.texts[temp_id] = text
        self.outbox[temp_id] = {
            "type": "send_message",
            "temp_id": temp_id,
            "conversation_id": conversation_id,
            "text": text,
            "attachments": [],
        }
        if self.wire is not None and self.wire.is_open and (self._sends_early or self._is_caught_up):
            self.wire.send(self.outbox[temp_id])

    async def stay(self) -> None:
        """Connect, and come back whenever the connection is lost. Ends by being cancelled."""
        try:
            while True:
                if not self.is_away:
                    await self._live()
                await asyncio.sleep(self._chance.uniform(0.02, 0.5))
        finally:
            self._rest.close()
            if self.wire is not None:
                self.wire.abort()

    async def _live(self) -> None:
        self._is_caught_up = False
        self._waiting = None
        query: dict[str, str | int] = {"since": self.log.cursor}
        if self._log_name is not None:
            query["log"] = self._log_name if self._chance.random() < 0.9 else "another"
        # Frames may come with the hello, before anyone holds the wire.
        early: list[Frame] = []
        take = early.append

        def on_frame(frame: Frame) -> None:
            take(frame)

        try:
            wire = await connect(self._port, self._token, on_frame, query)
        except (OSError, Rejected, TimeoutError):
            self.counts["refused connections"] += 1
            return
        self.wire = wire
        self.counts["connections"] += 1
        take = self._take
        for frame in early:
            self._take(frame)
        if self._sends_early:
            self._send_again()
        try:
            await asyncio.wait([wire.closed], timeout=GIVE_UP_SECONDS)
            if not self._is_caught_up:
                wire.abort()
            code = await wire.closed
            self.counts[f"closed with {code}"] += 1
        finally:
            for task in self._tasks:
                task.cancel()
            wire.abort()

    def _take(self, frame: Frame) -> None:
        kind = frame["type"]
        self.counts[kind] += 1
        if kind == "hello":
            self._log_name = frame["log"]
        elif kind == "resync":
            self._waiting = deque()
            task = asyncio.get_running_loop().create_task(self._load(frame["event_id"]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif self._waiting is not None:
            self._waiting.append(frame)
        else:
            self._apply(frame)

    def _apply(self, frame: Frame) -> None:
        kind = frame["type"]
        self.log.take(frame)
        if kind == "resumed":
            self._caught_up()
        elif kind == "message_sent":
            self._acknowledged(frame["temp_id"], frame["message"]["id"])
        elif kind == "new_message" and "temp_id" in frame["message"]:
            self._acknowledged(frame["message"]["temp_id"], frame["message"]["id"])
        elif kind == "error":
            self._refused(frame)

    def _acknowledged(self, temp_id: str, message_id: int) -> None:
        self.outbox.pop(temp_id, None)
        if self.acked.setdefault(temp_id, message_id) != message_id:
            self.log.faults.append(f"{temp_id} was acknowledged as {self.acked[temp_id]} and as {message_id}")

    def _refused(self, frame: Frame) -> None:
        code, temp_id = frame["code"], frame.get("temp_id")
        if code == "not_found" and temp_id is not None:
            self.outbox.pop(temp_id, None)  # it was removed meanwhile
            self.refused.add(temp_id)
        elif code in ("rate_limited", "unavailable") and temp_id is not None:
            self.counts[code] += 1
            asyncio.get_running_loop().call_later(frame.get("retry_after", 1), self._send_once_more, temp_id)
        else:
            self.log.faults.append(f"user {self.user_id} got {frame}")

    def _send_once_more(self, temp_id: str) -> None:
        if self.wire is not None and self.wire.is_open and temp_id in self.outbox:
            self.wire.send(self.outbox[temp_id])

    def _send_again(self) -> None:
        for temp_id in list(self.outbox):
            self.counts["sent again"] += 1
            self._send_once_more(temp_id)

    def _caught_up(self) -> None:
        self._is_caught_up = True
        if not self._sends_early:
            self._send_again()

    async def _load(self, up_to: int) -> None:
        """Load what has an event above the cursor; only then the cursor moves, and what came meanwhile counts."""
        wire = self.wire
        try:
            loaded = await self._loaded()
        except (OSError, EOFError, TimeoutError, ValueError):
            if wire is not None:
                wire.abort()
            return
        self.log.load(up_to, loaded)
        waiting, self._waiting = self._waiting or deque(), None
        self._caught_up()
        for frame in waiting:
            self._apply(frame)

    async def _loaded(self) -> dict[int, list[Message]]:
        loaded: dict[int, list[Message]] = {}
        for conversation in await self._get(f"/chats?limit={PAGE}"):
            conversation_id = conversation["id"]
            after = self.log.cursor if conversation_id in self.log.held else 0
            loaded[conversation_id] = []
            while conversation["event_id"] > self.log.cursor:
                page = await self._get(f"/chats/{conversation_id}/messages?limit={PAGE}&after_id={after}")
                loaded[conversation_id] += [message(found) for found in page]
                if len(page) < PAGE:
                    break
                after = page[0]["id"]
        return loaded

    async def _get(self, path: str) -> Any:
        answer = await self._rest.call("GET", path)
        while answer.status in (429, 503):
            await asyncio.sleep(int(answer.headers["retry-after"]))
            answer = await self._rest.call("GET", path)
        if answer.status == 404:
            return []  # removed between the list and this: the socket tells
        if answer.status != 200:
            raise ValueError(f"{path} answered {answer.status}")
        return answer.json()


async def misbehave(person: Person, mean_seconds: float, chance: random.Random) -> None:
    """Drop the person's connection again and again, each time in another way."""
    while True:
        await asyncio.sleep(chance.expovariate(1 / mean_seconds))
        wire = person.wire
        if wire is None or not wire.is_open:
            continue
        how = chance.choice(["abort", "half-close", "stall", "stall and abort", "half a frame", "away"])
        person.counts[how] += 1
        match how:
            case "half-close":
                wire.half_close()
            case "stall" | "stall and abort":
                wire.transport.pause_reading()
                await asyncio.sleep(chance.uniform(0, mean_seconds))
                if how == "stall" and wire.is_open:
                    wire.transport.resume_reading()
                else:
                    wire.abort()
            case "half a frame":
                wire.write(b"\x81\xfe\x40\x00\0\0\0\0" + b'{"type":"send_message"')
                await asyncio.sleep(chance.uniform(0, 0.05))
                wire.abort()
            case "away":
                person.is_away = True
                wire.abort()
                await asyncio.sleep(chance.uniform(0, 3 * mean_seconds))
                person.is_away = False
            case _:
                wire.abort()


class Proxy:
    """Between clients and the server; it cuts each connection after some bytes, in the middle of whatever passes."""

    def __init__(self, server_port: int, chance: random.Random, most_bytes: int) -> None:
        self.cuts = 0
        self.port = 0
        self._server_port = server_port
        self._chance = chance
        self._most = most_bytes
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        """Listen until the end of the block."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1")
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop_cutting(self) -> None:
        """Let all new bytes pass from now on."""
        self._most = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Nobody awaits this task: what cancels it wants it gone without a word.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                server = await asyncio.open_connection("127.0.0.1", self._server_port)
            except OSError:
                writer.transport.abort()
                return
            room = [self._chance.randrange(500, self._most)] if self._most else None
            pipes = [
                asyncio.ensure_future(self._pipe(*ends, room))
                for ends in ((reader, server[1]), (server[0], writer))
            ]
            try:
                await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pipe in pipes:
                    pipe.cancel()
                writer.transport.abort()
                server[1].transport.abort()

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, room: list[int] | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if room is not None and self._most:
                    room[0] -= len(data)
                    if room[0] <= 0:
                        self.cuts += 1
                        writer.write(data[: room[0] - 1])
                        return
                writer.write(data)
                await writer.drain()
