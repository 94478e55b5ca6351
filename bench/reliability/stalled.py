"""Readers that stop: each costs its backlog and no more, nobody else notices, and nothing is lost to them.

Long messages flow to all readers, who read in one phase and stop in the next. Then, after a burst of them, a reader
that stopped is closed with 4008, comes back with its cursor, and in the end holds the whole history. At last they come
back from the very beginning, and stop reading in the middle of the replay.
"""

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bench.gauge import Gauge
from bench.process import Server
from bench.reliability.follower import Follower
from bench.reliability.history import History
from bench.seed import Crowd, seed
from bench.wire import LOST, Frame, Wire, connect

AUTHORS = 30
EACH = 6
TEXT = "🙂" * 9_900
"""40 KB. Six of them are what the limits allow an author at once; all together are more than the system's own buffers
take (4 MiB) and the backlog."""

REFILL_SECONDS = 3.0
PAIRS = 5
PER_SECOND = 5.0
BACKLOG_MIB = 1.0
MESSAGE_MIB = len(TEXT.encode()) / 2**20
BURST_MIB = AUTHORS * EACH * MESSAGE_MIB
"""A backlog is measured before more is added: what one commit brings may come on top."""

PASSING = 4
"""How often a burst may be in memory on its way through: received, decoded, stored, encoded."""

FLOW_AUTHORS = 10
FLOW_PER_SECOND = 1.8

TOO_SLOW = 4008
GIVE_UP_SECONDS = 60.0


@dataclass(frozen=True)
class Plan:
    """How many readers stop at once, how often, and for how long in the middle of a replay, in seconds."""

    readers: int = 20
    rounds: int = 4
    flow_seconds: float = 10.0
    replay_seconds: float = 5.0
    stuck_seconds: float = 0.0
    """If it is not 0, the last reader stops for so long with less than its backlog waiting."""


SHORT = Plan(readers=3, rounds=0, replay_seconds=0.5)


class Reader:
    """A client that can stop, and comes back where it was."""

    def __init__(self, port: int, token: str, name: str) -> None:
        self.log = Follower(name)
        self.codes: Counter[int] = Counter()
        self.wire: Wire
        self._port = port
        self._token = token
        self._is_told = asyncio.Event()

    async def come(self, *, stops: bool = False) -> None:
        """Connect where it left off; and either read till it has all, or stop at the hello."""
        self._is_told.clear()
        self.wire = await connect(
            self._port, self._token, self._take, {"since": self.log.cursor}, receive_buffer=4096
        )
        if stops:
            self.wire.transport.pause_reading()
        else:
            await asyncio.wait_for(self._is_told.wait(), GIVE_UP_SECONDS)

    async def caught_up(self) -> None:
        """Read on, up to the end of the replay."""
        self.wire.transport.resume_reading()
        await asyncio.wait_for(self._is_told.wait(), GIVE_UP_SECONDS)

    async def go_on(self, seconds: float = 5.0) -> None:
        """Read on after a stop: to the end of the connection if the server gave it up, and then come back.

        After so many seconds without an end it was not given up.
        """
        self.wire.transport.resume_reading()
        await asyncio.wait([self.wire.closed], timeout=seconds)
        if self.wire.closed.done():
            self.codes[self.wire.closed.result()] += 1
            await self.come()

    def _take(self, frame: Frame) -> None:
        self.log.take(frame)
        if frame["type"] in ("resumed", "resync"):
            self._is_told.set()
        if frame["type"] == "resync":
            self.log.faults.append(f"{self.log.name} got {frame}")


async def run(folder: Path, plan: Plan) -> list[str]:
    """Run it; what was broken."""
    data_dir = folder / "data"
    readers = list(range(plan.readers))
    authors = list(range(plan.readers, plan.readers + AUTHORS))
    others = [plan.readers + AUTHORS + number for number in range(2 * PAIRS)]
    groups = [[author, *readers] for author in authors]
    # The readers are in these, too: what they cost those who write to them is what counts.
    groups += [[others[2 * pair], others[2 * pair + 1], *readers] for pair in range(PAIRS)]
    crowd = await asyncio.to_thread(seed, data_dir, len(readers) + AUTHORS + 2 * PAIRS, groups)
    # However long it takes: what the readers have is compared with all that happened.
    with Server(data_dir, {"LIMITS__RESUME_EVENTS": "1000000"}) as server:
        room = Room(server, crowd, plan)
        pairs = [
            (
                crowd.tokens[others[2 * pair]],
                crowd.tokens[others[2 * pair + 1]],
                crowd.conversations[AUTHORS + pair],
            )
            for pair in range(PAIRS)
        ]
        async with room.gauge.running(server.port, pairs), room.watching():
            await asyncio.gather(*(reader.come() for reader in room.readers))
            await room.stop_and_go()
            await room.stop_for_a_burst()
            await room.stop_in_the_replay()
            if plan.stuck_seconds:
                await room.get_stuck(plan.stuck_seconds)
        await room.settle(data_dir)
        memberships = {
            conversation: [frozenset(crowd.ids[index] for index in group)]
            for conversation, group in zip(crowd.conversations, groups, strict=True)
        }
        history = History(data_dir, memberships)
    room.report()
    faults = history.faults + room.faults()
    for index, reader in zip(readers, room.readers, strict=True):
        faults += history.compare(crowd.ids[index], reader.log)
    return faults


class Room:
    """The readers, the authors and the measures."""

    def __init__(self, server: Server, crowd: Crowd, plan: Plan) -> None:
        self.gauge = Gauge(PER_SECOND)
        self.readers = [
            Reader(server.port, token, f"reader {number}")
            for number, token in enumerate(crowd.tokens[: plan.readers])
        ]
        self._plan = plan
        self._server = server
        self._conversations = crowd.conversations[:AUTHORS]
        self._authors = crowd.tokens[plan.readers : plan.readers + AUTHORS]
        self._memory: dict[str, list[float]] = defaultdict(list)
        self._bursts = 0

    async def stop_and_go(self) -> None:
        """Alternate: all read, all stop."""
        for _ in range(self._plan.rounds):
            self.gauge.phase = "reading"
            await self._flow()
            self.gauge.phase = "stopped"
            for reader in self.readers:
                reader.wire.transport.pause_reading()
            await self._flow()
            self.gauge.phase = "returning"
            await asyncio.gather(*(reader.go_on() for reader in self.readers))

    async def stop_for_a_burst(self) -> None:
        """All stop, and read on at once when they are closed: only for a short time can they learn why."""
        await self._begin("burst")
        for reader in self.readers:
            reader.wire.transport.pause_reading()
        await self._burst()
        await asyncio.gather(*(reader.go_on(GIVE_UP_SECONDS) for reader in self.readers))

    async def stop_in_the_replay(self) -> None:
        """Everyone comes back from the beginning, and stops at the hello for a while."""
        for reader in self.readers:
            reader.wire.abort()
            reader.log = Follower(reader.log.name)
        await self._begin("stopped in the replay")
        await asyncio.gather(*(reader.come(stops=True) for reader in self.readers))
        await asyncio.sleep(self._plan.replay_seconds)
        self.gauge.phase = "replaying"
        await asyncio.gather(*(reader.caught_up() for reader in self.readers))

    async def get_stuck(self, seconds: float) -> None:
        """One reader stops for so long that it is given up, with little waiting."""
        await self._begin("stuck")
        reader = self.readers[-1]
        reader.wire.transport.pause_reading()
        await self._burst(12)
        await asyncio.sleep(seconds)
        before = reader.codes.copy()
        await reader.go_on()
        print(f"stalled: stuck for {seconds:g} s, then closed with {dict(reader.codes - before)}")

    async def settle(self, data_dir: Path) -> None:
        """Let the readers get what is under way."""
        tip = History(data_dir, {}).last_message()
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while self._are_behind(tip) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        for reader in self.readers:
            reader.wire.abort()

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Note the server's memory all the time."""

        async def watch() -> None:
            while True:
                self._memory[self.gauge.phase].append(self._server.rss())
                await asyncio.sleep(0.02)

        task = asyncio.create_task(watch())
        try:
            yield
        finally:
            task.cancel()

    def report(self) -> None:
        """Print the figures."""
        codes = sum((reader.codes for reader in self.readers), Counter())
        print(f"stalled: {len(self.readers)} readers, {self._plan.rounds} rounds, closed with {dict(codes)}")
        for phase, times in self.gauge.times.items():
            memory = self._memory[phase] or [0.0]
            print(f"  {phase}: {times}; RSS {memory[0]:.0f} -> {max(memory):.0f} -> {memory[-1]:.0f} MiB")
        print(
            f"  stopped readers took {self._growth('stopped'):.1f} MiB of memory together,"
            f" with a burst of {BURST_MIB:.1f} MiB {self._growth('burst'):.1f} MiB"
        )

    def faults(self) -> list[str]:
        """What was broken, logs aside."""
        faults = list(self.gauge.faults)
        faults += [
            f"{reader.log.name} was closed with {dict(reader.codes)}"
            for reader in self.readers
            # Who reads on too late to see its close finds the connection gone.
            if not reader.codes or set(reader.codes) - {TOO_SLOW, LOST}
        ]
        readers = len(self.readers)
        if not self._plan.rounds:
            return faults  # too short for memory to tell anything: tests of the hub hold each backlog to its bound
        if self._growth("stopped") > readers * (BACKLOG_MIB + MESSAGE_MIB) or self._growth(
            "burst"
        ) > PASSING * BURST_MIB + readers * (BACKLOG_MIB + BURST_MIB):
            faults.append("the stopped readers took more than their backlog")
        return faults

    def _are_behind(self, tip: int) -> bool:
        return any(reader.log.cursor < tip for reader in self.readers)

    def _growth(self, phase: str) -> float:
        """Beyond what the same flow costs when all read, or what there was before."""
        seen = self._memory[phase] or [0.0]
        base = max(self._memory["reading"]) if self._memory["reading"] else seen[0]
        return max(seen) - base

    async def _begin(self, phase: str) -> None:
        self.gauge.phase = phase
        await asyncio.sleep(REFILL_SECONDS)

    async def _burst(self, authors: int = AUTHORS) -> None:
        self._bursts += 1
        await asyncio.gather(*(self._write(number) for number in range(authors)))

    async def _flow(self) -> None:
        """A steady stream, slow enough for the limits."""
        self._bursts += 1
        count = int(self._plan.flow_seconds * FLOW_PER_SECOND)
        await asyncio.gather(
            *(self._write(number, count, 1 / FLOW_PER_SECOND) for number in range(FLOW_AUTHORS))
        )

    async def _write(self, number: int, count: int = EACH, pause: float = 0) -> None:
        await asyncio.sleep(pause * number / FLOW_AUTHORS)
        names = [f"{self._bursts} {number} {place}" for place in range(count)]
        left = set(names)
        done = asyncio.Event()

        def on_frame(frame: Frame) -> None:
            if frame["type"] == "message_sent":
                left.discard(frame["temp_id"])
            elif frame["type"] == "error":
                asyncio.get_running_loop().call_later(frame.get("retry_after", 1), say, frame["temp_id"])
            if not left:
                done.set()

        wire = await connect(self._server.port, self._authors[number], on_frame)

        def say(name: str) -> None:
            frame = {"type": "send_message", "temp_id": name, "conversation_id": self._conversations[number]}
            wire.send({**frame, "text": name + TEXT, "attachments": []})

        for name in names:
            say(name)
            await asyncio.sleep(pause)
        await asyncio.wait_for(done.wait(), GIVE_UP_SECONDS)
        wire.abort()
