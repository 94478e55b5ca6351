"""Sockets that resume: what their user missed goes before the live traffic (docs/protocol.md section 6, Resuming).

However much that is, one page of it is in memory for each socket, and the next is read when the client has taken the
last. Live events wait in the log meanwhile. One page is read at a time, so that a thousand users who come back at once
take turns, and leave the other reader to REST.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast
from weakref import WeakValueDictionary

from actions import replay
from actions.actor import Actor
from actions.replay import Page
from actions.rules import Rules
from actions.sessions import acting
from hub import frames
from hub.counts import Counts
from hub.publisher import as_user
from hub.registry import Registry
from hub.replay import Replay
from hub.timers import Timers
from protocol import closing
from protocol.errors import Refused
from protocol.events import (
    Event,
    MessagePosted,
    ReceiptMoved,
    SocketCaughtUp,
    UnreadChanged,
    UserUpdated,
)
from protocol.tracing import Named, doer
from storage import Snapshot, Store

if TYPE_CHECKING:
    from hub.connection import Connection

T = TypeVar("T")

SLACK_MILLISECONDS = 2000
"""So much beyond their pace receipts are thought to be late at most."""

logger = logging.getLogger(__name__)


class _Gone(Exception):
    """The socket is open no more, and nobody waits for the replay."""


class Resuming:
    """The sockets whose replay is under way.

    They are open. Of what is live they hear who is online, and the answers to their own frames.
    """

    def __init__(
        self,
        store: Store,
        rules: Rules,
        registry: "Registry[Connection]",
        timers: Timers,
        receipt_seconds: float,
        counts: Counts,
    ) -> None:
        self._store = store
        self._rules = rules
        self._slack = round(1000 * receipt_seconds) + SLACK_MILLISECONDS
        self._registry = registry
        self._timers = timers
        self._counts = counts
        self._turn = asyncio.Semaphore()
        # Whoever resumes on twenty sockets stands in the queue once, like everybody else.
        self._own_turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, connection: "Connection", state: Replay) -> None:
        """Replay what came after the client's cursor."""
        task = asyncio.get_running_loop().create_task(self._run(connection, state))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def caught_up(self, fact: SocketCaughtUp) -> None:
        """This place in the order of commits is where the socket joins the live traffic."""
        connection = cast("Connection | None", fact.origin)
        if connection is None or not connection.is_open:
            return
        if fact.is_too_far:
            self._counts.resyncs += 1
            connection.add(frames.resync(fact.event_id, fact.log))
        else:
            self._hand(connection, fact.events)
            for receipt in fact.receipts:
                connection.add(_encode_receipt(receipt))
            self._counts.resumed += 1
            connection.add(frames.resumed(fact.event_id))
        connection.replay = None
        self._registry.peers[fact.user_id].live.append(connection)

    async def finish(self) -> None:
        """Wait for the ends of all replays, whose sockets must be closed."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, connection: "Connection", state: Replay) -> None:
        doer.set(Named(connection.log_fields))
        try:
            await self._replay(connection, state)
            if connection.replay is not None:
                # What it was to catch up with was not told, and it would be deaf for ever. The hub has logged why.
                connection.close(closing.BUG, "an error in the server")
        except _Gone:
            pass
        except Refused as refusal:
            if refusal.code == "unauthorized":
                connection.close(closing.SESSION_ENDED, "the session has ended")
            else:
                connection.close(closing.RESTART, "the log can't be read at the moment")
        except Exception:
            logger.exception("A replay failed")
            connection.close(closing.BUG, "an error in the server")

    async def _replay(self, connection: "Connection", state: Replay) -> None:
        actor, after = connection.actor, state.since.event_id
        rules = self._rules
        page = await self._read(
            connection, partial(replay.first_page, rules=rules, actor=actor, since=after, slack=self._slack)
        )
        if page is None:
            await self._store.write(acting(actor, lambda tx: replay.give_up(tx, actor)))
            return
        while True:
            if page.events:
                after = page.events[-1].event_id
                self._hand(connection, page.events)
                connection.flush(self._timers.time())
                await state.drained(connection)
            if not connection.is_open or (page.is_last and await self._finish(actor, after, page)):
                return
            page = await self._read(
                connection, partial(replay.page, rules=rules, actor=actor, after=after, moved=page.moved)
            )

    async def _read(self, connection: "Connection", query: Callable[[Snapshot], T]) -> T:
        actor = connection.actor
        own = self._own_turns.setdefault(actor.user_id, asyncio.Lock())
        async with own, self._turn:
            # Who tired of waiting comes again: to read for each of its tries would make the queue ever longer.
            if not connection.is_open:
                raise _Gone
            return await self._store.read(acting(actor, query))

    async def _finish(self, actor: Actor, after: int, page: Page) -> bool:
        rules = self._rules
        return await self._store.write(acting(actor, lambda tx: replay.finish(tx, rules, actor, after, page)))

    def _hand(self, connection: "Connection", events: tuple[Event, ...]) -> None:
        self._counts.replayed += len(events)
        for event in events:
            connection.add(self._encode(event))
            if isinstance(event, MessagePosted) and event.sender_id != connection.actor.user_id:
                connection.pulse.handed[event.conversation_id] = event.event_id

    def _encode(self, event: Event) -> bytes:
        match event:
            case MessagePosted():
                return frames.new_message(event.event_id, event.message)
            case UserUpdated():
                is_online = event.user_id in self._registry.peers
                return frames.user_updated(event.event_id, as_user(event, online=is_online))
        if event.added:
            return frames.conversation_created(event.event_id, event.conversation)
        if event.removed:
            return frames.conversation_removed(event.event_id, event.conversation["id"])
        return frames.conversation_updated(event.event_id, event.conversation)


def _encode_receipt(receipt: ReceiptMoved | UnreadChanged) -> bytes:
    if isinstance(receipt, UnreadChanged):
        return frames.unread(receipt.conversation_id, receipt.message_id, receipt.unread_count)
    make = frames.read if receipt.kind == "read" else frames.delivered
    [(_, message_id)] = receipt.messages
    return make(receipt.conversation_id, message_id, receipt.user_id)
