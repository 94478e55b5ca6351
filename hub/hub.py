"""The hub: who is connected, and what was committed brought to the sockets of those concerned."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from actions import users
from actions.rules import Rules
from hub import frames
from hub.admission import Admission
from hub.answering import Answering
from hub.backlogs import Backlogs
from hub.connection import Connection
from hub.counts import Counts
from hub.outgoing import Outgoing
from hub.presence import Presence
from hub.proofs import Proofs
from hub.publisher import Publisher, announce, send
from hub.registry import Registry
from hub.resuming import Resuming
from hub.settings import Settings
from hub.typing import Typing
from hub.wheel import Wheel
from protocol import closing
from protocol.errors import Refused
from protocol.events import Fact, SocketAdmitted, SocketCaughtUp
from protocol.times import rfc3339
from protocol.tracing import extra
from storage import Store
from storage.store import wall_clock
from storage.writer import Outcome

if TYPE_CHECKING:
    from storage.attachments.s3 import S3Files

logger = logging.getLogger(__name__)


class Hub:
    """All sockets. `store.publish` is to be set to its `publish`. Made, and called, on the event loop only.

    `s3` is None where none is configured.
    """

    def __init__(
        self,
        store: Store,
        rules: Rules,
        settings: Settings,
        clock: Callable[[], int] = wall_clock,
        s3: "S3Files | None" = None,
    ) -> None:
        self.rules = rules
        self.settings = settings
        self.timers = asyncio.get_running_loop()
        self.is_draining = False
        self.counts = Counts()
        self.numbers = itertools.count(1)
        """The connections' own."""
        self._store = store
        self._clock = clock
        self._registry = Registry[Connection](settings.live_members)
        self._presence = Presence(self.timers, settings.linger_seconds, self._went_offline)
        self._typing = Typing(self.timers, self._tell_typing)
        self.answering = Answering(store, rules, self._registry, self._typing, s3)
        self._dirty: list[Outgoing] = []
        self._flush_is_due = False
        self._wheel = Wheel(self.timers, settings.ping_seconds)
        self.backlogs = Backlogs(settings.total_backlog_bytes, self._wheel)
        self.proofs = Proofs(store, rules, self.timers)
        self.admission = Admission(store, settings.sockets)
        self._resuming = Resuming(
            store, rules, self._registry, self.timers, settings.receipt_seconds, self.counts
        )
        self._publisher = Publisher(
            self._registry,
            self._typing,
            self.timers,
            settings.receipt_seconds,
            self.counts,
            {SocketAdmitted: self._socket_admitted, SocketCaughtUp: self._resuming.caught_up},
        )

    # For the rest of the server.

    def online(self, user_id: int) -> bool:
        """Whether the user is online: has a socket, or had one a few seconds ago."""
        return user_id in self._registry.peers

    def connected(self) -> tuple[int, int]:
        """How many sockets are open, and how many users are online."""
        return len(self._wheel), len(self._registry.peers)

    @property
    def waiting(self) -> int:
        """How many sockets wait to be opened."""
        return len(self.admission.line) + self.admission.under_way

    @property
    def backlog(self) -> int:
        """How many bytes wait for all clients together to read on. Each socket is asked."""
        return sum(connection.backlog for connection in self._wheel)

    def publish(self, facts: Sequence[Fact]) -> None:
        """Tell what a commit brought, in its order; to each socket in one write."""
        self._publisher.tell(facts)
        self._flush()

    def stop_reading(self) -> None:
        """Take no more frames and no more sockets: the server is about to stop."""
        self.is_draining = True
        for connection in self._wheel:
            connection.pause_reading()

    async def finish(self) -> None:
        """Wait until what was taken is handed to the store, and told."""
        self.proofs.submit()
        await self.answering.finish()

    async def close_all(self) -> None:
        """Close every socket with 1012, after all that is due to it; let go of those that don't answer."""
        self._store.submit(
            partial(users.seen, user_ids=list(self._registry.peers), at=self._clock()), _log_failure
        )
        connections = list(self._wheel)
        for connection in connections:
            connection.close(closing.RESTART, "the server restarts")
        deadline = self.timers.time() + self.settings.close_seconds
        while any(not connection.is_gone for connection in connections) and self.timers.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for connection in connections:
            if not connection.is_gone:
                connection.abort()
        await self._resuming.finish()

    # For connections.

    def require_room(self) -> None:
        """Raise Refused `unavailable` where no more sockets may open."""
        if self.is_draining:
            raise _stopping()
        limit = self.settings.sockets
        if limit and self.admission.under_way + len(self._wheel) >= limit:
            raise Refused(
                "unavailable", f"The server holds {limit} sockets already (limits.sockets).", retry_after=30
            )

    def has_pending(self, connection: Outgoing) -> None:
        """The connection has something to send: it goes out at the end of this commit or turn of the loop."""
        self._dirty.append(connection)
        if not self._flush_is_due:
            self._flush_is_due = True
            self.timers.call_soon(self._flush)

    def detach(self, connection: Connection) -> None:
        """The connection is open no more."""
        user_id = connection.actor.user_id
        peer = self._registry.peers[user_id]
        peer.connections.remove(connection)
        if connection.replay is None:
            peer.live.remove(connection)
        self._wheel.discard(connection)
        by, code = connection.ending
        self.counts.closed[by, code] += 1
        logger.debug("A socket was closed by the %s with %s", by, code, extra=extra(connection))
        self._typing.stop_all(user_id, connection)
        if not peer.connections:
            self._presence.left(user_id)

    def _socket_admitted(self, fact: SocketAdmitted) -> None:
        connection = fact.origin
        assert isinstance(connection, Connection)
        if not connection.is_waiting:
            return
        if self.is_draining:
            connection.reject(_stopping())
            return
        peer = self._registry.peers.get(fact.user_id)
        came_online = peer is None
        if peer is None:
            peer = self._registry.enter(fact.user_id, fact.conversations)
        else:
            self._presence.returned(fact.user_id)
        contacts = peer.contacts()
        peer.connections.append(connection)
        self._wheel.add(connection)
        self.counts.opened += 1
        logger.debug("A socket was opened by user %d", fact.user_id, extra=extra(connection))
        greeting = [frames.hello(fact.user_id, fact.event_id, fact.log)]
        greeting += [frames.online(contact.user_id) for contact in contacts]
        replay = connection.replay
        if replay is not None and not replay.since.is_of(fact.log, fact.event_id):
            self.counts.resyncs += 1
            greeting.append(frames.resync(fact.event_id, fact.log))
            replay = connection.replay = None
        connection.open(greeting)
        if replay is None:
            peer.live.append(connection)
        else:
            self._resuming.begin(connection, replay)
        if came_online:
            announce(contacts, frames.online(fact.user_id))
        limit = self.settings.sockets_per_user
        if limit and len(peer.connections) > limit:
            peer.connections[0].close(
                closing.TOO_MANY_SOCKETS, f"more than {limit} sockets (limits.sockets_per_user)"
            )

    # Presence and typing.

    def _went_offline(self, user_id: int) -> None:
        if self.is_draining:
            # Everyone goes, and `close_all` has noted when; the store may be closed by now.
            return
        peer = self._registry.peers[user_id]
        contacts = peer.contacts()
        self._registry.leave(peer)
        now = self._clock()
        announce(contacts, frames.offline(user_id, rfc3339(now)))
        self._store.submit(partial(users.seen, user_ids=[user_id], at=now), _log_failure)

    def _tell_typing(
        self, kind: Literal["typing", "typing_stop"], conversation_id: int, user_id: int
    ) -> None:
        room = self._registry.rooms.get(conversation_id)
        if room is not None and room.is_live:
            others = [peer for peer in room.peers.values() if peer.user_id != user_id]
            make = frames.typing if kind == "typing" else frames.typing_stop
            send(others, make(conversation_id, user_id))

    # Inside.

    def _flush(self) -> None:
        self._flush_is_due = False
        now = self.timers.time()
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            try:
                connection.flush(now)
            except Exception:
                # One socket's failure must not leave the others waiting for ever.
                logger.exception("A socket could not be written to", extra=extra(connection))
                connection.abort()


def _stopping() -> Refused:
    return Refused("unavailable", "The server is about to stop.", retry_after=5)


def _log_failure(outcome: Outcome) -> None:
    if outcome.error is not None:
        logger.info("Something minor was not stored: %s", outcome.error)
