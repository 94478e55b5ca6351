"""`python -m bench.reliability <scenario>`: the figures of docs/reliability.md."""

import argparse
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from bench.reliability import drops, flooding, herd, leaks, logins, stalled

SCENARIOS: dict[str, Callable[[Path], Awaitable[list[str]]]] = {
    "drops": lambda folder: drops.run(folder, drops.Plan()),
    "stalled": lambda folder: stalled.run(folder, stalled.Plan(stuck_seconds=31)),
    "herd": lambda folder: herd.run(folder, herd.Plan()),
    "flood": lambda folder: flooding.run(folder, flooding.Plan()),
    "logins": lambda folder: logins.run(folder, logins.Plan()),
    "leaks": lambda folder: leaks.run(folder, leaks.Plan()),
}


def main() -> None:
    """Run a scenario with its full numbers, each on a folder that is thrown away; exit with 1 if it broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="+", choices=[*SCENARIOS])
    broken = False
    for name in parser.parse_args().scenario:
        with tempfile.TemporaryDirectory(prefix="beseda-reliability-") as folder:

            async def run(name: str = name, folder: str = folder) -> list[str]:
                return await SCENARIOS[name](Path(folder))

            faults = uvloop.run(run())
        for fault in faults[:20]:
            print(f"BROKEN: {fault}")
        if len(faults) > 20:
            print(f"... and {len(faults) - 20} more")
        broken |= bool(faults)
    sys.exit(broken)


if __name__ == "__main__":
    main()
