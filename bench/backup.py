"""A backup while people write: `python -m bench.backup [--seconds S] [--full]`.

Ten pairs write to each other all the time, 200 messages a second in all, on a server with a million messages behind it,
or 100,000. First nothing else goes on; then `beseda backup` puts all of it into one file, again and again.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from bench.aside import aside
from bench.gauge import Gauge, percentile
from bench.past import MANY, past
from bench.process import Server
from bench.scale import COUNTED, Figures, Scale, show

PER_SECOND = 10.0


def run(scale: Scale) -> Figures:
    """`backup_s`, `archive_mib`, the most that the write-ahead log took; ACKs while nothing goes on, and meanwhile."""
    seeded = past(MANY if scale.full else MANY // 10)
    people = seeded.crowd
    dialogs = [
        (people.tokens[one], people.tokens[other], dialog)
        for (one, other), dialog in zip(seeded.pairs, people.conversations[len(seeded.groups) :], strict=True)
    ]
    with tempfile.TemporaryDirectory(prefix="beseda-backup-") as folder:
        data_dir = seeded.copy(Path(folder) / "data")
        with Server(data_dir, COUNTED) as server:
            return uvloop.run(aside(_back_up, server.port, dialogs, data_dir, scale.seconds))


async def _back_up(port: int, dialogs: list[tuple[str, str, int]], data_dir: Path, seconds: float) -> Figures:
    gauge, took, wal = Gauge(PER_SECOND), [], 0
    file = data_dir.with_name("backup.tar")
    command = [sys.executable, "-m", "beseda", "backup", "--force", "--data", str(data_dir), str(file)]
    async with gauge.running(port, dialogs):
        gauge.phase = "warm"
        await asyncio.sleep(1)
        gauge.phase = "quiet"
        await asyncio.sleep(seconds)
        gauge.phase = "backup"
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
            if await process.wait():
                raise RuntimeError("the backup failed")
            took.append(time.perf_counter() - began)
            wal = max(wal, data_dir.joinpath("beseda.db-wal").stat().st_size)
    if gauge.faults:
        raise RuntimeError(gauge.faults[0])
    quiet, busy = gauge.times["quiet"].acks, gauge.times["backup"].acks
    return {
        "backup_s": percentile(took, 0.5),
        "archive_mib": file.stat().st_size / 2**20,
        "wal_mib": wal / 2**20,
        "quiet_ack_p50_ms": percentile(quiet, 0.5) * 1e3,
        "quiet_ack_p99_ms": percentile(quiet, 0.99) * 1e3,
        "ack_p50_ms": percentile(busy, 0.5) * 1e3,
        "ack_p99_ms": percentile(busy, 0.99) * 1e3,
    }


if __name__ == "__main__":
    show(run)
