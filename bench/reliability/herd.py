"""Everybody comes back at once after a restart, each some events behind, while others go on writing."""

import asyncio
import contextlib
import random
import resource
import sqlite3
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.aside import aside
from bench.gauge import Gauge
from bench.process import Server
from bench.seed import Crowd, seed
from bench.wire import Frame, Rejected, connect

GROUP_SIZE = 20
GROUPS_EACH = 3
PAIRS = 10
PER_SECOND = 5.0
PROMISED_SECONDS = 30.0
GIVE_UP_SECONDS = 120.0


@dataclass(frozen=True)
class Plan:
    """How many clients come back, how many events each is behind, and for how long others write afterwards."""

    clients: int = 2000
    behind: int = 50
    quiet_seconds: float = 10.0


SHORT = Plan(clients=60, quiet_seconds=0.5)


@dataclass
class Return:
    """How it went for one client: when it was open and when it had all, on the monotonic clock; what it was told."""

    opened: float
    resumed: float
    attempts: int
    told: list[int]


async def run(folder: Path, plan: Plan, promised_seconds: float = PROMISED_SECONDS) -> list[str]:
    """Run it; what was broken."""
    raise_descriptor_limit()
    data_dir = folder / "data"
    groups = _groups(plan)
    pairs = [[plan.clients + 2 * pair, plan.clients + 2 * pair + 1] for pair in range(PAIRS)]
    crowd = await asyncio.to_thread(seed, data_dir, plan.clients + 2 * PAIRS, groups + pairs)
    gauge = Gauge(PER_SECOND)
    with Server(data_dir) as server:
        alone = server.descriptors()
        since = await _fill(server, crowd, groups, plan)
        flock = asyncio.create_task(aside(_flock, server.port, crowd.tokens[: plan.clients], since))
        while server.descriptors() < alone + plan.clients:
            await _pause(flock)
        drained = await asyncio.to_thread(server.stop)
        server.start()
        began = time.monotonic()
        gauge.phase = "herd"
        dialogs = crowd.conversations[len(groups) :]
        async with gauge.running(
            server.port,
            [
                (crowd.tokens[one], crowd.tokens[other], dialog)
                for (one, other), dialog in zip(pairs, dialogs, strict=True)
            ],
        ):
            returns = await flock
            gauge.phase = "quiet"
            await asyncio.sleep(plan.quiet_seconds)
        took = sorted(one.resumed - began for one in returns)
        opened = sorted(one.opened - began for one in returns)
        print(
            f"herd: {plan.clients} clients, {sum(len(one.told) for one in returns) / len(returns):.0f} events each"
        )
        print(
            f"  drained in {drained:.1f} s; open: {_spread(opened)}; back: {_spread(took)};"
            f" {sum(one.attempts for one in returns)} attempts; peak {server.peak():.0f} MiB"
        )
        for phase, times in gauge.times.items():
            print(f"  {phase}: {times}")
    faults = gauge.faults + _compare(data_dir, groups, crowd, since, returns)
    if took[-1] > promised_seconds:
        faults.append(f"the last was back after {took[-1]:.1f} s")
    # Of a few clients all may be back before anybody has written.
    if promised_seconds < GIVE_UP_SECONDS and "herd" not in gauge.times:
        faults.append("nobody wrote meanwhile")
    return faults


def _spread(took: list[float]) -> str:
    return f"the first in {took[0]:.1f} s, half in {took[len(took) // 2]:.1f} s, all in {took[-1]:.1f} s"


def raise_descriptor_limit() -> None:
    """For thousands of sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _groups(plan: Plan) -> list[list[int]]:
    chance = random.Random(plan.clients)
    groups = []
    for _ in range(GROUPS_EACH):
        people = list(range(plan.clients))
        chance.shuffle(people)
        groups += [people[at : at + GROUP_SIZE] for at in range(0, plan.clients, GROUP_SIZE)]
    return groups


async def _fill(server: Server, crowd: Crowd, groups: list[list[int]], plan: Plan) -> int:
    """Send what will be missed, each group's by one of its members; from which event on it is."""
    cursors: list[int] = []

    async def talk(group: list[int], conversation_id: int) -> None:
        done = asyncio.Event()
        count = plan.behind // GROUPS_EACH + 1
        left = [count]

        def on_frame(frame: Frame) -> None:
            if frame["type"] == "message_sent":
                left[0] -= 1
                if not left[0]:
                    done.set()

        wire = await connect(server.port, crowd.tokens[group[0]], on_frame)
        cursors.append(wire.opened.result()["event_id"])
        for number in range(count):
            wire.send(
                {
                    "type": "send_message",
                    "temp_id": f"{conversation_id} {number}",
                    "conversation_id": conversation_id,
                    "text": f"Message {number} of what everyone missed, and some words more.",
                    "attachments": [],
                }
            )
        await asyncio.wait_for(done.wait(), GIVE_UP_SECONDS)
        wire.abort()

    # One after the other: the first one's hello tells where the log was.
    for group, conversation_id in zip(groups, crowd.conversations, strict=False):
        await talk(group, conversation_id)
    return cursors[0]


async def _pause(flock: "asyncio.Task[list[Return]]") -> None:
    await asyncio.wait([flock], timeout=0.05)
    if flock.done():
        flock.result()
        raise RuntimeError("the clients left before the restart")


async def _flock(port: int, tokens: list[str], since: int) -> list[Return]:
    raise_descriptor_limit()
    return await asyncio.gather(*(_return(port, token, since, at) for at, token in enumerate(tokens)))


async def _return(port: int, token: str, since: int, place: int) -> Return:
    # Not all at once the first time: only the return is measured.
    await asyncio.sleep(place / 1000)
    with contextlib.suppress(OSError, Rejected):
        first = await connect(port, token, lambda frame: None)
        await first.closed
    told: list[int] = []
    attempts = 0
    done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    ends: list[asyncio.Future[Any]] = [done]

    def on_frame(frame: Frame) -> None:
        if frame["type"] == "new_message":
            told.append(frame["event_id"])
        elif frame["type"] == "resumed" and not done.done():
            done.set_result(time.monotonic())

    async with asyncio.timeout(GIVE_UP_SECONDS):
        while True:
            attempts += 1
            with contextlib.suppress(OSError, Rejected, TimeoutError):
                wire = await connect(port, token, on_frame, {"since": since})
                opened = time.monotonic()
                await asyncio.wait([*ends, wire.closed], return_when=asyncio.FIRST_COMPLETED)
                if done.done():
                    break
            told.clear()
            await asyncio.sleep(random.uniform(0.02, 0.2))
    return Return(opened, done.result(), attempts, told)


def _compare(
    data_dir: Path, groups: list[list[int]], crowd: Crowd, since: int, returns: list[Return]
) -> list[str]:
    due: dict[int, list[int]] = defaultdict(list)
    with contextlib.closing(sqlite3.connect(data_dir / "beseda.db")) as db:
        members = dict(zip(crowd.conversations, groups, strict=False))
        for event, conversation in db.execute(
            "SELECT id, conversation_id FROM messages WHERE id > ? ORDER BY id", (since,)
        ):
            for index in members.get(conversation, ()):
                due[index].append(event)
    return [
        f"client {index} was told {len(one.told)} messages instead of {len(due[index])}, or in another order"
        for index, one in enumerate(returns)
        if one.told != due[index] or not one.told
    ]
