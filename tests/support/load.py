"""Load on a server: people who cost no password, senders over both roads, and the account of what they were told."""

import asyncio
import contextlib
import itertools
import sqlite3
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx
from websockets.exceptions import ConnectionClosed

from bench.seed import seed
from tests.support.rest import Json, Person, Rest, succeeded
from tests.support.server import ServerProcess
from tests.support.socket import Socket

WINDOW = 16
"""Messages that a socket has under way: some of them are when the server dies."""


def crowd(
    server: ServerProcess, count: int, groups: Sequence[Sequence[int]]
) -> tuple[list[Person], list[int]]:
    """So many people, and conversations among them (by their indexes), before the server's first start.

    They have a session each and no password.
    """
    with ThreadPoolExecutor(1) as pool:  # it runs a loop of its own
        made = pool.submit(seed, server.data_dir, count, [list(group) for group in groups]).result()
    people = [
        Person(server, number, f"person{number - 1}", f"person{number - 1}@load", "", token, "")
        for number, token in enumerate(made.tokens, 1)
    ]
    return people, made.conversations


@dataclass
class Outbox:
    """What one person sends to a conversation: texts by `temp_id`, and the ids of those that were acknowledged."""

    person: Person
    chat: int
    sent: dict[str, str] = field(default_factory=dict)
    acked: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    """How often something was answered with `unavailable`."""

    @property
    def unacknowledged(self) -> list[str]:
        """The `temp_id`s of what was sent and not acknowledged, oldest first."""
        return [temp_id for temp_id in self.sent if temp_id not in self.acked]

    def write(self) -> str:
        """The next message's `temp_id`."""
        number = len(self.sent) + 1
        temp_id = f"{self.person.username} {number}"
        self.sent[temp_id] = f"message {number} of {self.person.username}"
        return temp_id

    def settle(self, temp_id: str, message: Json) -> None:
        """Note an acknowledgement: the first one's id is every later one's."""
        assert message["text"] == self.sent[temp_id]
        assert self.acked.setdefault(temp_id, message["id"]) == message["id"], (
            "acknowledged as another message"
        )

    def take(self, socket: Socket) -> int:
        """Note the answers that have come; how many."""
        acks, errors = socket.take("message_sent"), socket.take("error")
        for ack in acks:
            self.settle(ack["temp_id"], ack["message"])
        for error in errors:
            assert error["code"] == "unavailable", error
            assert error["temp_id"] in self.sent, error
        self.refused += len(errors)
        return len(acks) + len(errors)


async def send_over_socket(outbox: Outbox, socket: Socket, window: int = WINDOW) -> None:
    """Repeat what nobody acknowledged, then send on, `window` messages under way, until the server is gone."""
    repeats = iter(outbox.unacknowledged)
    under_way = 0
    with contextlib.suppress(ConnectionClosed):
        while socket.close_code is None:
            temp_id = next(repeats, None) or outbox.write()
            await socket.send_message(outbox.chat, outbox.sent[temp_id], temp_id=temp_id)
            under_way += 1
            while under_way >= window and socket.close_code is None:
                under_way -= outbox.take(socket)
                await asyncio.sleep(0.001)
    await socket.closed()
    outbox.take(socket)


async def send_over_rest(outbox: Outbox, rest: Rest) -> None:
    """Repeat what nobody acknowledged, then send on, one message after the other, until the server is gone."""
    repeats = iter(outbox.unacknowledged)
    with contextlib.suppress(httpx.TransportError):
        while True:
            temp_id = next(repeats, None) or outbox.write()
            body = {"text": outbox.sent[temp_id], "temp_id": temp_id}
            answer = await rest.post(f"/chats/{outbox.chat}/messages", body, outbox.person)
            if answer.status_code == 503:  # it is going down
                return
            outbox.settle(temp_id, succeeded(answer))


async def repeat_all(outboxes: Sequence[Outbox], rest: Rest) -> None:
    """Send again what nobody acknowledged, under its own name: now everything is."""
    for outbox in outboxes:
        for temp_id in outbox.unacknowledged:
            body = {"text": outbox.sent[temp_id], "temp_id": temp_id}
            outbox.settle(
                temp_id, succeeded(await rest.post(f"/chats/{outbox.chat}/messages", body, outbox.person))
            )


async def acknowledged(outboxes: Sequence[Outbox], more: int) -> None:
    """Wait until so many more messages than now are acknowledged."""
    before = sum(len(outbox.acked) for outbox in outboxes)
    async with asyncio.timeout(30):
        while sum(len(outbox.acked) for outbox in outboxes) < before + more:
            await asyncio.sleep(0.001)


class Row(NamedTuple):
    """A message as it is stored."""

    id: int
    chat: int
    seq: int
    sender_id: int
    temp_id: str
    text: str


def stored(server: ServerProcess) -> list[Row]:
    """All messages in the order of their ids, from a database in which SQLite itself finds nothing wrong."""
    uri = (server.data_dir / "beseda.db").as_uri() + "?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        query = "SELECT id, conversation_id, seq, sender_id, temp_id, text FROM messages ORDER BY id"
        return [Row(*row) for row in database.execute(query)]


def check_stored(
    server: ServerProcess, outboxes: Sequence[Outbox], *, all_acked: bool = False, beside: int = 0
) -> list[Row]:
    """What was acknowledged is stored once and as acknowledged, all else at most once, and `seq` has no gap.

    The rows; not those of `beside`, a conversation that nobody keeps account of.
    """
    rows = [row for row in stored(server) if row.chat != beside]
    times = Counter((row.sender_id, row.temp_id) for row in rows)
    assert set(times.values()) <= {1}, f"stored more than once: {times.most_common(3)}"
    found = {(row.sender_id, row.temp_id): row for row in rows}
    for outbox in outboxes:
        for temp_id, text in outbox.sent.items():
            row = found.pop((outbox.person.id, temp_id), None)
            assert row is None or (row.chat, row.text) == (outbox.chat, text), row
            if temp_id in outbox.acked or all_acked:
                assert row, f"{temp_id} was acknowledged as {outbox.acked.get(temp_id)}, and is lost"
                assert row.id == outbox.acked[temp_id], row
    assert found == {}, "stored, and never sent"
    for chat in {row.chat for row in rows}:
        seqs = [row.seq for row in rows if row.chat == chat]
        assert seqs == list(range(1, len(seqs) + 1)), f"conversation {chat}: {seqs}"
    assert all(one.id < other.id for one, other in itertools.pairwise(rows))
    return rows
