"""A real store in a folder, rules, and people in it: what the tests of `storage` and `actions` stand on.

People are written straight into the database, so none of these tests waits for a password's hash.
"""

import contextlib
import itertools
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from actions import conversations, messages
from actions.actor import Actor
from actions.links import Links
from actions.rules import Rules
from actions.tickets import Tickets
from actions.tokens import Tokens
from protocol.commands import CreateConversation, Draft
from protocol.entities import ConversationView, Message
from protocol.errors import Refused
from protocol.events import Fact, SessionEnded
from storage import Settings, Snapshot, Store, Transaction, open_store, sessions, users

T = TypeVar("T")

START = 1_790_000_000_000
"""When the tests' clock begins, in milliseconds since the epoch: some day of 2026."""

KEY = b"an HS256 key of thirty-two bytes"


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on, or back."""
        self.now += round(seconds * 1000)


def make_rules(clock: Clock) -> Rules:
    """The rules of a server with default settings."""
    return Rules(
        registration="open",
        message_chars=10_000,
        group_members=1000,
        live_members=256,
        resume_events=5000,
        refresh_seconds=30 * 86_400,
        tokens=Tokens(KEY, 900, 30 * 86_400, clock),
        tickets=Tickets(lambda: clock() / 1000),
        links=Links(KEY, "", 3600, clock),
    )


def settings(folder: Path, **changes: Any) -> Settings:
    """The store's settings as the server has them by default."""
    return replace(Settings(data_dir=folder, synchronous="full"), **changes)


def keep(number: int) -> Callable[[Transaction], int]:
    """A unit of work that stores `number`, tells of it, and returns it."""

    def unit(tx: Transaction) -> int:
        tx.execute("INSERT INTO departures (user_id, conversation_id, event_id) VALUES (?, 0, 0)", number)
        tx.tell(SessionEnded(number, 0))
        return number

    return unit


def kept(source: Snapshot | sqlite3.Connection) -> list[int]:
    """What `keep` has stored, in numerical order."""
    db = source if isinstance(source, sqlite3.Connection) else source.db
    return [
        number
        for (number,) in db.execute("SELECT user_id FROM departures WHERE conversation_id = 0 ORDER BY 1")
    ]


def told(facts: Sequence[Fact]) -> list[int]:
    """What `keep` has told, in the order in which it was told."""
    return [fact.session_id for fact in facts if isinstance(fact, SessionEnded)]


async def refusal(attempt: Awaitable[Any]) -> Refused:
    """The refusal that `attempt` must end with."""
    with pytest.raises(Refused) as caught:
        await attempt
    return caught.value


class House:
    """An open store with its rules, its clock, and all the facts that it has told."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.rules = make_rules(clock)
        self.facts: list[Fact] = []
        self._people, self._logins = itertools.count(1), itertools.count(1)
        store.publish = self.facts.extend

    def news(self) -> list[Fact]:
        """The facts told since this was last asked."""
        facts = self.facts[:]
        self.facts.clear()
        return facts

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """`store.read`."""
        return await self.store.read(query)

    async def write(self, unit: Callable[[Transaction], T]) -> T:
        """`store.write`."""
        return await self.store.write(unit)

    async def person(self, name: str | None = None, *, origin: object = None) -> Actor:
        """A new user with a session, as who acts."""
        username = name or f"person{next(self._people)}"

        def unit(tx: Transaction) -> Actor:
            user_id = users.insert(
                tx,
                username=username,
                username_key=username.casefold(),
                email=f"{username}@example.org",
                email_key=f"{username.casefold()}@example.org",
                password="no hash",
                is_admin=False,
            )
            return self._log_in(tx, user_id, origin)

        return await self.write(unit)

    async def people(self, count: int) -> list[Actor]:
        """New users, each with a session."""
        return [await self.person() for _ in range(count)]

    async def log_in(self, actor: Actor, *, origin: object = None) -> Actor:
        """The same user in a new session."""
        return await self.write(lambda tx: self._log_in(tx, actor.user_id, origin))

    async def dialog(self, actor: Actor, other: Actor) -> int:
        """The id of the dialog between the two."""
        command = CreateConversation(type="dialog", members=[other.user_id])
        return (await self.create(actor, command))["id"]

    async def group(self, owner: Actor, *others: Actor, title: str | None = "Team") -> int:
        """The id of a new group."""
        command = CreateConversation(type="group", title=title, members=[other.user_id for other in others])
        return (await self.create(owner, command))["id"]

    async def create(self, actor: Actor, command: CreateConversation) -> ConversationView:
        """`conversations.create`, without saying whether it was there already."""
        return (await self.write(lambda tx: conversations.create(tx, self.rules, actor, command)))[0]

    async def view(self, actor: Actor, conversation_id: int) -> ConversationView:
        """`conversations.get`."""
        return await self.read(
            lambda snapshot: conversations.get(snapshot, self.rules, actor, conversation_id)
        )

    async def send(
        self,
        actor: Actor,
        conversation_id: int,
        text: str = "hello",
        *,
        temp_id: str | None = None,
        attachments: list[int] | None = None,
        read: bool = True,
    ) -> Message:
        """`messages.send`, without saying whether it was there already."""
        draft = Draft(text=text, attachments=attachments or [])
        unit: Callable[[Transaction], tuple[Message, bool]] = lambda tx: messages.send(  # noqa: E731
            tx, self.rules, actor, conversation_id, draft, temp_id, read=read
        )
        return (await self.write(unit))[0]

    def _log_in(self, tx: Transaction, user_id: int, origin: object) -> Actor:
        session_id = sessions.insert(
            tx,
            user_id=user_id,
            refresh_id=f"jti{next(self._logins)}",
            expires_at=tx.now + self.rules.refresh_seconds * 1000,
            address="127.0.0.1",
            user_agent="tests",
        )
        return Actor(user_id, session_id, origin)


@contextlib.asynccontextmanager
async def open_house(folder: Path, clock: Clock | None = None, **changes: Any) -> AsyncIterator[House]:
    """A store in `folder`, open until the end; `changes` are to its settings."""
    clock = clock or Clock()
    async with open_store(settings(folder, **changes), clock) as store:
        yield House(store, clock)
