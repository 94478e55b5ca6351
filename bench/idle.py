"""Ten thousand sockets that are open and say nothing: `python -m bench.idle [--seconds S] [--full]`.

Each is another user's, in 50 conversations, and once more in 3. The conversations have 20 members each, and the people
of one `CIRCLE` share them with nobody else, as in a company of many offices: so everyone has up to 199 contacts. Who
connects is told of those who are online, and they of it: in all a million times and more, and that is part of what
connecting costs.

A socket's memory is the server's RSS when all are open and have been quiet for a while, less its RSS before the first
of them, by their number: with what SQLite keeps of the conversations, and what the allocator does not give back.
`idle_cpu` is what the server used meanwhile, in cores, while it pinged each socket every 20 s.

All of it is plain TCP, with TLS left to a proxy: the server speaks none itself.
"""

import asyncio
import tempfile
import time
from pathlib import Path

import uvloop

from bench.aside import aside
from bench.gauge import percentile
from bench.listener import Listener, listen, raise_descriptor_limit
from bench.past import groups_of
from bench.process import Server
from bench.scale import COUNTED, Figures, Scale, show
from bench.seed import Crowd, seed
from bench.usage import Usage, Window

PEOPLE, PEOPLE_IN_SHORT = 10_000, 2_000
CIRCLE = 200
GROUP_SIZE = 20
AT_ONCE = 100
"""So many clients are in the middle of connecting."""

IDLE_SECONDS = 30.0
"""So long that each socket was pinged; in short what the scale says."""

SETTLE_SECONDS = 6.0
"""Presence lingers for 5 s, and nobody comes or goes after that."""


def run(scale: Scale) -> Figures:
    """`empty_rss_mib` with nobody connected; the rest `many_...` for 50 conversations each, `few_...` for 3."""
    people = PEOPLE if scale.full else PEOPLE_IN_SHORT
    seconds = IDLE_SECONDS if scale.full else scale.seconds
    figures: Figures = {}
    for name, conversations in ("many", 50), ("few", 3):
        found = uvloop.run(_hold(people, conversations, SETTLE_SECONDS, seconds))
        figures["empty_rss_mib"] = found.pop("empty_rss_mib")
        figures |= {f"{name}_{figure}": value for figure, value in found.items()}
    return figures


async def _hold(people: int, conversations: int, settle: float, seconds: float) -> Figures:
    with tempfile.TemporaryDirectory(prefix="beseda-idle-") as folder:
        data_dir = Path(folder) / "data"
        groups = groups_of(people, GROUP_SIZE, conversations, min(CIRCLE, people))
        crowd: Crowd = await asyncio.to_thread(seed, data_dir, people, groups)
        with Server(data_dir, {**COUNTED, "LIMITS__SOCKETS": "0"}) as server:
            return await aside(_connect_all, server.port, server.pid, crowd.tokens, settle, seconds)


async def _connect_all(port: int, pid: int, tokens: list[str], settle: float, seconds: float) -> Figures:
    raise_descriptor_limit(len(tokens))
    empty = Usage(pid).rss()
    waiting, took = list(enumerate(tokens)), []
    listeners: list[Listener] = []

    async def connect() -> None:
        while waiting:
            at, token = waiting.pop()
            began = time.perf_counter()
            # One address has ports for some 28,000, those included that were used a minute ago.
            listeners.append(await listen(port, token, source=f"127.0.0.{1 + at % 2}"))
            took.append(time.perf_counter() - began)

    window = Window(pid)
    await asyncio.gather(*(connect() for _ in range(AT_ONCE)))
    connected = {
        "connect_s": window.seconds(),
        "connect_p99_ms": percentile(took, 0.99) * 1e3,
        "cpu_us_per_connect": window.cpu() / len(tokens) * 1e6,
    }
    await asyncio.sleep(settle)
    window = Window(pid)
    await asyncio.sleep(seconds)
    idle_cpu, rss = window.cpu() / window.seconds(), window.usage.rss()
    if any(listener.transport.is_closing() for listener in listeners):
        raise RuntimeError("some sockets were closed while nothing happened")
    for listener in listeners:
        listener.transport.abort()
    return {
        "empty_rss_mib": empty,
        "kib_per_socket": (rss - empty) * 1024 / len(tokens),
        **connected,
        "idle_cpu": idle_cpu,
        "rss_mib": rss,
    }


if __name__ == "__main__":
    show(run)
