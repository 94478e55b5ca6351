"""Clients that stay, at servers that die and connections that break."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable
from typing import Self

import pytest

from beseda.client import Client, Live, LoggedOut, Timing, Tokens
from beseda.client.live import Event
from tests.beseda.client.conftest import client_of
from tests.support.fixtures import StartServer
from tests.support.rest import Person, Rest, succeeded
from tests.support.server import ServerProcess

SECONDS = 60.0
SOON = Timing(sleep=lambda seconds: asyncio.sleep(0.05))


class Follower:
    """Iterates over a connection that stays, and keeps what it was told."""

    def __init__(self, staying: Live) -> None:
        self.live = staying
        self.events: list[Event] = []
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        try:
            async for event in self.live:
                self.events.append(event)
                self._news.set()
        finally:
            self._news.set()

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def messages(self) -> list[int]:
        """The ids of the messages, in the order in which they came."""
        return [
            event["message"]["id"]
            for event in self.events
            if event["type"] == "new_message" or event["type"] == "message_sent"
        ]

    async def has(self, message_id: int) -> None:
        """Wait until a message has come (bounded)."""
        await self._until(lambda: message_id in self.messages)

    async def told(self, kind: str, times: int = 1) -> None:
        """Wait until an event of this kind has come so many times (bounded)."""
        await self._until(lambda: self.kinds.count(kind) >= times)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not condition():
                assert not self.task.done(), f"it has ended: {self.task}"
                self._news.clear()
                await self._news.wait()


@contextlib.asynccontextmanager
async def following(client: Client, **where: object) -> AsyncIterator[Follower]:
    """A client that stays, and is iterated over."""
    async with client.live(timing=SOON, **where) as staying:  # type: ignore[arg-type]
        follower = Follower(staying)
        try:
            yield follower
        finally:
            follower.task.cancel()
            await asyncio.wait([follower.task])


class Proxy:
    """Between clients and a server. A connection breaks after `cut_after()` bytes from the server."""

    def __init__(self, server: ServerProcess) -> None:
        self._port = int(server.base_url.rpartition(":")[2])
        self._writers: list[asyncio.StreamWriter] = []
        self.cut_after: Callable[[], int] | None = None
        self.is_shut = False
        self.cuts = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Break all connections that there are."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_shut:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, back]
        left = self.cut_after() if self.cut_after else None
        await asyncio.gather(self._pass(reader, back, None), self._pass(there, writer, left))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if left is not None:
                    data, left = data[:left], left - len(data)
                writer.write(data)
                await writer.drain()
                if left is not None and left <= 0:
                    self.cuts += 1
                    break
        writer.close()


def at(proxy: Proxy, person: Person) -> Client:
    """The person's client, behind the proxy."""
    return Client(proxy.url, Tokens(person.token, person.refresh_token))


async def test_servers_that_die_and_restart_amid_traffic_lose_and_double_nothing(
    start_server: StartServer,
) -> None:
    server = start_server()
    server.port = int(server.base_url.rpartition(":")[2])
    async with contextlib.AsyncExitStack() as stack:
        rest = await stack.enter_async_context(Rest(server))
        ann, bob, bot = await rest.people("ann", "bob", "bot")
        team = await rest.group(ann, bob, bot)
        followers = {
            person: await stack.enter_async_context(
                following(await stack.enter_async_context(client_of(person)))
            )
            for person in (ann, bob, bot)
        }
        for follower in followers.values():
            await follower.told("resync")
        is_over = False
        sent: dict[str, int] = {}

        async def talk(person: Person) -> None:
            for number in itertools.count():
                if is_over:
                    return
                text = f"{person.id} {number}"
                sent[text] = (await followers[person].live.send(team, text))["id"]

        talking = [asyncio.create_task(talk(person)) for person in followers]
        for number, end in enumerate((server.kill, server.stop, server.kill), 1):
            so_far = len(sent)
            async with asyncio.timeout(SECONDS):
                while len(sent) < so_far + 30:
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(end)
            await asyncio.to_thread(server.start)
            for follower in followers.values():
                await follower.told("resumed", number)
        is_over = True
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*talking)
        history = await rest.whole_history(ann, team)
        for follower in followers.values():
            await follower.has(history[-1]["id"])

    assert {message["text"]: message["id"] for message in history} == sent
    assert len(history) == len(sent)
    for person, follower in followers.items():
        assert follower.messages == [message["id"] for message in history]
        own = [message["text"] for message in history if message["sender_id"] == person.id]
        assert own == [f"{person.id} {number}" for number in range(len(own))]
        assert follower.kinds.count("resync") == 1


async def test_connections_that_break_in_the_middle_of_a_frame_lose_and_double_nothing(
    server: ServerProcess, rest: Rest
) -> None:
    ann, bob = await rest.people("ann", "bob")
    dialog = await rest.dialog(ann, bob)
    chance = random.Random(7)
    async with Proxy(server) as proxy, at(proxy, ann) as client, following(client) as follower:
        await follower.told("resync")
        sent = []
        # The answer to the handshake has some 130 bytes, a message 300: it breaks anywhere.
        proxy.cut_after = lambda: chance.randrange(100, 3000)
        proxy.cut()
        for number in range(40):
            sent.append((await rest.send(bob, dialog, f"his {number}"))["id"])
            if number % 4 == 0:
                sent.append((await follower.live.send(dialog, f"hers {number}"))["id"])
        proxy.cut_after = None
        await follower.has(max(sent))
        history = [message["id"] for message in await rest.whole_history(ann, dialog)]
    assert follower.messages == history == sorted(sent)
    assert proxy.cuts > 5
    assert "resync" not in follower.kinds[2:]


async def test_who_missed_too_much_loads_what_is_missing_and_goes_on(start_server: StartServer) -> None:
    server = start_server({"limits.resume_events": 5})
    async with Rest(server) as rest:
        ann, bob = await rest.people("ann", "bob")
        dialog, other = await rest.dialog(ann, bob), await rest.group(bob, ann)
        await rest.send(bob, dialog, "before")
        async with Proxy(server) as proxy, at(proxy, ann) as client, following(client) as follower:
            await follower.told("resync")
            seen = await rest.send(bob, dialog, "live")
            await follower.has(seen["id"])
            proxy.is_shut = True
            proxy.cut()
            await follower.told("offline")
            missed = [
                (await rest.send(bob, to, f"missed {number}"))["id"]
                for number in range(4)
                for to in (dialog, other)
            ]
            proxy.is_shut = False
            await follower.told("resync", 2)
            resync = next(event for event in reversed(follower.events) if event["type"] == "resync")
            loaded = [message["id"] async for message in client.missed(seen["id"], until=resync["event_id"])]
            last = await rest.send(bob, dialog, "live again")
            await follower.has(last["id"])
    assert sorted(loaded) == missed
    assert loaded == [*missed[1::2], *missed[::2]]  # One conversation after the other.
    assert follower.messages == [seen["id"], last["id"]]


async def test_another_log_is_loaded_anew(server: ServerProcess, rest: Rest) -> None:
    ann = await rest.register()
    async with client_of(ann) as client:
        async with following(client, since=1, log="of before the backup") as follower:
            await follower.told("resync")
            resync = follower.events[-1]
        async with following(client, since=follower.live.cursor, log=follower.live.log) as again:
            await again.told("resumed")
    assert resync["type"] == "resync"
    assert (follower.live.cursor, follower.live.log) == (resync["event_id"], resync["log"])
    assert resync["log"] != "of before the backup"


async def test_a_session_that_ended_meanwhile_is_told_as_such(server: ServerProcess, rest: Rest) -> None:
    ann = await rest.register()
    async with Proxy(server) as proxy, at(proxy, ann) as client, following(client) as follower:
        await follower.told("resync")
        proxy.is_shut = True
        proxy.cut()
        await follower.told("offline")
        waiting = asyncio.create_task(follower.live.send(1, "never"))
        assert (await rest.post("/auth/logout", by=ann)).is_success
        proxy.is_shut = False
        with pytest.raises(LoggedOut):
            await asyncio.wait_for(follower.task, SECONDS)
        with pytest.raises(LoggedOut):
            await waiting


async def test_an_access_token_that_ran_out_meanwhile_is_no_obstacle(
    server: ServerProcess, rest: Rest
) -> None:
    ann = await rest.register()
    async with Proxy(server) as proxy, at(proxy, ann) as client, following(client) as follower:
        await follower.told("resync")
        assert client.tokens is not None
        client.tokens = Tokens("stale", client.tokens.refresh)
        proxy.cut()
        await follower.told("resumed")
        assert client.tokens.access != "stale"
        assert succeeded(await rest.get("/users/me", ann))["id"] == ann.id
