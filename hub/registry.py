"""Who is connected, and in which conversations: the hub's picture of memberships, kept true in commit order.

Only users with a place here are online. Pure: it knows nothing of sockets beyond that peers hold some.
"""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

C = TypeVar("C")


class Peer(Generic[C]):
    """A user who is online: its connections (none while presence lingers), and its rooms.

    `connections` in the order of their opening; `live` are those of them that no replay keeps from the live traffic.
    """

    __slots__ = ("connections", "live", "rooms", "user_id")

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.connections: list[C] = []
        self.live: list[C] = []
        # For each of fifty rooms a dict would take 40 bytes more, and by its number a room is found in the registry.
        self.rooms: list[Room[C]] = []

    def live_rooms(self) -> "Iterator[Room[C]]":
        """The rooms that make contacts."""
        return (room for room in self.rooms if room.is_live)

    def contacts(self) -> "set[Peer[C]]":
        """All who are online and share a live room with this one."""
        found: set[Peer[C]] = set()
        for room in self.live_rooms():
            found.update(room.peers.values())
        found.discard(self)
        return found


class Room(Generic[C]):
    """A conversation some of whose members are online. It is live up to a number of members, online or not."""

    __slots__ = ("conversation_id", "is_live", "peers")

    def __init__(self, conversation_id: int) -> None:
        self.conversation_id = conversation_id
        self.is_live = True
        self.peers: dict[int, Peer[C]] = {}


class Registry(Generic[C]):
    """All peers and rooms. `live_members` is the most members with which a room is live."""

    def __init__(self, live_members: int) -> None:
        self.peers: dict[int, Peer[C]] = {}
        self.rooms: dict[int, Room[C]] = {}
        self._live_members = live_members

    def enter(self, user_id: int, conversations: Iterable[tuple[int, int]]) -> Peer[C]:
        """A user comes online, a member of these conversations: `(id, number of members)`."""
        peer = Peer[C](user_id)
        self.peers[user_id] = peer
        for conversation_id, members in conversations:
            self._join(peer, conversation_id, members)
        return peer

    def leave(self, peer: Peer[C]) -> None:
        """A user goes offline."""
        del self.peers[peer.user_id]
        for room in peer.rooms:
            self._part(peer, room)
        peer.rooms.clear()

    def change(
        self, conversation_id: int, members: int, added: Iterable[int], removed: Iterable[int]
    ) -> "Changes[C]":
        """A conversation changed, and has so many members now. Who became or ceased to be whose contact by it."""
        room = self.rooms.get(conversation_id)
        arriving = [self.peers[user_id] for user_id in added if user_id in self.peers]
        leaving = [self.peers[user_id] for user_id in removed if user_id in self.peers]
        touched = {*arriving, *leaving}
        if room is not None and room.is_live != self.would_live(members):
            touched.update(room.peers.values())
        before = {peer: peer.contacts() for peer in touched}
        for peer in arriving:
            self._join(peer, conversation_id, members)
        for peer in leaving:
            if room is not None and peer.user_id in room.peers:
                self._part(peer, room)
                peer.rooms.remove(room)
        if room is not None:
            room.is_live = self.would_live(members)
        return Changes(before)

    def would_live(self, members: int) -> bool:
        """Whether a conversation of so many members has contacts, typing and receipts."""
        return members <= self._live_members

    def _join(self, peer: Peer[C], conversation_id: int, members: int) -> None:
        room = self.rooms.get(conversation_id)
        if room is None:
            room = self.rooms[conversation_id] = Room(conversation_id)
        room.is_live = self.would_live(members)
        if peer.user_id not in room.peers:
            room.peers[peer.user_id] = peer
            peer.rooms.append(room)

    def _part(self, peer: Peer[C], room: Room[C]) -> None:
        del room.peers[peer.user_id]
        if not room.peers:
            del self.rooms[room.conversation_id]


class Changes(Generic[C]):
    """Who became a contact, and who ceased to be one: each such user, and those who are to hear of it."""

    __slots__ = ("gained", "lost")

    def __init__(self, before: "dict[Peer[C], set[Peer[C]]]") -> None:
        self.gained: dict[Peer[C], set[Peer[C]]] = {}
        self.lost: dict[Peer[C], set[Peer[C]]] = {}
        for peer, old in before.items():
            new = peer.contacts()
            _note(self.gained, peer, new - old)
            _note(self.lost, peer, old - new)


def _note(pairs: "dict[Peer[C], set[Peer[C]]]", peer: "Peer[C]", others: "set[Peer[C]]") -> None:
    """Both are to hear of each other."""
    for other in others:
        pairs.setdefault(peer, set()).add(other)
        pairs.setdefault(other, set()).add(peer)
