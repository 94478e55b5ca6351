"""What a commit brought, told to the sockets of those concerned: facts in, frames out (docs/protocol.md section 6)."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from hub import frames
from hub.connection import Connection
from hub.counts import Counts
from hub.pace import Pace
from hub.registry import Peer, Registry
from hub.timers import Timers
from hub.typing import Typing
from protocol import closing
from protocol.entities import User
from protocol.events import (
    ConversationChanged,
    Fact,
    MessagePosted,
    MessageRepeated,
    ReceiptMoved,
    SessionEnded,
    UnreadChanged,
    UserUpdated,
)

logger = logging.getLogger(__name__)

Online = Peer[Connection]


def send(peers: Iterable[Online], frame: bytes) -> None:
    """Add a frame to every socket of these users that is in the live traffic."""
    for peer in peers:
        for connection in peer.live:
            connection.add(frame)


def announce(peers: Iterable[Online], frame: bytes) -> None:
    """Add a frame on who is online to every socket of these users: no replay tells that."""
    for peer in peers:
        for connection in peer.connections:
            connection.add(frame)


def as_user(fact: UserUpdated, *, online: bool) -> User:
    """The user as its contacts see it."""
    return {
        "id": fact.user_id,
        "username": fact.username,
        "online": online,
        "last_seen_at": fact.last_seen_at,
    }


class Publisher:
    """Tells facts in the order of commits, and keeps the registry true to them; some are for `others` to tell."""

    def __init__(
        self,
        registry: Registry[Connection],
        typing: Typing,
        timers: Timers,
        receipt_seconds: float,
        counts: Counts,
        others: Mapping[type[Fact], Callable[[Any], None]],
    ) -> None:
        self._registry = registry
        self._typing = typing
        self._counts = counts
        self._reads = Pace(timers, receipt_seconds, self._tell_receipt)
        self._tellers: dict[type[Fact], Callable[[Any], None]] = {
            MessageRepeated: self._message_repeated,
            ConversationChanged: self._conversation_changed,
            UserUpdated: self._user_updated,
            ReceiptMoved: self._receipt_moved,
            UnreadChanged: self._unread_changed,
            SessionEnded: self._session_ended,
            **others,
        }

    def tell(self, facts: Sequence[Fact]) -> None:
        """Tell facts in their order; one that can't be told is logged, and the others are."""
        at = 0
        while at < len(facts):
            fact = facts[at]
            at += 1
            try:
                if isinstance(fact, MessagePosted):
                    run = [fact]
                    while at < len(facts) and _goes_on(run, facts[at]):
                        run.append(cast(MessagePosted, facts[at]))
                        at += 1
                    self._messages_posted(run)
                else:
                    self._tellers[type(fact)](fact)
            except Exception:
                logger.exception("A %s was not told to all", type(fact).__name__)

    def _messages_posted(self, run: list[MessagePosted]) -> None:
        """Messages that follow each other in one conversation: who sent none of them is handed all of them at once."""
        conversation_id = run[0].conversation_id
        self._counts.messages += len(run)
        for fact in run:
            if fact.origin is None:
                # On a socket it ended with the frame, in the order of frames: the next start may have come by now.
                self._typing.stop(fact.sender_id, conversation_id)
        room = self._registry.rooms.get(conversation_id)
        if room is None:
            return
        made = [frames.new_message(fact.event_id, fact.message) for fact in run]
        joined = b"".join(made)
        message_id = run[-1].event_id
        senders = {fact.sender_id for fact in run}
        sockets = 0
        for user_id, peer in room.peers.items():
            if user_id in senders:
                for fact, frame in zip(run, made, strict=True):
                    self._counts.deliveries += _send_to_sender(fact, frame, peer)
                continue
            for connection in peer.live:
                connection.add(joined)
                connection.pulse.handed[conversation_id] = message_id
            sockets += len(peer.live)
        self._counts.deliveries += sockets * len(run)

    def _message_repeated(self, fact: MessageRepeated) -> None:
        if isinstance(fact.origin, Connection) and fact.origin.is_open:
            fact.origin.add(frames.message_sent(fact.temp_id, fact.message, None))

    def _conversation_changed(self, fact: ConversationChanged) -> None:
        conversation = fact.conversation
        conversation_id = conversation["id"]
        members = len(conversation["members"])
        self._stop_typing(conversation_id, members, fact.removed)
        changes = self._registry.change(conversation_id, members, fact.added, fact.removed)
        left = [self._registry.peers[user_id] for user_id in fact.removed if user_id in self._registry.peers]
        if left:
            send(left, frames.conversation_removed(fact.event_id, conversation_id))
        room = self._registry.rooms.get(conversation_id)
        if room is not None:
            added = set(fact.added)
            arrived = [peer for user_id, peer in room.peers.items() if user_id in added]
            stayed = [peer for user_id, peer in room.peers.items() if user_id not in added]
            if arrived:
                send(arrived, frames.conversation_created(fact.event_id, conversation))
            if stayed:
                send(stayed, frames.conversation_updated(fact.event_id, conversation))
        for other, peers in changes.gained.items():
            announce(peers, frames.online(other.user_id))
        for other, peers in changes.lost.items():
            announce(peers, frames.offline(other.user_id, None))

    def _stop_typing(self, conversation_id: int, members: int, removed: tuple[int, ...]) -> None:
        """Who leaves types no more; and nobody does once the conversation is too large for it."""
        room = self._registry.rooms.get(conversation_id)
        if room is not None:
            ending = removed if self._registry.would_live(members) else tuple(room.peers)
            for user_id in ending:
                self._typing.stop(user_id, conversation_id)

    def _user_updated(self, fact: UserUpdated) -> None:
        own = self._registry.peers.get(fact.user_id)
        concerned = set() if own is None else {own}
        for conversation_id in fact.conversations:
            room = self._registry.rooms.get(conversation_id)
            concerned.update(room.peers.values() if room is not None else ())
        user = as_user(fact, online=own is not None)
        send(concerned, frames.user_updated(fact.event_id, user))

    def _receipt_moved(self, fact: ReceiptMoved) -> None:
        # What was delivered is told at the pace of the pings that prove it.
        if fact.kind == "read":
            self._reads.add(fact)
        else:
            self._tell_receipt(fact)

    def _tell_receipt(self, fact: ReceiptMoved) -> None:
        room = self._registry.rooms.get(fact.conversation_id)
        if room is None or not room.is_live:
            return
        make = frames.read if fact.kind == "read" else frames.delivered
        told: dict[int, list[bytes]] = {}
        for author_id, message_id in fact.messages:
            # An author who has left the conversation hears nothing more of it.
            if author_id in room.peers:
                told.setdefault(author_id, []).append(make(fact.conversation_id, message_id, fact.user_id))
        for author_id, made in told.items():
            send((room.peers[author_id],), b"".join(made))

    def _unread_changed(self, fact: UnreadChanged) -> None:
        peer = self._registry.peers.get(fact.user_id)
        if peer is None:
            return
        frame = frames.unread(fact.conversation_id, fact.message_id, fact.unread_count)
        for connection in peer.live:
            if connection is not fact.origin:
                connection.add(frame)

    def _session_ended(self, fact: SessionEnded) -> None:
        peer = self._registry.peers.get(fact.user_id)
        for connection in list(peer.connections) if peer else ():
            if connection.actor.session_id == fact.session_id:
                connection.close(closing.SESSION_ENDED, "the session has ended")


def _goes_on(run: list[MessagePosted], fact: Fact) -> bool:
    return isinstance(fact, MessagePosted) and fact.conversation_id == run[0].conversation_id


def _send_to_sender(fact: MessagePosted, frame: bytes, peer: Online) -> int:
    """One of a run of messages, to a user who sent one of them: to how many sockets of another's than its sender's."""
    if peer.user_id != fact.sender_id:
        for connection in peer.live:
            connection.add(frame)
            connection.pulse.handed[fact.conversation_id] = fact.event_id
        return len(peer.live)
    if fact.temp_id is not None:
        _send_own(fact, fact.temp_id, peer)
    else:
        send((peer,), frame)
    return 0


def _send_own(fact: MessagePosted, temp_id: str, sender: Online) -> None:
    """A message to its own sender, who alone sees the `temp_id`: the ACK where it was sent, elsewhere the event."""
    own = fact.message.copy()
    own["temp_id"] = temp_id
    frame: bytes | None = None
    if isinstance(fact.origin, Connection) and fact.origin.is_open and fact.origin.replay is not None:
        # It overtakes what is replayed, and will come again in its place.
        fact.origin.add(frames.message_sent(temp_id, own, None))
    for connection in sender.live:
        if connection is fact.origin:
            connection.add(frames.message_sent(temp_id, own, fact.event_id))
            continue
        if frame is None:
            frame = frames.new_message(fact.event_id, own)
        connection.add(frame)
