"""kill -9 at random moments under load (docs/protocol.md section 4, "Durability")."""

import asyncio
import contextlib
import itertools
import os
import random
import sqlite3
import statistics
import time
from dataclasses import dataclass, field

import httpx

from tests.faults.conftest import MakeScene
from tests.support.load import (
    WINDOW,
    Outbox,
    Row,
    acknowledged,
    check_stored,
    repeat_all,
    send_over_rest,
    send_over_socket,
)
from tests.support.rest import Person, Rest, succeeded
from tests.support.server import ServerProcess
from tests.support.socket import Frame, open_socket

# For what takes longer than three minutes: BESEDA_TEST_KILLS=100 pytest -s -o faulthandler_timeout=0 tests/faults
KILLS = int(os.environ.get("BESEDA_TEST_KILLS", "10"))
SEED = int(os.environ.get("BESEDA_TEST_SEED", "20261123"))

RESTART_SECONDS = 3.0
"""How soon a restart after a crash serves. Under coverage and beside a busy neighbour it may take twice as long."""


@dataclass
class Owner:
    """Someone who renames the group, has a guest come and go, and reads, one after the other, over REST."""

    person: Person
    guest: Person
    chat: int
    told: dict[str, int] = field(default_factory=lambda: {"title": 0, "guest": 0, "read": 0})
    """The last change of each kind that was acknowledged, by its number; for `read` the message's id."""
    asked: dict[str, int] = field(default_factory=lambda: {"title": 0, "guest": 0, "read": 0})
    """The last one that was asked for."""

    async def work(self, rest: Rest, outboxes: list[Outbox]) -> None:
        """Go on until the server is gone."""
        with contextlib.suppress(httpx.TransportError):
            while True:
                await self._change(rest, "title", self.asked["title"] + 1)
                await self._change(rest, "guest", self.asked["guest"] + 1)
                await self._change(rest, "read", max([0, *outboxes[0].acked.values()]))

    async def _change(self, rest: Rest, kind: str, number: int) -> None:
        path = f"/chats/{self.chat}"
        if kind == "read" and number == 0:
            return
        self.asked[kind] = number
        if kind == "title":
            answer = await rest.patch(path, {"title": f"title {number}"}, self.person)
            assert succeeded(answer)["title"] == f"title {number}"
        elif kind == "read":
            answer = await rest.post(f"{path}/read", {"message_id": number}, self.person)
        elif number % 2:
            answer = await rest.post(f"{path}/members", {"members": [self.guest.id]}, self.person)
        else:
            answer = await rest.delete(f"{path}/members/{self.guest.id}", self.person)
        # Where the last life ended before its answer came, the guest may be gone already.
        assert answer.is_success or (kind == "guest" and answer.status_code == 404), answer.text
        self.told[kind] = number

    def check(self, server: ServerProcess) -> None:
        """What was acknowledged holds, or what was asked for since."""
        uri = (server.data_dir / "beseda.db").as_uri() + "?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
            title = database.execute("SELECT title FROM conversations WHERE id = ?", (self.chat,)).fetchone()[
                0
            ]
            rows = database.execute(
                "SELECT user_id, read_id FROM members WHERE conversation_id = ?", (self.chat,)
            )
            read_ids = dict(rows.fetchall())
        numbers = range(self.told["title"], self.asked["title"] + 1)
        assert title in {f"title {number}" if number else None for number in numbers}
        assert self.told["read"] <= read_ids[self.person.id] <= self.asked["read"]
        if self.told["guest"] == self.asked["guest"]:
            assert (self.guest.id in read_ids) == bool(self.told["guest"] % 2)


async def test_no_acknowledged_message_is_lost_when_the_server_is_killed_at_random_moments(
    make_scene: MakeScene,
) -> None:
    chance = random.Random(SEED)
    scene = make_scene(6, [range(5)])
    server, [chat] = scene.server, scene.chats
    owning, *talkers, caller, guest = scene.people
    outboxes = [Outbox(person, chat) for person in (*talkers, caller)]
    owner = Owner(owning, guest, chat)
    server.start()
    under_way, restarts, told = [], [], 0
    async with Rest(server) as rest:
        for _ in range(KILLS):
            before = sum(len(outbox.unacknowledged) for outbox in outboxes)
            sockets = [await open_socket(person) for person in talkers]
            async with asyncio.TaskGroup() as tasks:
                for outbox, socket in zip(outboxes, sockets, strict=False):
                    tasks.create_task(send_over_socket(outbox, socket))
                tasks.create_task(send_over_rest(outboxes[-1], rest))
                tasks.create_task(owner.work(rest, outboxes))
                await acknowledged(outboxes, chance.randrange(300))
                await asyncio.sleep(chance.random() * 0.02)
                under_way.append(sum(len(outbox.unacknowledged) for outbox in outboxes) - before)
                server.kill()
            if chance.random() < 0.2:  # and once more, while it starts
                server.launch()
                await asyncio.sleep(chance.random())
                server.kill()
            began = time.monotonic()
            server.restart()
            assert (await rest.get("/readyz")).status_code == 200
            restarts.append(time.monotonic() - began)
            rows = check_stored(server, outboxes)
            owner.check(server)
            told += sum(check_told(socket.received, rows) for socket in sockets)
        middle = statistics.median(restarts)
        times = f"{middle:.2f} s (median), {max(restarts):.2f} s at most"
        print(f"{KILLS} kills, {len(rows)} messages, back in {times}")  # noqa: T201 - a campaign's figures
        assert middle < 2 * RESTART_SECONDS, restarts
        assert max(under_way) > WINDOW, f"it was killed while hardly anything was under way: {under_way}"
        assert sum(map(bool, under_way)) > KILLS // 2, under_way
        assert told > KILLS, "hardly anyone was told anything"
        assert sum(outbox.refused for outbox in outboxes) == 0
        assert all(outbox.acked for outbox in outboxes)
        assert all(owner.told.values())
        # What nobody heard of is sent again under its own name, and is then there once, like all the rest.
        await repeat_all(outboxes, rest)
        rows = check_stored(server, outboxes, all_acked=True)
        history = await rest.whole_history(owning, chat)
    assert [(message["id"], message["seq"], message["text"]) for message in history] == [
        (row.id, row.seq, row.text) for row in rows
    ]


def check_told(received: list[Frame], rows: list[Row]) -> int:
    """Whatever a socket was told before the crash is stored, as it was told; how many messages those are."""
    kept = {row.id: row.text for row in rows}
    told = [frame["message"] for frame in received if frame["type"] == "new_message"]
    for message in told:
        assert kept.get(message["id"]) == message["text"], f"told, and lost: {message}"
    assert all(one["id"] < other["id"] for one, other in itertools.pairwise(told))
    return len(told)
