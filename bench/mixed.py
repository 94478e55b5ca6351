"""A working day in short: `python -m bench.mixed [--seconds S] [--full]`.

400 people, all online, write 400 messages a second at random moments, whatever the answers do: half of them in dialogs,
half in groups of 5 to 50. That is a message a second from everybody, some fifty times a real day's pace; the shares of
what they do besides are a day's. With each message come

- a `typing_start` just before it, and for three in ten another one that ends with `typing_stop` and without a message;
- 1.5 `read`s, by people who were handed a message a moment before;
- 0.05 pages of history and 0.02 lists of conversations, over REST;
- 0.02 departures: someone's socket is gone, and back half a second later. Every second time it takes 7 s (in a longer
  run): then contacts hear that it went offline, and came back.

Presence, receipts and durability are on, the rates high. `server_cpu` is in cores, and a core has room for
`messages_per_s` divided by it.
"""

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.aside import aside
from bench.gauge import percentile
from bench.process import Server
from bench.rest import Rest
from bench.scale import COUNTED, Figures, Scale, show
from bench.seed import seed
from bench.usage import Window
from bench.wire import Frame, Wire, connect

PEOPLE = 400
PER_SECOND = 400.0
GROUP_SIZES = (5, 8, 12, 20, 50)
GROUPS_OF_EACH = 8
DIALOGS_EACH = 2

READS, STOPS, PAGES, LISTS, DEPARTURES = 1.5, 0.3, 0.05, 0.02, 0.02
AWAY_SECONDS = (0.5, 7.0)
READERS = 8
"""HTTP connections that are kept."""

SETTLE_SECONDS = 1.0
ANSWER_SECONDS = 30.0


def run(scale: Scale) -> Figures:
    """What the server cost by message, all else included, and how long messages took."""
    return uvloop.run(_run(PEOPLE, PER_SECOND, scale.seconds))


@dataclass(frozen=True)
class Place:
    """A conversation, and who is in it, by indexes."""

    conversation_id: int
    members: list[int]


async def _run(people: int, per_second: float, seconds: float) -> Figures:
    chance = random.Random(people)
    with tempfile.TemporaryDirectory(prefix="beseda-mixed-") as folder:
        data_dir = Path(folder) / "data"
        dialogs = {tuple(sorted(chance.sample(range(people), 2))) for _ in range(people * DIALOGS_EACH)}
        groups = [
            chance.sample(range(people), min(size, people))
            for size in GROUP_SIZES
            for _ in range(GROUPS_OF_EACH)
        ]
        members = [list(pair) for pair in sorted(dialogs)] + groups
        crowd = await asyncio.to_thread(seed, data_dir, people, members)
        places = [Place(*pair) for pair in zip(crowd.conversations, members, strict=True)]
        with Server(data_dir, COUNTED) as server:
            return await aside(_work, server.port, server.pid, crowd.tokens, places, per_second, seconds)


async def _work(
    port: int, pid: int, tokens: list[str], places: list[Place], per_second: float, seconds: float
) -> Figures:
    office = Office(port, tokens, places)
    await office.open()
    await asyncio.sleep(SETTLE_SECONDS)
    window = Window(pid)
    await office.work(per_second, seconds)
    await office.settle()
    figures = {
        "messages_per_s": len(office.acks) / window.seconds(),
        "frames_per_message": office.frames / len(office.acks),
        "cpu_us_per_message": window.cpu() / len(office.acks) * 1e6,
        "ack_p50_ms": percentile(office.acks, 0.5) * 1e3,
        "ack_p99_ms": percentile(office.acks, 0.99) * 1e3,
        "delivery_p50_ms": percentile(office.deliveries, 0.5) * 1e3,
        "delivery_p99_ms": percentile(office.deliveries, 0.99) * 1e3,
        "rss_mib": window.usage.rss(),
        **window.shares(),
    }
    office.close()
    return figures


class Office:
    """All people at work."""

    def __init__(self, port: int, tokens: list[str], places: list[Place]) -> None:
        self.acks: list[float] = []
        self.deliveries: list[float] = []
        self.frames = 0
        """That were received."""
        self._port = port
        self._tokens = tokens
        self._dialogs = [place for place in places if len(place.members) == 2]
        self._groups = [place for place in places if len(place.members) > 2]
        self._chance = random.Random(port)
        self._wires: dict[int, Wire] = {}
        talking = [person for place in self._groups for person in place.members]
        self._rests = {person: Rest(port, tokens[person]) for person in talking[:READERS]}
        self._idle = list(self._rests)
        self._sent: dict[str, float] = {}
        self._unanswered: Counter[int] = Counter()
        self._faults: list[str] = []
        self._handed: dict[int, tuple[int, int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Have everybody connect."""
        for person in range(len(self._tokens)):
            await self._connect(person)

    async def work(self, per_second: float, seconds: float) -> None:
        """Write, and do all that goes with it."""
        loop = asyncio.get_running_loop()
        due, end = loop.time(), loop.time() + seconds
        while due < end:
            await asyncio.sleep(due - loop.time())
            due += self._chance.expovariate(per_second)
            self._write()
            for share, act in (
                (STOPS, self._type_in_vain),
                (READS, self._read),
                (PAGES, self._page),
                (LISTS, self._list),
                (DEPARTURES, self._depart),
            ):
                for _ in range(int(share + self._chance.random())):
                    act()

    async def settle(self) -> None:
        """Wait for all answers. Raises RuntimeError where something was refused, or not answered."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while self._unanswered.total() and not self._faults:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        if self._faults:
            raise RuntimeError(self._faults[0])
        for task in self._tasks:
            if task.done():
                task.result()

    def close(self) -> None:
        """Break everything off."""
        for task in self._tasks:
            task.cancel()
        for wire in self._wires.values():
            wire.abort()
        for rest in self._rests.values():
            rest.close()

    # What people do.

    def _write(self) -> None:
        place, person = self._somewhere()
        wire = self._wires.get(person)
        if wire is None:
            return
        name = f"{person} {len(self._sent)}"
        self._sent[name] = time.perf_counter()
        self._unanswered[person] += 1
        wire.send({"type": "typing_start", "conversation_id": place.conversation_id})
        wire.send(
            {
                "type": "send_message",
                "temp_id": name,
                "conversation_id": place.conversation_id,
                "text": name,
                "attachments": [],
            }
        )

    def _type_in_vain(self) -> None:
        place, person = self._somewhere()
        if wire := self._wires.get(person):
            wire.send({"type": "typing_start", "conversation_id": place.conversation_id})
            wire.send({"type": "typing_stop", "conversation_id": place.conversation_id})

    def _read(self) -> None:
        if not self._handed:
            return
        person, (conversation_id, message_id) = self._handed.popitem()
        if wire := self._wires.get(person):
            wire.send({"type": "read", "conversation_id": conversation_id, "message_id": message_id})

    def _page(self) -> None:
        self._ask("/chats/{}/messages?limit=50")

    def _list(self) -> None:
        self._ask("/chats?limit=50")

    def _depart(self) -> None:
        person = self._chance.randrange(len(self._tokens))
        # An ACK that nobody hears would be waited for.
        if not self._unanswered[person] and (wire := self._wires.pop(person, None)):
            self._begin(self._come_back(person, wire))

    # Inside.

    def _somewhere(self) -> tuple[Place, int]:
        place = self._chance.choice(self._dialogs if self._chance.random() < 0.5 else self._groups)
        return place, self._chance.choice(place.members)

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        self._tasks.add(asyncio.create_task(work))

    async def _come_back(self, person: int, wire: Wire) -> None:
        wire.abort()
        await asyncio.sleep(self._chance.choice(AWAY_SECONDS))
        await self._connect(person)

    async def _connect(self, person: int) -> None:
        self._wires[person] = await connect(
            self._port, self._tokens[person], lambda frame: self._received(person, frame)
        )

    def _ask(self, path: str) -> None:
        if self._idle:
            self._begin(self._get(self._idle.pop(), path))

    async def _get(self, person: int, path: str) -> None:
        mine = [place for place in self._groups if person in place.members]
        asked = path.format(self._chance.choice(mine).conversation_id)
        answer = await self._rests[person].call("GET", asked)
        self._idle.append(person)
        if answer.status != 200:
            raise RuntimeError(f"{asked} was answered {answer.status}: {answer.body!r}")

    def _received(self, person: int, frame: Frame) -> None:
        self.frames += 1
        match frame["type"]:
            case "message_sent":
                self.acks.append(time.perf_counter() - self._sent[frame["temp_id"]])
                self._unanswered[person] -= 1
            case "new_message":
                message = frame["message"]
                self.deliveries.append(time.perf_counter() - self._sent[message["text"]])
                self._handed[person] = (frame["conversation_id"], message["id"])
            case "error":
                self._faults.append(f"someone got {frame}")


if __name__ == "__main__":
    show(run)
