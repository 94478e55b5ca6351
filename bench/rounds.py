"""Trials in rounds: all peers of a scenario in turns, so that a machine that drifts drifts for all of them."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.results import Case, is_limited
from bench.scale import Figures

SHOWN = ("cpu_us_per_delivery", "cpu_us_per_message", "messages_per_s", "ack_p50_ms", "server_cpu")
"""What of a run's figures its line of progress tells; the first ones where it has no messages."""


@dataclass(frozen=True)
class Trial:
    """A scenario with a peer, to be run as often as one likes."""

    scenario: str
    peer: str
    run: Callable[[], Figures]


def rounds(trials: Sequence[Trial], runs: int, say: Callable[[str], None]) -> Iterator[list[Case]]:
    """After each run, all cases so far.

    A trial that fails is not run again; the others go on.
    """
    cases: dict[Trial, Case] = {}
    for scenario, group in itertools.groupby(trials, key=lambda trial: trial.scenario):
        peers = list(group)
        for number in range(1, runs + 1):
            for trial in peers:
                case = cases.setdefault(trial, Case(scenario, trial.peer))
                if case.failure is None:
                    say(f"{scenario}, {trial.peer}, {number} of {runs}: {_run(trial, case)}")
                    yield [*cases.values()]


def _run(trial: Trial, case: Case) -> str:
    began = time.monotonic()
    try:
        figures = trial.run()
    except Exception as error:  # noqa: BLE001 - whatever a peer does wrong, the others are measured
        case.failure = f"{type(error).__name__}: {error}"
        return f"FAILED: {case.failure}"
    case.runs.append(figures)
    shown = SHOWN if "messages_per_s" in figures else list(figures)[: len(SHOWN)]
    told = "  ".join(f"{name} {figures[name]:,.4g}" for name in shown if name in figures)
    limited = "  (the generator was the limit)" if is_limited(figures) else ""
    return f"{told}{limited}  [{time.monotonic() - began:.1f} s]"
