"""What honest users notice: how long their messages take, while something else is going on or is not."""

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from bench.wire import Frame, Wire, connect

ANSWER_SECONDS = 30.0


@dataclass
class Times:
    """Seconds that messages of one phase took: to their ACK, and to the other side."""

    acks: list[float] = field(default_factory=list)
    deliveries: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return f"ACK {_line(self.acks)}, delivery {_line(self.deliveries)} (n={len(self.acks)})"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which so large a share lies; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def _line(values: Sequence[float]) -> str:
    p50, p99, most = (1000 * percentile(values, share) for share in (0.5, 0.99, 1))
    return f"p50 {p50:.1f} p99 {p99:.1f} max {most:.0f} ms"


class Gauge:
    """Pairs of honest users who write to each other at a steady pace, whatever the answers do."""

    def __init__(self, per_second: float) -> None:
        self.phase = ""
        """What is going on now; what is sent counts there."""
        self.times: dict[str, Times] = defaultdict(Times)
        self.faults: list[str] = []
        """Refusals and closed sockets: there must be none."""
        self._pause = 1 / per_second
        self._sent: dict[str, tuple[str, float]] = {}
        self._undelivered: set[str] = set()
        self._number = 0

    @contextlib.asynccontextmanager
    async def running(self, port: int, pairs: Sequence[tuple[str, str, int]]) -> AsyncIterator[None]:
        """Write, in pairs of (a token, another token, their dialog), until the end of the block."""
        wires = [
            await connect(port, token, self._received) for one, other, _ in pairs for token in (one, other)
        ]
        dialogs = [dialog for _, _, dialog in pairs for _ in range(2)]
        tasks = [
            asyncio.create_task(self._write(wire, dialog))
            for wire, dialog in zip(wires, dialogs, strict=True)
        ]
        for wire in wires:
            wire.closed.add_done_callback(self._lost)
        try:
            yield
            for task in tasks:
                task.cancel()
            await self._settle()
        finally:
            for task in tasks:
                task.cancel()
            for wire in wires:
                wire.closed.remove_done_callback(self._lost)
                wire.abort()

    async def _write(self, wire: Wire, dialog: int) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + random.random() * self._pause
        while True:
            await asyncio.sleep(due - loop.time())
            due += self._pause * random.uniform(0.5, 1.5)
            self._number += 1
            name = f"gauge {id(self)} {self._number}"
            self._sent[name] = (self.phase, time.perf_counter())
            self._undelivered.add(name)
            wire.send(
                {
                    "type": "send_message",
                    "temp_id": name,
                    "conversation_id": dialog,
                    "text": name,
                    "attachments": [],
                }
            )

    def _received(self, frame: Frame) -> None:
        match frame["type"]:
            case "message_sent":
                phase, sent = self._sent[frame["temp_id"]]
                self.times[phase].acks.append(time.perf_counter() - sent)
            case "new_message" if frame["message"]["text"] in self._undelivered:
                name = frame["message"]["text"]
                self._undelivered.discard(name)
                phase, sent = self._sent[name]
                self.times[phase].deliveries.append(time.perf_counter() - sent)
            case "error":
                self.faults.append(f"an honest user got {frame}")

    def _lost(self, closed: "asyncio.Future[int]") -> None:
        self.faults.append(f"an honest user's socket was closed with {closed.result()}")

    async def _settle(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                while self._unanswered() or self._undelivered:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        if self._unanswered() or self._undelivered:
            self.faults.append(
                f"{self._unanswered()} messages without an ACK, {len(self._undelivered)} not delivered"
            )

    def _unanswered(self) -> int:
        return len(self._sent) - sum(len(times.acks) for times in self.times.values())
