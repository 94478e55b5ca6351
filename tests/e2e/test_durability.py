"""What an acknowledgement is worth (docs/protocol.md section 4, "Durability"): kill -9 and SIGTERM under load."""

import asyncio
import contextlib
import itertools
import random
import sqlite3
import time
from dataclasses import dataclass, field

import httpx
from websockets.exceptions import ConnectionClosed

from tests.support.fixtures import Connect, StartServer
from tests.support.rest import Json, Person, Rest, succeeded
from tests.support.server import ServerProcess
from tests.support.socket import Socket, open_socket

SEED = 20261123
ROUNDS = 5
WINDOW = 16
"""Messages that a socket has under way: some of them are when the server dies."""

RESTART_SECONDS = 3.0
"""How soon a restart after a crash serves. Under coverage and beside a busy neighbour it may
take twice as long."""


@dataclass
class Outbox:
    """What one person has sent: texts by `temp_id`, and the message's id for those that were acknowledged."""

    sent: dict[str, str] = field(default_factory=dict)
    acked: dict[str, int] = field(default_factory=dict)

    def write(self, author: str) -> tuple[str, str]:
        """The next message: its `temp_id` and its text."""
        number = len(self.sent) + 1
        temp_id = f"{author} {number}"
        self.sent[temp_id] = f"message {number} of {author}"
        return temp_id, self.sent[temp_id]

    def settle(self, temp_id: str, message: Json) -> None:
        """Note an acknowledgement."""
        assert message["text"] == self.sent[temp_id]
        assert self.acked.setdefault(temp_id, message["id"]) == message["id"], (
            "acknowledged as another message"
        )


async def send_over_socket(socket: Socket, chat: int, author: str, outbox: Outbox) -> None:
    """Send, `WINDOW` messages under way, until the server is gone; then count the ACKs that still came."""
    under_way = 0
    with contextlib.suppress(ConnectionClosed):
        while socket.close_code is None:
            temp_id, text = outbox.write(author)
            await socket.send_message(chat, text, temp_id=temp_id)
            under_way += 1
            while under_way >= WINDOW and socket.close_code is None:
                under_way -= settle(socket, outbox)
                await asyncio.sleep(0.001)
    await socket.closed()
    settle(socket, outbox)


def settle(socket: Socket, outbox: Outbox) -> int:
    """Note the ACKs that have come; how many."""
    acks = socket.take("message_sent")
    for ack in acks:
        outbox.settle(ack["temp_id"], ack["message"])
    assert socket.take("error") == []
    return len(acks)


async def send_over_rest(rest: Rest, person: Person, chat: int, outbox: Outbox) -> None:
    """Send one message after the other until the server is gone; a 201 is an acknowledgement."""
    with contextlib.suppress(httpx.TransportError):
        while True:
            temp_id, text = outbox.write(person.username)
            body = {"text": text, "temp_id": temp_id}
            answer = await rest.post(f"/chats/{chat}/messages", body, person)
            if answer.status_code == 503:  # it is going down
                return
            assert answer.status_code == 201, answer.text
            outbox.settle(temp_id, answer.json())


async def check(rest: Rest, reader: Person, chat: int, outboxes: list[Outbox]) -> list[Json]:
    """The history holds every acknowledged message once, no other more than once, and `seq` has no gap."""
    history = await rest.whole_history(reader, chat)
    texts = [message["text"] for message in history]
    assert len(texts) == len(set(texts)), "a message is there twice"
    ids = {message["text"]: message["id"] for message in history}
    for outbox in outboxes:
        for temp_id, message_id in outbox.acked.items():
            assert ids.get(outbox.sent[temp_id]) == message_id, f"{temp_id} was acknowledged as {message_id}"
    assert set(texts) <= {text for outbox in outboxes for text in outbox.sent.values()}
    assert [message["seq"] for message in history] == list(range(1, len(history) + 1))
    assert all(one["id"] < other["id"] for one, other in itertools.pairwise(history))
    return history


def check_database(server: ServerProcess) -> None:
    """SQLite itself finds nothing wrong."""
    uri = (server.data_dir / "beseda.db").as_uri() + "?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute("SELECT count(*) FROM messages").fetchone()[0] > 0


async def test_no_acknowledged_message_is_lost_when_the_server_is_killed_at_random_moments(
    fresh_server: ServerProcess,
) -> None:
    chance = random.Random(SEED)
    async with Rest(fresh_server) as rest:
        *talkers, caller = people = await rest.people("ann", "bob", "cid", "caller")
        chat = await rest.group(people[0], *people)
        outboxes = {person.id: Outbox() for person in people}
        under_way: list[int] = []
        for _ in range(ROUNDS):
            before = sum(len(outbox.acked) for outbox in outboxes.values())
            open_before = unacknowledged(outboxes)
            async with asyncio.TaskGroup() as tasks:
                for person in talkers:
                    socket = await open_socket(person)
                    outbox = outboxes[person.id]
                    tasks.create_task(send_over_socket(socket, chat, person.username, outbox))
                tasks.create_task(send_over_rest(rest, caller, chat, outboxes[caller.id]))
                await acknowledged(outboxes, before + chance.randrange(1, 300))
                await asyncio.sleep(chance.random() * 0.02)
                under_way.append(unacknowledged(outboxes) - open_before)
                fresh_server.kill()
            began = time.monotonic()
            fresh_server.restart()
            assert time.monotonic() - began < 2 * RESTART_SECONDS
            await check(rest, caller, chat, list(outboxes.values()))
            check_database(fresh_server)
        assert all(outbox.acked for outbox in outboxes.values())
        assert min(under_way) > 0, under_way
        assert max(under_way) > WINDOW, f"it was killed while hardly anything was under way: {under_way}"
        # What nobody heard of is sent again under its own name, and is then there once, like all the rest.
        for person in people:
            outbox = outboxes[person.id]
            for temp_id in set(outbox.sent) - set(outbox.acked):
                body = {"text": outbox.sent[temp_id], "temp_id": temp_id}
                outbox.settle(temp_id, succeeded(await rest.post(f"/chats/{chat}/messages", body, person)))
        history = await check(rest, caller, chat, list(outboxes.values()))
        assert len(history) == sum(len(outbox.sent) for outbox in outboxes.values())


async def test_sigterm_under_load_ends_with_0_and_every_stored_message_was_acknowledged(
    fresh_server: ServerProcess,
) -> None:
    async with Rest(fresh_server) as rest:
        *talkers, caller = people = await rest.people("ann", "bob", "cid", "caller")
        chat = await rest.group(people[0], *people)
        outboxes = {person.id: Outbox() for person in people}
        sockets = [await open_socket(person) for person in talkers]
        async with asyncio.TaskGroup() as tasks:
            for person, socket in zip(talkers, sockets, strict=True):
                tasks.create_task(send_over_socket(socket, chat, person.username, outboxes[person.id]))
            tasks.create_task(send_over_rest(rest, caller, chat, outboxes[caller.id]))
            await acknowledged(outboxes, 200)
            began = time.monotonic()
            assert await asyncio.to_thread(fresh_server.stop) == 0
            assert time.monotonic() - began < 10
        assert [socket.close_code for socket in sockets] == [1012] * len(sockets)
        assert any(set(outbox.sent) - set(outbox.acked) for outbox in outboxes.values()), (
            "nothing was under way"
        )
        fresh_server.start()
        history = await check(rest, caller, chat, list(outboxes.values()))
        check_database(fresh_server)
    # The drain finishes the batch and hands out its ACKs: nothing was stored that its sender doesn't know of.
    known = {outbox.sent[temp_id] for outbox in outboxes.values() for temp_id in outbox.acked}
    assert {message["text"] for message in history} == known


async def test_a_second_server_on_the_same_folder_refuses_and_names_it(
    start_server: StartServer, connect: Connect
) -> None:
    first = start_server()
    second = start_server(data_dir=first.data_dir, wait=False)
    assert await asyncio.to_thread(second.wait) == 1
    [line] = second.output().splitlines()
    assert line.startswith("beseda: ")
    assert str(first.data_dir) in line
    # The first one has noticed nothing, and its end frees the folder.
    async with Rest(first) as rest:
        ann, bob = await rest.people("ann", "bob")
        chat = await rest.dialog(ann, bob)
        message = await (await connect(ann)).say(chat, "still here")
    await asyncio.to_thread(first.kill)
    async with Rest(start_server(data_dir=first.data_dir)) as rest:
        assert [found["id"] for found in await rest.history(bob, chat)] == [message["id"]]


def unacknowledged(outboxes: dict[int, Outbox]) -> int:
    """How many messages were sent and not acknowledged."""
    return sum(len(outbox.sent) - len(outbox.acked) for outbox in outboxes.values())


async def acknowledged(outboxes: dict[int, Outbox], count: int) -> None:
    """Wait until so many messages were acknowledged, one of every sender's among them."""
    async with asyncio.timeout(30):
        while sum(len(outbox.acked) for outbox in outboxes.values()) < count or not all(
            outbox.acked for outbox in outboxes.values()
        ):
            await asyncio.sleep(0.001)
