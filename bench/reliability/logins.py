"""A storm of logins: nobody's messages wait for the hashing of passwords, and memory is bounded."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.gauge import Gauge, percentile
from bench.process import Server
from bench.rest import Rest
from bench.seed import seed

PAIRS = 10
PER_SECOND = 5.0
PASSWORD = "correct horse battery"
PROMISED_SECONDS = 0.25
MOST_MIB = 350.0
"""The process, two hashes of 64 MiB at a time, what the allocator keeps of them, and some room."""


@dataclass(frozen=True)
class Plan:
    """How many log in at once, how often; quiet times between, in seconds."""

    logins: int = 200
    storms: int = 3
    quiet_seconds: float = 8.0


SHORT = Plan(logins=12, storms=1, quiet_seconds=0.5)


@dataclass
class Storm:
    """Every answer of a storm, and how long until all were logged in, in seconds."""

    answers: Counter[str]
    faults: list[str]
    took: float = 0.0

    async def login(self, port: int, number: int) -> None:
        """Log one in, as often as it is told to come back."""
        rest = Rest(port)
        body = {"email": f"person{number}@load.example", "password": PASSWORD}
        while True:
            answer = await rest.call("POST", "/auth/login", body)
            self.answers[str(answer.status)] += 1
            if answer.status == 200:
                break
            after = answer.headers.get("retry-after")
            if answer.status not in (429, 503) or after is None:
                self.faults.append(f"a login was answered {answer.status}: {answer.body!r}")
                break
            await asyncio.sleep(int(after))
        rest.close()


async def run(folder: Path, plan: Plan, promised_seconds: float = PROMISED_SECONDS) -> list[str]:
    """Run it; what was broken."""
    data_dir = folder / "data"
    people = max(plan.logins, 2 * PAIRS)
    pairs = [[2 * pair, 2 * pair + 1] for pair in range(PAIRS)]
    crowd = await asyncio.to_thread(seed, data_dir, people, pairs, PASSWORD)
    gauge, storms = Gauge(PER_SECOND), []
    faults = gauge.faults
    with Server(data_dir) as server:
        tokens = [(crowd.tokens[one], crowd.tokens[other]) for one, other in pairs]
        async with gauge.running(
            server.port,
            [(*pair, dialog) for pair, dialog in zip(tokens, crowd.conversations, strict=True)],
        ):
            before = server.rss()
            for _ in range(plan.storms):
                gauge.phase = "quiet"
                await asyncio.sleep(plan.quiet_seconds)
                gauge.phase = "storm"
                storm = Storm(Counter(), faults)
                began = time.monotonic()
                await asyncio.gather(*(storm.login(server.port, number) for number in range(plan.logins)))
                storm.took = time.monotonic() - began
                storms.append(storm)
            gauge.phase = "quiet"
            await asyncio.sleep(plan.quiet_seconds)
            after = server.rss()
        print(
            f"logins: {plan.storms} storms of {plan.logins}, all in after {[round(one.took, 1) for one in storms]} s"
        )
        print(f"  answers {dict(sum((one.answers for one in storms), Counter()))}")
        print(f"  RSS before {before:.0f}, peak {server.peak():.0f}, after {after:.0f} MiB")
        for phase, times in gauge.times.items():
            print(f"  {phase}: {times}")
        if server.peak() > MOST_MIB:
            faults.append(f"the server took {server.peak():.0f} MiB")
    if not gauge.times["storm"].acks:
        faults.append("nobody wrote during the storm")
    p99 = percentile(gauge.times["storm"].acks, 0.99)
    if p99 > promised_seconds:
        faults.append(f"the ACKs' p99 was {1000 * p99:.0f} ms")
    return faults
