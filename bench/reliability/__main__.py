"""`python -m bench.reliability SCENARIO...`: the figures of docs/reliability.md; 1 where a promise is broken."""

import argparse
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from bench.reliability import drops, flooding, herd, leaks, logins, stalled

Scenario = Callable[[Path], Awaitable[list[str]]]

WHENEVER = 3600.0
"""Seconds: what is run in short, on whatever machine, shows what is promised and not how fast."""

SCENARIOS: dict[str, Scenario] = {
    "drops": lambda folder: drops.run(folder, drops.Plan()),
    "stalled": lambda folder: stalled.run(folder, stalled.Plan(stuck_seconds=31)),
    "herd": lambda folder: herd.run(folder, herd.Plan()),
    "flood": lambda folder: flooding.run(folder, flooding.Plan()),
    "logins": lambda folder: logins.run(folder, logins.Plan()),
    "leaks": lambda folder: leaks.run(folder, leaks.Plan()),
}

SHORT: dict[str, Scenario] = {
    "drops": lambda folder: drops.run(folder, drops.SHORT),
    "stalled": lambda folder: stalled.run(folder, stalled.SHORT),
    "herd": lambda folder: herd.run(folder, herd.SHORT, WHENEVER),
    "flood": lambda folder: flooding.run(folder, flooding.SHORT, WHENEVER),
    "logins": lambda folder: logins.run(folder, logins.SHORT, WHENEVER),
    "leaks": lambda folder: leaks.run(folder, leaks.SHORT),
}


def main() -> None:
    """Run the scenarios one after the other, each on a folder that is thrown away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="+", choices=[*SCENARIOS])
    parser.add_argument(
        "--short", action="store_true", help="with small numbers, and without promises on time"
    )
    chosen = parser.parse_args()
    faults = []
    for name in chosen.scenario:
        with tempfile.TemporaryDirectory(prefix="beseda-reliability-") as folder:
            faults += uvloop.run(_run((SHORT if chosen.short else SCENARIOS)[name], Path(folder)))
    for fault in faults[:20]:
        print(f"BROKEN: {fault}")
    if len(faults) > 20:
        print(f"... and {len(faults) - 20} more")
    sys.exit(bool(faults))


async def _run(scenario: Scenario, folder: Path) -> list[str]:
    return await scenario(folder)


if __name__ == "__main__":
    main()
