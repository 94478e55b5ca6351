"""Every socket gets the log in its order (docs/protocol.md section 6), while many senders share the commits.

That no socket ever sees `event_id` go back or come twice is checked by `tests.support.socket` itself, frame by
frame, here and everywhere else; what follows shows that there was something to see.
"""

import asyncio
import itertools
from collections.abc import Iterable

import pytest

from tests.support.fixtures import Connect
from tests.support.rest import Json, Rest, succeeded
from tests.support.socket import EVENTS, Frame, Socket

WINDOW = 8
"""Messages that a socket has under way before it waits for an ACK."""

PHASE = 60
"""Messages that everyone together sends at least before each change, and after the last one."""

MOST = 2_000
"""An end for a test whose changes never come."""

MESSAGES = frozenset({"message_sent", "new_message"})


class Sender:
    """One socket that sends until it is told to stop, some messages always under way."""

    def __init__(self, socket: Socket, chat: int, name: str) -> None:
        self.socket = socket
        self.sent: list[str] = []
        self.acked: dict[str, int] = {}
        self.refused: list[str] = []
        self._chat = chat
        self._name = name
        self._stop = False

    def stop(self) -> None:
        """Send nothing more; what is under way is still waited for."""
        self._stop = True

    async def run(self) -> None:
        """Send, until told to stop or refused. Ends when every message is acknowledged or refused."""
        while not self._stop and not self.refused and len(self.sent) < MOST:
            await self.socket.send_message(self._chat, f"{self._name} {len(self.sent)}", temp_id=self._next())
            await asyncio.sleep(0.001)  # so that the others get a word in
            while len(self.sent) - len(self.acked) - len(self.refused) >= WINDOW:
                await self._settle_one()
        while len(self.acked) + len(self.refused) < len(self.sent):
            await self._settle_one()

    def _next(self) -> str:
        self.sent.append(f"{self._name} {len(self.sent)}")
        return self.sent[-1]

    async def _settle_one(self) -> None:
        answer = await self.socket.next(where=lambda frame: frame["type"] in ("message_sent", "error"))
        if answer["type"] == "message_sent":
            assert answer["message"]["temp_id"] == answer["temp_id"]
            assert answer["temp_id"] not in self.acked
            self.acked[answer["temp_id"]] = answer["message"]["id"]
        else:
            self.refused.append(answer["temp_id"])


async def test_all_sockets_get_the_same_events_once_and_in_order_while_the_group_changes(
    rest: Rest, connect: Connect
) -> None:
    *staying, leaver, joiner = await rest.people("ann", "bob", "cid", "dan", "eve", "leaver", "joiner")
    owner = staying[0]
    chat = await rest.group(owner, *staying, leaver, title="Before")
    sockets = {person.id: [await connect(person) for _ in range(2)] for person in (*staying, leaver, joiner)}
    watching = await connect(owner)  # says nothing: all its messages are told, none acknowledged
    senders = {
        socket: Sender(socket, chat, f"{person.username}/{number}")
        for person in (*staying, leaver)
        for number, socket in enumerate(sockets[person.id])
    }
    async with asyncio.TaskGroup() as tasks:
        for sender in senders.values():
            tasks.create_task(sender.run())
        await told(watching, PHASE)
        renamed = succeeded(await rest.patch(f"/chats/{chat}", {"title": "After"}, owner))
        await told(watching, PHASE)
        added = succeeded(await rest.post(f"/chats/{chat}/members", {"members": [joiner.id]}, owner))
        await told(watching, PHASE)
        removed = await rest.delete(f"/chats/{chat}/members/{leaver.id}", owner)
        assert removed.status_code == 204, removed.text
        await told(watching, PHASE)
        for sender in senders.values():
            sender.stop()
    last = await rest.send(owner, chat, "the end")
    everyone = [*itertools.chain.from_iterable(sockets[person.id] for person in (*staying, joiner)), watching]
    for socket in everyone:
        await socket.next(where=lambda frame: frame.get("event_id") == last["id"])
        await socket.settle()

    log = numbers(watching.received)
    kinds = {frame["event_id"]: frame["type"] for frame in events(watching.received)}
    changes = [number for number in log if kinds[number] == "conversation_updated"]
    assert len(changes) == 3
    assert changes[:2] == [renamed["event_id"], added["event_id"]]
    _, joining, leaving = changes
    guard_that_much_happened(log, changes, senders, watching.received)

    # Who stayed has one and the same log on every socket, told or acknowledged.
    for person in staying:
        for socket in sockets[person.id]:
            assert numbers(socket.received) == log
            own = {frame["event_id"] for frame in socket.received if frame["type"] == "message_sent"}
            assert own == set(senders[socket].acked.values())
            assert senders[socket].refused == []
    # Who came has it from the coming on, who went up to the going; and nothing of it after.
    for socket in sockets[joiner.id]:
        assert numbers(socket.received) == [number for number in log if number >= joining]
        first = events(socket.received)[0]
        assert first["type"] == "conversation_created"
        assert sorted(first["conversation"]["members"]) == sorted(p.id for p in (*staying, leaver, joiner))
    for socket in sockets[leaver.id]:
        await socket.settle()
        assert numbers(socket.received) == [number for number in log if number <= leaving]
        assert events(socket.received)[-1]["type"] == "conversation_removed"
        assert after_removal(socket, chat) == []
    # And it is what the history tells, to who was there and to who came.
    for reader in (owner, joiner):
        history = await rest.whole_history(reader, chat)
        assert [message["id"] for message in history] == [number for number in log if number not in changes]
        assert [message["seq"] for message in history] == list(range(1, len(history) + 1))
    stored = {message["text"]: message["id"] for message in history if message["text"] != "the end"}
    assert stored == {name: number for sender in senders.values() for name, number in sender.acked.items()}


async def test_the_other_sockets_of_the_sender_are_told_what_it_sent(rest: Rest, connect: Connect) -> None:
    ann, bob = await rest.people("ann", "bob")
    chat = await rest.dialog(ann, bob)
    sending, other, bobs = await connect(ann), await connect(ann), await connect(bob)
    message = await sending.say(chat, "from this one")
    told_here = await other.next("new_message")
    told_there = await bobs.next("new_message")
    assert told_here["event_id"] == told_there["event_id"] == message["id"]
    assert told_here["message"] == message, "it is the sender's: temp_id and all"
    assert "temp_id" not in told_there["message"]
    assert sending.take("new_message") == []


async def test_what_rest_sends_is_told_to_all_sockets_in_the_same_order(rest: Rest, connect: Connect) -> None:
    ann, bob = await rest.people("ann", "bob")
    chat = await rest.dialog(ann, bob)
    sockets = [await connect(ann), await connect(ann), await connect(bob)]
    over_rest = [rest.send(ann, chat, f"rest {number}", temp_id=f"rest {number}") for number in range(20)]
    over_socket = [sockets[0].say(chat, f"socket {number}") for number in range(20)]
    mixed = itertools.chain.from_iterable(zip(over_rest, over_socket, strict=True))
    stored: list[Json] = await asyncio.gather(*mixed)
    last = await rest.send(bob, chat, "the end")
    for socket in sockets:
        await socket.next(where=lambda frame: frame.get("event_id") == last["id"])
        assert sorted([*(message["id"] for message in stored), last["id"]]) == numbers(socket.received)


def events(frames: Iterable[Frame]) -> list[Frame]:
    """The frames that carry events, in their order."""
    return [frame for frame in frames if frame["type"] in EVENTS and "event_id" in frame]


def numbers(frames: Iterable[Frame]) -> list[int]:
    """The `event_id`s, in the order of arrival."""
    return [frame["event_id"] for frame in events(frames)]


def after_removal(socket: Socket, chat: int) -> list[Frame]:
    """What a removed member's socket was told of the conversation after its removal.

    Not that others went offline for it (it lost its contacts), nor that what it sent late was refused.
    """
    frames = socket.received
    removal = next(place for place, frame in enumerate(frames) if frame["type"] == "conversation_removed")
    assert frames[removal]["conversation_id"] == chat
    later = frames[removal + 1 :]
    assert all(not frame["online"] for frame in later if frame["type"] == "online_status")
    assert all(frame["code"] == "not_found" for frame in later if frame["type"] == "error")
    return [frame for frame in later if frame["type"] not in ("online_status", "error")]


async def told(socket: Socket, count: int) -> None:
    """Wait until the socket was told of so many more messages than now."""
    before = len(socket.received)
    async with asyncio.timeout(30):
        while sum(frame["type"] == "new_message" for frame in socket.received[before:]) < count:
            await asyncio.sleep(0.002)


def guard_that_much_happened(
    log: list[int], changes: list[int], senders: dict[Socket, Sender], frames: list[Frame]
) -> None:
    """Messages stand between all the changes, and the senders really spoke into each other's sentences."""
    bounds = [0, *changes, log[-1] + 1]
    for lower, upper in itertools.pairwise(bounds):
        between = [number for number in log if lower < number < upper]
        assert len(between) >= PHASE, (lower, upper, log)
    assert all(len(sender.acked) >= 5 for sender in senders.values())
    authors = [frame["message"]["sender_id"] for frame in frames if frame["type"] in MESSAGES]
    turns = sum(author != following for author, following in itertools.pairwise(authors))
    assert turns > len(authors) // 6, "the senders spoke one after the other"
    # One commit has one time: different authors in one millisecond shared it, most likely.
    times: dict[str, set[int]] = {}
    for frame in frames:
        if frame["type"] in MESSAGES:
            times.setdefault(frame["message"]["created_at"], set()).add(frame["message"]["sender_id"])
    assert max(len(together) for together in times.values()) >= 2, "no two senders shared a commit"


def test_the_guard_sees_when_nothing_happened() -> None:
    silent: dict[Socket, Sender] = {}
    with pytest.raises(AssertionError):
        guard_that_much_happened([1, 2, 3, 4], [1, 2, 3], silent, [])
