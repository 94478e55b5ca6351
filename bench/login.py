"""Logins while people write: `python -m bench.login [--seconds S]`.

Ten pairs write to each other all the time, in a process of their own. First nobody logs in; then eight clients do, one
login after the other each, as fast as they are answered.
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.aside import aside
from bench.gauge import Gauge, percentile
from bench.process import Server
from bench.rest import Rest
from bench.scale import Figures, Scale, show
from bench.seed import seed
from bench.usage import Window

PAIRS = 10
PER_SECOND = 5.0
CLIENTS = 8
PASSWORD = "correct horse battery"


def run(scale: Scale) -> Figures:
    """`logins_per_s` and how long one takes; others' ACKs while nobody logs in (`quiet_...`) and meanwhile."""
    return uvloop.run(_run(CLIENTS, scale.seconds))


async def _run(clients: int, seconds: float) -> Figures:
    with tempfile.TemporaryDirectory(prefix="beseda-login-") as folder:
        data_dir = Path(folder) / "data"
        pairs = [[2 * pair, 2 * pair + 1] for pair in range(PAIRS)]
        crowd = await asyncio.to_thread(seed, data_dir, 2 * PAIRS, pairs, PASSWORD)
        dialogs = [
            (crowd.tokens[one], crowd.tokens[other], dialog)
            for (one, other), dialog in zip(pairs, crowd.conversations, strict=True)
        ]
        with Server(data_dir) as server:
            return await aside(_log_in, server.port, server.pid, dialogs, clients, seconds)


@dataclass
class Storm:
    """Seconds that each login took, so far."""

    port: int
    took: list[float] = field(default_factory=list)

    async def log_in(self, person: int, seconds: float) -> None:
        """Log one in again and again."""
        rest = Rest(self.port)
        body = {"email": f"person{person}@load.example", "password": PASSWORD}
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            answer = await rest.call("POST", "/auth/login", body)
            if answer.status != 200:
                raise RuntimeError(f"a login was answered {answer.status}: {answer.body!r}")
            self.took.append(time.perf_counter() - began)
        rest.close()


async def _log_in(
    port: int, pid: int, dialogs: list[tuple[str, str, int]], clients: int, seconds: float
) -> Figures:
    gauge, storm = Gauge(PER_SECOND), Storm(port)
    gauge.phase = "quiet"
    async with gauge.running(port, dialogs):
        await asyncio.sleep(seconds)
        gauge.phase, window = "storm", Window(pid)
        await asyncio.gather(*(storm.log_in(person, seconds) for person in range(clients)))
        took, shares, cpu = window.seconds(), window.shares(), window.cpu()
        gauge.phase = "after"
    if gauge.faults:
        raise RuntimeError(gauge.faults[0])
    quiet, busy = gauge.times["quiet"].acks, gauge.times["storm"].acks
    return {
        "logins_per_s": len(storm.took) / took,
        "login_p50_ms": percentile(storm.took, 0.5) * 1e3,
        "login_p99_ms": percentile(storm.took, 0.99) * 1e3,
        "cpu_ms_per_login": cpu / len(storm.took) * 1e3,
        "quiet_ack_p50_ms": percentile(quiet, 0.5) * 1e3,
        "quiet_ack_p99_ms": percentile(quiet, 0.99) * 1e3,
        "ack_p50_ms": percentile(busy, 0.5) * 1e3,
        "ack_p99_ms": percentile(busy, 0.99) * 1e3,
        "peak_mib": window.usage.peak(),
        **shares,
    }


if __name__ == "__main__":
    show(run)
