"""One user floods with each thing in turn, as fast as it can; what the others notice of it."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.aside import aside
from bench.gauge import Gauge, Times, percentile
from bench.process import Server
from bench.reliability.floods import KINDS, Flooder, flood
from bench.seed import seed
from bench.wire import Frame, connect

PAIRS = 10
PER_SECOND = 5.0
BESIDES = 29
"""Members of the groups who are not there."""

HISTORY_EACH = 50
PROMISED_SECONDS = 0.25
MOST_MIB = 400.0


@dataclass(frozen=True)
class Plan:
    """What to flood with, and for how long; and how long to be quiet before, in seconds."""

    kinds: tuple[str, ...] = KINDS
    seconds: float = 6.0
    quiet_seconds: float = 4.0


SHORT = Plan(
    kinds=("messages", "bad frames", "new groups", "history", "resumes"), seconds=0.5, quiet_seconds=0.1
)


async def run(folder: Path, plan: Plan, promised_seconds: float = PROMISED_SECONDS) -> list[str]:
    """Run it; what was broken."""
    data_dir = folder / "data"
    honest = list(range(2 * PAIRS))
    flooder = len(honest)
    everyone = [*honest, flooder, *range(flooder + 1, flooder + 1 + BESIDES)]
    pairs = [[2 * pair, 2 * pair + 1] for pair in range(PAIRS)]
    groups = [[honest[0], *everyone[1:]], [flooder, *everyone]]
    crowd = await asyncio.to_thread(
        seed, data_dir, len(everyone), [*pairs, *[list(dict.fromkeys(g)) for g in groups]]
    )
    shared, own = crowd.conversations[PAIRS:]
    gauge = Gauge(PER_SECOND)
    lines: list[str] = []
    with Server(data_dir) as server:
        message = await _fill(server.port, [crowd.tokens[index] for index in honest], shared)
        others = [crowd.ids[index] for index in everyone if index != flooder]
        dialogs = [
            (crowd.tokens[one], crowd.tokens[other], dialog)
            for (one, other), dialog in zip(pairs, crowd.conversations, strict=False)
        ]
        gauge.phase = "quiet"
        async with gauge.running(server.port, dialogs):
            for number, kind in enumerate(plan.kinds):
                gauge.phase = "quiet"
                await asyncio.sleep(plan.quiet_seconds)
                who = Flooder(
                    server.port, crowd.tokens[flooder], shared, own, others, message, f"{kind} {number}"
                )
                counts, cpu = await _measure(server, gauge, kind, who, plan.seconds)
                lines.append(_line(kind, gauge.times[kind], counts, cpu, server.rss()))
            gauge.phase = "quiet"
            await asyncio.sleep(plan.quiet_seconds)
        quiet = gauge.times["quiet"]
        print(f"flood: {plan.seconds:g} s each; quiet: {quiet}")
        print("\n".join(lines))
        print(f"  peak {server.peak():.0f} MiB")
        faults = gauge.faults
        if server.peak() > MOST_MIB:
            faults.append(f"the server took {server.peak():.0f} MiB")
    for kind in plan.kinds:
        slow = percentile(gauge.times[kind].acks, 0.99)
        if slow > promised_seconds:
            faults.append(
                f"{kind}: ACK p99 {1000 * slow:.0f} ms, {slow / percentile(quiet.acks, 0.99):.1f} times the quiet one"
            )
        if not gauge.times[kind].acks:
            faults.append(f"{kind}: nobody wrote meanwhile")
    return faults


async def _measure(
    server: Server, gauge: Gauge, kind: str, who: Flooder, seconds: float
) -> tuple[Counter[str], float]:
    """Flood; what came of it, and the server's share of a core."""
    flooding = asyncio.create_task(aside(flood, kind, who, seconds))
    # The process takes its time to start.
    idle = server.descriptors()
    while server.descriptors() == idle and not flooding.done():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    gauge.phase = kind
    cpu, began = server.cpu(), asyncio.get_running_loop().time()
    counts = await flooding
    return counts, (server.cpu() - cpu) / (asyncio.get_running_loop().time() - began)


async def _fill(port: int, tokens: list[str], conversation: int) -> int:
    """A history to read and to resume from; its last message's id."""
    last: list[int] = []

    async def write(number: int, token: str) -> None:
        done = asyncio.Event()
        ids: list[int] = []

        def on_frame(frame: Frame) -> None:
            if frame["type"] == "message_sent":
                ids.append(frame["message"]["id"])
                if len(ids) == HISTORY_EACH:
                    done.set()

        wire = await connect(port, token, on_frame)
        for place in range(HISTORY_EACH):
            text = f"history {number} {place} " + "some words " * 50
            frame = {"type": "send_message", "temp_id": f"history {place}", "text": text}
            wire.send({**frame, "conversation_id": conversation, "attachments": []})
        await asyncio.wait_for(done.wait(), 60)
        last.append(max(ids))
        wire.abort()

    await asyncio.gather(*(write(number, token) for number, token in enumerate(tokens)))
    return max(last)


def _line(kind: str, times: Times, counts: Counter[str], cpu: float, rss: float) -> str:
    done = ", ".join(f"{name} {count}" for name, count in counts.most_common(6))
    return f"  {kind}: {times}\n      server {cpu:.0%} of a core, {rss:.0f} MiB; {done}"
