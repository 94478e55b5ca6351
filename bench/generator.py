"""The load: a process of its own that opens the sockets, keeps messages under way, and counts.

    python -m bench.generator <plan.json

It counts bytes instead of parsing, and masks with a key of zeros, so that it is not what is measured; its own CPU
stands among the figures. Every message must be acknowledged once, and reach everybody once: else there are no figures.
"""

import asyncio
import gc
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
import uvloop

from bench.clients import Client, Sampler, Sender, connect
from bench.dialects import DIALECTS, Dialect
from bench.peer import ROOT, allow_descriptors
from bench.scale import Figures
from bench.usage import Usage

WARM_UP = 0.2
"""Of the time that is measured, before it, at least."""
SAMPLES = 16
"""Receivers, evenly among all, whose deliveries are timed."""
QUIET_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Seat:
    """A socket: who logs in, and the conversation it is there for."""

    credential: str
    conversation: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    `fan_out` is to how many others each message goes. Each sender keeps `outstanding` messages under way; or, with a
    `rate`, all together send so many messages a second, whatever the answers do.
    """

    dialect: str
    port: int
    pids: Sequence[int]
    senders: Sequence[Seat]
    receivers: Sequence[Seat]
    fan_out: int
    outstanding: int = 1
    rate: float = 0.0
    seconds: float = 5.0
    patience: float = 60.0
    """Seconds that the first ACKs and deliveries may take, and the last."""


def drive(plan: Plan) -> Figures:
    """Run the plan in a process of its own. Raises RuntimeError with what went wrong there."""
    finished = subprocess.run(
        [sys.executable, "-m", "bench.generator"],
        cwd=ROOT,
        input=orjson.dumps(plan),
        capture_output=True,
        check=False,
    )
    if finished.returncode != 0:
        raise RuntimeError(finished.stderr.decode("utf-8", "replace").strip())
    figures: Figures = orjson.loads(finished.stdout)
    return figures


@dataclass(frozen=True, slots=True)
class Mark:
    """What had happened, and been used, at one moment."""

    at: float
    cpu: float
    own: float
    messages: int
    deliveries: int


class Load:
    """A plan under way."""

    def __init__(self, plan: Plan, dialect: Dialect) -> None:
        self._plan = plan
        self._servers = [Usage(pid) for pid in plan.pids]
        # A room's own message that comes back to its sender is a delivery like any other.
        self._echoes = dialect.echoes(plan.senders[0].conversation)
        self._fan_out = plan.fan_out + self._echoes
        self._senders = [
            Sender(dialect, number, seat.credential, seat.conversation)
            for number, seat in enumerate(plan.senders)
        ]
        sent = [sender.sent for sender in self._senders]
        step = max(1, len(plan.receivers) // SAMPLES)
        samplers = [
            Sampler(dialect, seat.credential, seat.conversation, sent) for seat in plan.receivers[::step]
        ]
        others = [
            Client(dialect, seat.credential, seat.conversation)
            for number, seat in enumerate(plan.receivers)
            if number % step
        ]
        self._clients = [*self._senders, *samplers, *others]
        self._acks = [sender.seconds for sender in self._senders]
        self._times = [sampler.seconds for sampler in samplers]

    async def run(self) -> Figures:
        """Connect, send, and reckon. Raises RuntimeError where something was lost or came twice."""
        await connect(self._clients, self._plan.port)
        await self._quiet()
        gc.collect()
        gc.freeze()
        pacer = self._start()
        # Until caches are filled, and what was sent first is through: its ACKs come sooner than all that follow.
        await self._until(self._plan.seconds * WARM_UP, self._is_warm)
        for seconds in self._acks + self._times:
            seconds.clear()
        begin = self._mark()
        await self._until(
            self._plan.seconds, self._has_some
        )  # longer on a machine too busy for a first answer
        end = self._mark()
        for client in self._clients:
            client.check()
        figures = self._figures(begin, end)
        if pacer is not None:
            pacer.cancel()
        for sender in self._senders:
            sender.outstanding = 0
        await self._settle()
        return figures

    async def _quiet(self) -> None:
        """Wait until the server has told everybody who came."""
        deadline = time.monotonic() + self._plan.patience
        before = float("-inf")
        while (cpu := self._cpu()) - before > 0.05 * QUIET_SECONDS and time.monotonic() < deadline:
            before = cpu
            await asyncio.sleep(QUIET_SECONDS)

    def _start(self) -> "asyncio.Task[None] | None":
        if self._plan.rate:
            return asyncio.create_task(self._pace())
        for sender in self._senders:
            sender.outstanding = self._plan.outstanding
            sender.send(sender.outstanding)
        return None

    async def _until(self, seconds: float, is_seen: Callable[[], bool]) -> None:
        """Wait so long at least, and until it is seen. Raises RuntimeError where it isn't in the end."""
        await asyncio.sleep(seconds)
        deadline = time.monotonic() + self._plan.patience
        while not is_seen():
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"after {self._plan.patience:g} s somebody had no answer yet: "
                    f"{self._messages()} messages acknowledged, {self._deliveries()} deliveries in all"
                )
            for client in self._clients:
                client.check()
            await asyncio.sleep(0.01)

    def _is_warm(self) -> bool:
        return all(len(seconds) >= self._plan.outstanding for seconds in self._acks) and all(self._times)

    def _has_some(self) -> bool:
        return any(self._acks) and any(self._times)

    async def _pace(self) -> None:
        due = time.perf_counter()
        while True:
            for sender in self._senders:
                sender.send(1)
                due += 1 / self._plan.rate
                await asyncio.sleep(due - time.perf_counter())

    async def _settle(self) -> None:
        """Wait for the last ACK and delivery, and see that nothing comes after them."""
        deadline = time.monotonic() + self._plan.patience
        while self._wrong() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        if wrong := self._wrong():
            raise RuntimeError(wrong)

    def _wrong(self) -> str | None:
        """What is not as it must be in the end: each ACK once, and each delivery once to each who should have it."""
        in_conversation: Counter[str] = Counter()
        for sender in self._senders:
            in_conversation[sender.conversation] += len(sender.sent)
            if sender.acks != len(sender.sent):
                return f"{len(sender.sent)} messages of a sender, {sender.acks} acknowledged"
        sent = sum(in_conversation.values())
        if sent * self._fan_out != self._deliveries():
            return f"{sent} messages, {self._deliveries()} deliveries, {sent * self._fan_out} expected"
        for client in self._clients:
            client.check()
            owed = in_conversation[client.conversation]
            if isinstance(client, Sender) and not self._echoes:
                owed -= len(client.sent)
            if client.deliveries != owed:
                return f"{client.deliveries} deliveries to a client, {owed} expected"
        return None

    def _messages(self) -> int:
        return sum(sender.acks for sender in self._senders)

    def _deliveries(self) -> int:
        return sum(client.deliveries for client in self._clients)

    def _cpu(self) -> float:
        return sum(server.cpu() for server in self._servers)

    def _mark(self) -> Mark:
        return Mark(
            time.perf_counter(), self._cpu(), time.process_time(), self._messages(), self._deliveries()
        )

    def _figures(self, begin: Mark, end: Mark) -> Figures:
        took, cpu = end.at - begin.at, end.cpu - begin.cpu
        messages, deliveries = end.messages - begin.messages, end.deliveries - begin.deliveries
        acks = [took for seconds in self._acks for took in seconds]
        times = [took for seconds in self._times for took in seconds]
        if not messages or not deliveries or not acks or not times:
            raise RuntimeError(f"{messages} messages and {deliveries} deliveries in {took:.1f} s: too few")
        return {
            "messages_per_s": messages / took,
            "deliveries_per_s": deliveries / took,
            "ack_p50_ms": statistics.median(acks) * 1e3,
            "ack_p99_ms": _p99(acks) * 1e3,
            "delivery_p50_ms": statistics.median(times) * 1e3,
            "delivery_p99_ms": _p99(times) * 1e3,
            "cpu_us_per_message": cpu / messages * 1e6,
            "cpu_us_per_delivery": cpu / deliveries * 1e6,
            "server_cpu": cpu / took,
            "generator_cpu": (end.own - begin.own) / took,
            "rss_mib": sum(server.rss() for server in self._servers),
        }


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def main() -> None:
    """Read a plan on stdin, print the figures as JSON."""
    read = orjson.loads(sys.stdin.buffer.read())
    senders, receivers = ([Seat(**seat) for seat in read.pop(name)] for name in ("senders", "receivers"))
    plan = Plan(senders=senders, receivers=receivers, **read)
    allow_descriptors()
    try:
        figures = uvloop.run(Load(plan, DIALECTS[plan.dialect]).run())
    except (OSError, RuntimeError) as error:
        sys.exit(str(error))
    print(orjson.dumps(figures).decode())


if __name__ == "__main__":
    main()
