"""A thousand clients come back at once, each 500 events behind: `python -m bench.resume [--full]`.

They connect with `since` and `log`, and the clock stops when the last of them is `resumed`. Twenty others write to each
other meanwhile, in a process of their own. It is done with ten million messages stored and with ten thousand; the
messages missed are the newest in both, so that what is replayed is the same.
"""

import asyncio
import contextlib
import sqlite3
import tempfile
import time
from pathlib import Path

import uvloop

from bench.aside import aside
from bench.gauge import Gauge, percentile
from bench.listener import Listener, listen, raise_descriptor_limit
from bench.past import FEW, GROUPS_EACH, MANY, MILLIONS, Past, past
from bench.process import Server
from bench.scale import COUNTED, Figures, Scale, show
from bench.usage import Window
from storage.database import FILE_NAME

BEHIND = FEW
"""Messages, as many in each group."""

CLIENTS, CLIENTS_IN_SHORT = 1000, 200
PER_SECOND = 5.0
QUIET_SECONDS = 0.5
GIVE_UP_SECONDS = 300.0


def run(scale: Scale) -> Figures:
    """Figures of both: `few_...`, `many_...`, and how much more an event of the many costs, `ratio`."""
    clients = CLIENTS if scale.full else CLIENTS_IN_SHORT
    few, many = (
        uvloop.run(_come_back(past(count), clients)) for count in (FEW, MILLIONS if scale.full else MANY)
    )
    named = {f"few_{name}": value for name, value in few.items()}
    named |= {f"many_{name}": value for name, value in many.items()}
    return named | {"ratio": many["cpu_us_per_event"] / few["cpu_us_per_event"]}


async def _come_back(past: Past, clients: int) -> Figures:
    gauge = Gauge(PER_SECOND)
    gauge.phase = "quiet"
    dialogs = zip(past.pairs, past.crowd.conversations[len(past.groups) :], strict=True)
    tokens = past.crowd.tokens
    with tempfile.TemporaryDirectory(prefix="beseda-resume-") as folder:
        data_dir = await asyncio.to_thread(past.copy, Path(folder) / "data", BEHIND)
        with Server(data_dir, COUNTED) as server:
            query = f"&since={past.tip - BEHIND}&log={_log_name(data_dir)}"
            pairs = [(tokens[one], tokens[other], dialog) for (one, other), dialog in dialogs]
            async with gauge.running(server.port, pairs):
                await asyncio.sleep(QUIET_SECONDS)
                gauge.phase = "herd"
                due = BEHIND // len(past.groups) * GROUPS_EACH
                figures = await aside(_return, server.port, server.pid, tokens[:clients], query, due)
                gauge.phase = "after"
    if gauge.faults:
        raise RuntimeError(gauge.faults[0])
    return {**figures, "others_ack_p99_ms": percentile(gauge.times["herd"].acks, 0.99) * 1e3}


def _log_name(data_dir: Path) -> str:
    with contextlib.closing(sqlite3.connect(data_dir / FILE_NAME)) as db:
        name: str = db.execute("SELECT name FROM log").fetchone()[0]
        return name


async def _return(port: int, pid: int, tokens: list[str], query: str, due: int) -> Figures:
    raise_descriptor_limit(len(tokens))
    window = Window(pid)
    began = time.perf_counter()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        listeners: list[Listener] = await asyncio.gather(*(listen(port, token, query) for token in tokens))
        opened = time.perf_counter()
        took = [await listener.resumed - began for listener in listeners]
    cpu, seconds, shares = window.cpu(), window.seconds(), window.shares()
    events = sum(listener.messages for listener in listeners)
    complete = all(listener.messages == due for listener in listeners)
    for listener in listeners:
        listener.transport.abort()
    if not complete:
        raise RuntimeError(f"{events} messages were replayed instead of {due} to each of {len(tokens)}")
    return {
        "open_s": opened - began,
        "resumed_s": seconds,
        "resumed_p50_s": percentile(took, 0.5),
        "events_per_s": events / seconds,
        "cpu_us_per_event": cpu / events * 1e6,
        "peak_mib": window.usage.peak(),
        **shares,
    }


if __name__ == "__main__":
    show(run)
