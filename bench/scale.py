"""How long and how large a scenario is run, and what comes of it."""

import argparse
import inspect
from collections.abc import Callable
from dataclasses import dataclass

Figures = dict[str, float]
"""By name, the unit at its end: `_ms`, `_s`, `_us_per_message`, `_mib`, `_per_s`."""

COUNTED = {
    "LIMITS__MESSAGES_PER_SECOND": "1000000",
    "LIMITS__MESSAGE_BURST": "1000000",
    "LIMITS__REQUESTS_PER_SECOND": "1000000",
    "LIMITS__REQUEST_BURST": "1000000",
}
"""Rates so high that nobody comes near them, and not 0: what it costs to count is part of what is measured."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How many `seconds` what is timed goes on; with the numbers that are published (`full`), or smaller ones."""

    seconds: float = 5.0
    full: bool = False


def show(run: Callable[[Scale], Figures]) -> None:
    """Run a scenario as the command line has it, and print a line of figures."""
    parser = argparse.ArgumentParser(
        description=inspect.getdoc(inspect.getmodule(run)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--full", action="store_true", help="with the numbers that are published")
    chosen = parser.parse_args()
    figures = run(Scale(chosen.seconds, chosen.full))
    print("   " + "  ".join(f"{name} {value:,.2f}" for name, value in figures.items()), flush=True)
