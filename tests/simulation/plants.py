"""Bugs to be planted: each breaks a promise that the simulation must see broken."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast
from unittest import mock

from actions import replay
from actions.actor import Actor
from actions.replay import Page
from hub import frames, publisher
from hub.connection import Connection
from hub.registry import Registry
from hub.resuming import Resuming
from protocol.events import MessagePosted, SocketCaughtUp
from storage import Transaction, events, messages
from storage.messages import StoredMessage
from storage.writer import Batch, Writer

Plant = Callable[[], Any]

read_events, insert_message, change_rooms = events.after, messages.insert, Registry.change
commit_units, send_own = Writer.commit, publisher._send_own


async def _finish_beside_the_writer(self: Resuming, actor: Actor, after: int, page: Page) -> bool:
    connection = cast(Connection, actor.origin)
    last = await self._read(
        connection, partial(replay.page, rules=self._rules, actor=actor, after=after, moved=page.tip)
    )
    if last.is_last:
        self.caught_up(SocketCaughtUp(actor.origin, actor.user_id, last.tip, "simulated", last.events))
    return last.is_last


def _insert_again(tx: Transaction, message: StoredMessage) -> bool:
    return insert_message(tx, message) or insert_message(tx, message._replace(temp_id=None))


def _keep_the_removed(
    self: Registry[Any], conversation_id: int, members: int, added: Any, removed: Any
) -> Any:
    return change_rooms(self, conversation_id, members, added, ())


def _number_every_ack(fact: MessagePosted, temp_id: str, sender: Any) -> None:
    origin = fact.origin
    if isinstance(origin, Connection) and origin.is_open and origin.replay is not None:
        own = {**fact.message, "temp_id": temp_id}
        origin.add(frames.message_sent(temp_id, own, fact.event_id))  # type: ignore[arg-type]
        fact = fact._replace(origin=None)
    send_own(fact, temp_id, sender)


def _after_one_more(snapshot: Any, user_id: int, event_id: int, **how: Any) -> Any:
    return read_events(snapshot, user_id, event_id + 1, **how)


def _after_one_less(snapshot: Any, user_id: int, event_id: int, **how: Any) -> Any:
    return read_events(snapshot, user_id, event_id - 1, **how)


def _tell_before_the_commit(self: Writer, units: Any) -> Batch:
    """Every batch of two or more is told, and never committed."""
    if len(units) < 2:
        return commit_units(self, units)
    self._db.execute("BEGIN")
    tx = Transaction(self._db, self._clock(), self._last_event_id)
    outcomes = [self._run(tx, unit, savepoint=False) for unit in units]
    self._db.execute("ROLLBACK")
    self._last_event_id = tx.last_event_id
    return Batch(outcomes, tx.facts)


PLANTS: dict[str, tuple[Plant, str]] = {
    "the last page is read beside the writer": (
        lambda: mock.patch.object(Resuming, "_finish", _finish_beside_the_writer),
        "was told|was never told|never heard of|was not replayed",
    ),
    "a repeat is stored again": (
        lambda: mock.patch.object(messages, "insert", _insert_again),
        "the messages stored are not those committed|never have everything",
    ),
    "who was removed still hears": (
        lambda: mock.patch.object(Registry, "change", _keep_the_removed),
        "never heard of|what is not for it|what it has left|was told",
    ),
    "an ACK that overtakes the replay has an event_id": (
        lambda: mock.patch.object(publisher, "_send_own", _number_every_ack),
        "was replayed|was told|never heard of",
    ),
    "a page begins one event too late": (
        lambda: mock.patch.object(events, "after", _after_one_more),
        "was not replayed|never heard of",
    ),
    "a page begins one event too early": (
        lambda: mock.patch.object(events, "after", _after_one_less),
        "never comes to rest|was told",
    ),
    "a batch is told and not committed": (
        lambda: mock.patch.object(Writer, "commit", _tell_before_the_commit),
        "not those committed|was committed after|twice",
    ),
}
"""Each with how it shows."""
