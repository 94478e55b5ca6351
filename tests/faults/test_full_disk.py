"""A disk that fills under a running server, and has room again."""

import asyncio
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import MakeScene, Scene
from tests.support.disks import mounted
from tests.support.faults import Faults
from tests.support.fixtures import Connect
from tests.support.load import Outbox, check_stored
from tests.support.rest import Rest, refused
from tests.support.socket import Socket

WAIT = 20
MUCH = "much of it " * 800


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    with mounted(tmp_path / "disk", megabytes=4) as folder:
        yield folder


class House:
    """A dialog of two on a server whose disk fills: one sends over a socket and over REST, the other listens."""

    def __init__(self, scene: Scene, rest: Rest, connect: Connect, sender: Socket, listener: Socket) -> None:
        self.server, self.rest, self.connect = scene.server, rest, connect
        self.sender, self.listener = sender, listener
        self.one, self.other = scene.people
        [self.chat] = scene.chats
        self.outbox = Outbox(self.one, self.chat)

    async def send(self, temp_id: str) -> bool:
        """Send it over the socket; whether it was acknowledged, and not refused as `unavailable`."""
        text = self.outbox.sent[temp_id]
        await self.sender.send_message(self.chat, text, temp_id=temp_id)
        answer = await self.sender.next(where=lambda frame: frame.get("temp_id") == temp_id)
        if answer["type"] == "message_sent":
            self.outbox.settle(temp_id, answer["message"])
            return True
        assert answer["code"] == "unavailable", answer
        return False

    def write(self) -> str:
        """A long message."""
        temp_id = self.outbox.write()
        self.outbox.sent[temp_id] += MUCH
        return temp_id

    async def check_while_full(self) -> None:
        """Senders are told to come back, over either road; all else goes on."""
        for _ in range(3):
            assert not await self.send(self.write())
        temp_id = self.write()
        body = {"text": self.outbox.sent[temp_id], "temp_id": temp_id}
        path = f"/chats/{self.chat}/messages"
        refused(await self.rest.post(path, body, self.one), 503, "unavailable")
        refused(
            await self.rest.post("/chats", {"type": "group", "members": []}, self.one), 503, "unavailable"
        )
        assert (await self.rest.get("/healthz")).status_code == 200
        history = await self.rest.whole_history(self.other, self.chat)
        assert [message["id"] for message in history] == list(self.outbox.acked.values())
        assert (await self.rest.get("/chats", self.other)).status_code == 200
        await self.sender.send({"type": "typing_start", "conversation_id": self.chat})
        await self.listener.next("typing")
        await self.connect(self.other)

    async def check_after_healing(self) -> None:
        """Without a restart: what is sent again is stored once, and told once."""
        again = self.outbox.unacknowledged
        assert len(again) >= 4
        for temp_id in again:
            assert await self.send(temp_id)
        async with asyncio.timeout(WAIT):
            while (await self.rest.get("/readyz")).status_code != 200:  # an answer is good for a second
                await asyncio.sleep(0.05)
        rows = check_stored(self.server, [self.outbox], all_acked=True)
        await self.listener.settle()
        told = [frame["message"]["id"] for frame in self.listener.received if frame["type"] == "new_message"]
        assert told == [row.id for row in rows]


async def moved_in(scene: Scene, rest: Rest, connect: Connect) -> House:
    house = House(scene, rest, connect, *[await connect(person) for person in scene.people])
    assert await house.send(house.write())
    return house


async def test_a_disk_that_is_full_refuses_what_is_sent_and_nothing_else_and_heals(
    small_disk: Path, make_scene: MakeScene, connect: Connect
) -> None:
    scene = make_scene(2, [[0, 1]], folder=small_disk)
    async with Rest(scene.server.start()) as rest:
        house = await moved_in(scene, rest, connect)
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        await house.check_while_full()
        filler.unlink()
        await house.check_after_healing()


@pytest.mark.gate
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT], ids=["full", "past its quota"])
async def test_a_disk_that_lets_the_database_grow_no_more_is_a_full_one(
    make_scene: MakeScene, connect: Connect, faults: Faults, error: int
) -> None:
    scene = make_scene(2, [[0, 1]], faults=faults)
    async with Rest(scene.server.start()) as rest:
        house = await moved_in(scene, rest, connect)
        faults.fill_disk(error)
        await house.check_while_full()
        refused(await rest.get("/readyz"), 503, "unavailable")
        assert faults.failed > 3
        faults.make_room()
        await house.check_after_healing()
