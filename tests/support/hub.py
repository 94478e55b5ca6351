"""A hub on a real port within the test's own process: real sockets and real SQLite, without the cost of passwords.

It is put together of the same parts as the server, on the event loop of the test, so that settings, the clock and
what reaches a transport are the test's to decide.
"""

import asyncio
import contextlib
import functools
import itertools
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from uvicorn import Config
from uvicorn.server import ServerState

from actions import conversations, members, messages, sessions
from actions.actor import Actor
from actions.links import Links
from actions.rates import Rates
from actions.rules import Rules
from actions.tickets import Tickets
from actions.tokens import Tokens
from beseda.http import protocol_class
from hub import Connection, Hub, Settings
from protocol.commands import AddMembers, CreateConversation, Draft, Rename
from protocol.events import Fact
from storage import Settings as StoreSettings
from storage import Store, Transaction, database, open_store, users
from storage import sessions as stored_sessions
from storage.store import wall_clock
from tests.support.raw import RawSocket
from tests.support.rest import Person
from tests.support.server import ServerProcess
from tests.support.socket import Socket, open_socket

P = ParamSpec("P")
T = TypeVar("T")

DAY = 86_400_000

SETTINGS = Settings(
    origins=(),
    public_url="",
    trusted_proxies=("127.0.0.1",),
    sockets=0,
    sockets_per_user=20,
    frame_bytes=65536,
    backlog_bytes=1024 * 1024,
    total_backlog_bytes=256 * 1024 * 1024,
    live_members=256,
    linger_seconds=0.05,
    receipt_seconds=0.05,
    ping_seconds=600.0,
)
"""The defaults, save for waits that no test wants to sit through, and pings that would come between."""


class House:
    """A hub, the store behind it, and people who live there."""

    def __init__(self, folder: Path, store: Store, hub: Hub, rules: Rules) -> None:
        self.store = store
        self.hub = hub
        self.rules = rules
        # Never started: it only lends its address to the clients that the other tests use too.
        self.server = ServerProcess(folder / "server")
        self.state = ServerState()
        self.stack = contextlib.AsyncExitStack()
        self.commits: list[list[Fact]] = []
        """What the store has told, commit by commit: a test sees that one commit was one."""
        self._numbers = itertools.count(1)
        store.publish = self._publish

    def _publish(self, facts: Sequence[Fact]) -> None:
        if facts:
            self.commits.append(list(facts))
        self.hub.publish(facts)

    # People, and what they do elsewhere: over REST, as far as the hub can tell.

    async def person(self, name: str = "ann") -> Person:
        """Someone new, logged in."""
        username = f"{name}.{next(self._numbers)}"

        def unit(tx: Transaction) -> int:
            return users.insert(
                tx,
                username=username,
                username_key=username,
                email=f"{username}@example.org",
                email_key=f"{username}@example.org",
                password="",
                is_admin=False,
            )

        user_id = await self.store.write(unit)
        return await self.login(Person(self.server, user_id, username, f"{username}@example.org", "", "", ""))

    async def people(self, *names: str) -> list[Person]:
        """Some new people, in this order."""
        return [await self.person(name) for name in names]

    async def login(self, person: Person, milliseconds: int = DAY) -> Person:
        """The same person in a new session, which ends after so long."""

        def unit(tx: Transaction) -> int:
            return stored_sessions.insert(
                tx,
                user_id=person.id,
                refresh_id="",
                expires_at=tx.now + milliseconds,
                address="",
                user_agent="",
            )

        session_id = await self.store.write(unit)
        return replace(person, token=self.rules.tokens.issue_access(person.id, session_id))

    def actor(self, person: Person) -> Actor:
        """The person in its session, acting over REST."""
        claims = self.rules.tokens.read(person.token, "access")
        return Actor(claims.user_id, claims.session_id)

    async def act(
        self,
        action: Callable[Concatenate[Transaction, Rules, Actor, P], T],
        person: Person,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run an action in the person's name, and wait until it is told."""
        actor = self.actor(person)
        return await self.store.write(lambda tx: action(tx, self.rules, actor, *args, **kwargs))

    async def dialog(self, one: Person, other: Person) -> int:
        """The dialog of two, by its id."""
        command = CreateConversation(type="dialog", members=[other.id])
        return (await self.act(conversations.create, one, command))[0]["id"]

    async def group(self, owner: Person, *others: Person, title: str | None = "Team") -> int:
        """A new group, by its id."""
        command = CreateConversation(type="group", title=title, members=[other.id for other in others])
        return (await self.act(conversations.create, owner, command))[0]["id"]

    async def post(self, person: Person, conversation_id: int, text: str, temp_id: str | None = None) -> int:
        """A message sent over REST, by its id."""
        message, _ = await self.act(
            messages.send, person, conversation_id, Draft(text=text), temp_id, read=False
        )
        return message["id"]

    async def add(self, owner: Person, conversation_id: int, *new: Person) -> None:
        """Add members to a group."""
        await self.act(members.add, owner, conversation_id, AddMembers(members=[person.id for person in new]))

    async def remove(self, owner: Person, conversation_id: int, member: Person) -> None:
        """Take a member out of a group."""
        actor = self.actor(owner)
        await self.store.write(lambda tx: members.remove(tx, actor, conversation_id, member.id))

    async def rename(self, owner: Person, conversation_id: int, title: str) -> None:
        """Give a group another title."""
        await self.act(conversations.rename, owner, conversation_id, Rename(title=title))

    async def logout(self, person: Person) -> None:
        """End the person's session."""
        actor = self.actor(person)
        await self.store.write(lambda tx: sessions.logout(tx, actor))

    async def together(self, *units: Coroutine[Any, Any, object]) -> None:
        """Do these so that one commit brings them all."""
        before = len(self.commits)
        await asyncio.gather(*units)
        assert len(self.commits) == before + 1, "they were not one commit"

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Nothing is committed within the block; all that was submitted in it is one commit after it."""
        going, release = threading.Event(), threading.Event()

        def unit(tx: Transaction) -> None:
            going.set()
            assert release.wait(20), "held for too long"

        holding = asyncio.ensure_future(self.store.write(unit))
        await self.until(going.is_set, "the holding of the store")
        try:
            yield
        finally:
            release.set()
            await holding

    # Their sockets.

    async def connect(self, person: Person, **query: Any) -> Socket:
        """A well-behaved client, past its `hello`; it is closed after the test."""
        return await self.stack.enter_async_context(await open_socket(person, **query))

    async def dial(self, **how: Any) -> RawSocket:
        """A TCP connection that has said nothing yet; it is closed after the test."""
        return self.stack.enter_context(await RawSocket.open(self.server.ws_url, **how))

    async def raw(self, person: Person, **how: Any) -> RawSocket:
        """A client made of bytes, past its `hello`; it is closed after the test."""
        client = await self.dial(**how)
        answer = await client.upgrade(f"/ws?token={person.token}")
        assert answer.status == 101, answer
        assert (await client.text())["type"] == "hello"
        return client

    def connection(self, person: Person, place: int = -1) -> Connection:
        """The server's side of a person's socket: the newest."""
        return self.hub._registry.peers[person.id].connections[place]

    def writes(self, person: Person) -> list[bytes]:
        """All that is written to a person's newest socket from now on, write by write."""
        return record_writes(self.connection(person))

    async def until(self, condition: Callable[[], object], what: str = "it") -> None:
        """Wait until something is so that no frame tells of."""
        deadline = self.hub.timers.time() + 20
        while not condition():
            assert self.hub.timers.time() < deadline, f"{what} did not come true"
            await asyncio.sleep(0.005)

    async def gone(self, *people: Person) -> None:
        """Wait until these people are offline."""
        await self.until(
            lambda: not any(self.hub.online(person.id) for person in people), "their going offline"
        )


@contextlib.asynccontextmanager
async def open_house(folder: Path, **settings: Any) -> AsyncIterator[House]:
    """A running house. `settings` are the hub's; `clock` (milliseconds) is the store's, too; `s3` the bucket,
    `rates` what users may do, without limit by default."""
    clock: Callable[[], int] = settings.pop("clock", wall_clock)
    group_members = settings.pop("group_members", 1000)
    resume_events = settings.pop("resume_events", 5000)
    s3 = settings.pop("s3", None)
    rates = settings.pop("rates", None) or Rates()
    hub_settings = replace(SETTINGS, **settings)
    rules = Rules(
        registration="open",
        message_chars=10_000,
        group_members=group_members,
        live_members=hub_settings.live_members,
        resume_events=resume_events,
        refresh_seconds=30 * 86400,
        tokens=Tokens(b"k" * 32, 900, 30 * 86400, clock),
        tickets=Tickets(lambda: clock() / 1000),
        links=Links(b"l" * 32, "", 3600, clock),
        rates=rates,
    )
    _make_database(folder / "data")
    async with open_store(StoreSettings(folder / "data", "off"), clock) as store:
        hub = Hub(store, rules, hub_settings, clock, s3)
        house = House(folder, store, hub, rules)
        async with _listening(house):
            try:
                async with house.stack:
                    yield house
            finally:
                hub.stop_reading()
                await store.idle()
                await hub.close_all()


@functools.cache
def _empty_database() -> bytes:
    """A database that nothing was written to, as a server would make it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / database.FILE_NAME
        database.connect(path, "off").close()
        return path.read_bytes()


def _make_database(folder: Path) -> None:
    """Copied, for making one takes longer than all else that a house needs."""
    folder.mkdir(parents=True)
    (folder / database.FILE_NAME).write_bytes(_empty_database())


@contextlib.asynccontextmanager
async def _listening(house: House) -> AsyncIterator[None]:
    http = protocol_class(32 * 1024)
    config = Config(_no_app, ws=Connection, http=http, access_log=False, log_config=None)
    config.load()
    factory = partial(http, config, house.state, {"hub": house.hub})
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    address: tuple[str, int] = server.sockets[0].getsockname()
    house.server.base_url = f"http://127.0.0.1:{address[1]}"
    house.server.ws_url = f"ws://127.0.0.1:{address[1]}/ws"
    try:
        yield
    finally:
        server.close()


async def _no_app(scope: Any, receive: Any, send: Any) -> None:
    """In place of REST: there is nothing anywhere."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class _Recording:
    """A transport that keeps what is written."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.written: list[bytes] = []
        self._transport = transport

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def record_writes(connection: Connection) -> list[bytes]:
    """All that is written to a connection from now on, write by write."""
    recording = _Recording(connection._transport)
    connection._transport = cast(asyncio.Transport, recording)
    return recording.written
