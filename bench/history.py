"""Pages of history out of ten million messages, beside ten thousand: `python -m bench.history [--seconds S] [--full]`.

Four people on a kept HTTP connection each ask for pages of 50 from random places of the groups they are in, again and
again. All of the database may lie in the system's cache (it has just been copied), little of it in SQLite's own; the
messages of one page lie as far apart in it as they can. Nobody has anything unread, so a page moves no cursor.
"""

import asyncio
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvloop

from bench.aside import aside
from bench.gauge import percentile
from bench.past import FEW, MANY, MILLIONS, Past, past
from bench.process import Server
from bench.rest import Rest
from bench.scale import COUNTED, Figures, Scale, show
from bench.usage import Window

READERS = 4
LIMIT = 50
WARM_SECONDS = 0.5


def run(scale: Scale) -> Figures:
    """Figures of both: `few_...`, `many_...`, and how much more a page of the many costs, `ratio`."""
    few, many = (
        uvloop.run(_read(past(count), scale.seconds)) for count in (FEW, MILLIONS if scale.full else MANY)
    )
    named = {f"few_{name}": value for name, value in few.items()}
    named |= {f"many_{name}": value for name, value in many.items()}
    return named | {"ratio": many["cpu_us_per_page"] / few["cpu_us_per_page"]}


@dataclass(frozen=True)
class Reader:
    """Whose token it is, and which conversations it reads, each with the lowest and the highest `before_id`."""

    token: str
    ranges: list[tuple[int, int, int]]


async def _read(past: Past, seconds: float) -> Figures:
    with tempfile.TemporaryDirectory(prefix="beseda-history-") as folder:
        data_dir = past.copy(Path(folder) / "data")
        with Server(data_dir, COUNTED) as server:
            return await aside(
                _turn_pages, server.port, server.pid, [_reader(past, at) for at in range(READERS)], seconds
            )


def _reader(past: Past, person: int) -> Reader:
    # Full pages only: with the few messages many would not be.
    lowest = past.first + (LIMIT + 1) * len(past.groups)
    return Reader(
        past.crowd.tokens[person],
        [
            (past.crowd.conversations[at], lowest, past.tip)
            for at, group in enumerate(past.groups)
            if person in group
        ],
    )


async def _turn_pages(port: int, pid: int, readers: list[Reader], seconds: float) -> Figures:
    await asyncio.gather(*(_turn(port, one, WARM_SECONDS) for one in readers))
    window = Window(pid)
    turns = await asyncio.gather(*(_turn(port, one, seconds) for one in readers))
    times = [took for turn in turns for took in turn]
    return {
        "pages_per_s": len(times) / window.seconds(),
        "cpu_us_per_page": window.cpu() / len(times) * 1e6,
        "page_p50_ms": percentile(times, 0.5) * 1e3,
        "page_p99_ms": percentile(times, 0.99) * 1e3,
        "rss_mib": window.usage.rss(),
        **window.shares(),
    }


async def _turn(port: int, reader: Reader, seconds: float) -> list[float]:
    rest, chance, times = Rest(port, reader.token), random.Random(reader.token), []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        conversation_id, lowest, highest = chance.choice(reader.ranges)
        before = chance.randint(lowest, highest)
        answer = await rest.call("GET", f"/chats/{conversation_id}/messages?limit={LIMIT}&before_id={before}")
        times.append(time.perf_counter() - began)
        if answer.status != 200 or len(orjson.loads(answer.body)) != LIMIT:
            raise RuntimeError(f"a page was answered {answer.status}: {answer.body[:200]!r}")
    rest.close()
    return times


if __name__ == "__main__":
    show(run)
