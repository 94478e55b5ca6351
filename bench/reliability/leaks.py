"""Rounds of messages, and of connects and disconnects of every kind: memory comes back to where it was."""

import asyncio
import contextlib
import itertools
import statistics
from dataclasses import dataclass
from pathlib import Path

from bench.process import Server
from bench.seed import Crowd, seed
from bench.wire import CLOSE, Frame, Rejected, Wire, connect, masked
from storage.database import CACHE_KIB

AT_ONCE = 50
NEAR_MIB = 10.0 + CACHE_KIB / 1024
"""Besides what comes and goes, SQLite's cache of pages fills up while the database grows, and then stays as it is."""

GIVE_UP_SECONDS = 120.0


@dataclass(frozen=True)
class Plan:
    """Per round so many messages and connects; the first `warm_up` rounds don't count."""

    rounds: int = 12
    warm_up: int = 2
    messages: int = 10_000
    connects: int = 1000
    pairs: int = 100
    linger_seconds: float = 5.0


SHORT = Plan(rounds=2, warm_up=1, messages=1000, connects=150, pairs=20, linger_seconds=0.5)


async def run(folder: Path, plan: Plan, near_mib: float = NEAR_MIB) -> list[str]:
    """Run it; what was broken."""
    data_dir = folder / "data"
    pairs = [[2 * pair, 2 * pair + 1] for pair in range(plan.pairs)]
    crowd = await asyncio.to_thread(seed, data_dir, 2 * plan.pairs, pairs)
    faults: list[str] = []
    sizes: list[float] = []
    with Server(data_dir, {"PRESENCE__LINGER_SECONDS": str(plan.linger_seconds)}) as server:
        for number in range(plan.rounds):
            await _talk(server, crowd, plan, number)
            await _come_and_go(server, crowd, plan)
            # Who is gone counts as online for a while, and is remembered for as long.
            await asyncio.sleep(plan.linger_seconds + 1)
            sizes.append(server.rss())
            if server.descriptors() > 100:
                faults.append(f"{server.descriptors()} descriptors are open, and nobody is connected")
    counted = sizes[plan.warm_up :]
    slope = statistics.linear_regression(range(len(counted)), counted).slope if len(counted) > 1 else 0.0
    print(
        f"leaks: {plan.rounds} rounds ({plan.warm_up} to warm up) of {plan.messages} messages"
        f" and {plan.connects} connects"
    )
    print(f"  RSS after each: {' '.join(f'{size:.1f}' for size in sizes)} MiB; {slope:+.2f} MiB a round")
    growth = counted[-1] - sizes[plan.warm_up - 1]
    if growth > near_mib:
        faults.append(f"memory grew by {growth:.1f} MiB since it was warm")
    return faults


async def _talk(server: Server, crowd: Crowd, plan: Plan, number: int) -> None:
    """Everybody's share of the messages, all under way at once."""
    share = plan.messages // (2 * plan.pairs)

    async def one(index: int) -> None:
        left = {f"{number} {count}" for count in range(share)}
        done = asyncio.Event()

        def on_frame(frame: Frame) -> None:
            if frame["type"] == "message_sent":
                left.discard(frame["temp_id"])
            elif frame["type"] == "error":
                loop = asyncio.get_running_loop()
                loop.call_later(frame.get("retry_after", 1), say, frame["temp_id"])
            if not left:
                done.set()

        wire = await connect(server.port, crowd.tokens[index], on_frame)

        def say(name: str) -> None:
            wire.send(
                {
                    "type": "send_message",
                    "temp_id": name,
                    "conversation_id": crowd.conversations[index // 2],
                    "text": f"{name}: some words, as people write them",
                    "attachments": [],
                }
            )

        for name in sorted(left):
            say(name)
        await asyncio.wait_for(done.wait(), GIVE_UP_SECONDS)
        wire.abort()

    await asyncio.gather(*(one(index) for index in range(2 * plan.pairs)))


async def _come_and_go(server: Server, crowd: Crowd, plan: Plan) -> None:
    numbers = iter(range(plan.connects))
    ways = itertools.cycle(["close", "abort", "half-close", "resume", "half a request", "bad token"])

    async def worker() -> None:
        for number in numbers:
            way = next(ways)
            token = crowd.tokens[number % len(crowd.tokens)] if way != "bad token" else "none"
            if way == "half a request":
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                    writer.write(b"GET /ws?token=half HTTP/1.1\r\nHost:")
                    await writer.drain()
                    writer.transport.abort()
                continue
            with contextlib.suppress(Rejected):
                wire = await connect(
                    server.port, token, lambda frame: None, {"since": 1} if way == "resume" else None
                )
                await _leave(wire, way)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def _leave(wire: Wire, way: str) -> None:
    match way:
        case "close":
            wire.write(masked(CLOSE, b"\x03\xe8"))
        case "half-close":
            wire.half_close()
        case _:
            wire.abort()
    await asyncio.wait_for(wire.closed, GIVE_UP_SECONDS)
