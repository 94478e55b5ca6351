"""Beseda and other servers side by side: `python -m bench`, some minutes; with `--full` all of docs/benchmarks.md.

Prints a line for each run, then the tables; exits with 1 where something failed.
"""

import argparse
import contextlib
import datetime
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from types import FrameType

from bench import history, idle, login, mixed, resume, start
from bench.machine import machine, versions
from bench.peer import Peer, family
from bench.peers import PEERS
from bench.results import Results
from bench.rounds import Trial, rounds
from bench.scale import Figures, Scale
from bench.scenarios import SCENARIOS
from bench.tables import OURS, render

INTERRUPTED = 130

OWN: dict[str, Callable[[Scale], Figures]] = {
    "mixed": mixed.run,
    "idle": idle.run,
    "resume": resume.run,
    "history": history.run,
    "start": start.run,
    "login": login.run,
}
"""What is asked of Beseda alone."""

SHORT = ("mixed", "idle", "login")
"""Those of them that the short form has: the others are about millions of messages."""


def trials(patterns: Sequence[str] | None, peers: Sequence[Peer], scale: Scale) -> list[Trial]:
    """What is to be run, in order: what matches one of the patterns; or, without any, all of the short or full form."""

    def wanted(scenario: str, is_short: bool) -> bool:
        if patterns is None:
            return scale.full or is_short
        return any(fnmatchcase(scenario, pattern) for pattern in patterns)

    return [
        Trial(scenario.name, peer.name, partial(scenario.run, peer, scale))
        for scenario in SCENARIOS.values()
        for peer in peers
        if wanted(scenario.name, scenario.short is None or peer.name in scenario.short)
        and fnmatchcase(scenario.name, peer.scenarios)
    ] + [Trial(name, OURS, partial(run, scale)) for name, run in OWN.items() if wanted(name, name in SHORT)]


def main() -> None:
    """Run what the command line names. Ctrl-C and SIGTERM end it with what was found until then."""
    if sys.platform != "linux":
        sys.exit("The benchmark needs Linux: it reads what a server costs from /proc.")
    chosen, parser = _chosen()
    results = Results(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=machine(),
        versions=versions(),
        seconds=chosen.seconds,
        full=chosen.full,
    )
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, _interrupt)
    code = 0
    planned = trials(chosen.only, [PEERS[name] for name in chosen.peers], Scale(chosen.seconds, chosen.full))
    if not planned:
        names = "\n".join(f"  '{name}'" for name in [*SCENARIOS, *OWN])
        parser.error(f"no scenario is called so; there are\n{names}")
    try:
        present = _present(dict.fromkeys(trial.peer for trial in planned), results)
        planned = [trial for trial in planned if trial.peer in present]
        for results.cases in rounds(planned, chosen.runs, partial(print, flush=True)):
            results.save(chosen.out)
    except KeyboardInterrupt:
        print("\nInterrupted")
        code = INTERRUPTED
    if results.cases:
        print(f"\n{render(results)}\n\nAll runs are in {chosen.out}.")
    sys.exit(code or any(results.failures()))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """End all that was started, so that nothing is waited for."""
    for pid in family(os.getpid())[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    raise KeyboardInterrupt


def _present(names: Iterable[str], results: Results) -> set[str]:
    """Those of the peers that can run here; the results are told of the others."""
    print(f"Preparing {', '.join(names)}", flush=True)  # the first time packages may be installed
    for name in names:
        results.stores[name] = PEERS[name].stores
        if why := PEERS[name].missing():
            results.missing[name] = why
            print(f"{name} is not measured: {why}", flush=True)
    return set(results.stores) - set(results.missing)


def _chosen() -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="all scenarios, with large numbers")
    parser.add_argument("--runs", type=_positive, default=3, help="of each scenario with each peer (3)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="scenarios, as in 'room*'")
    parser.add_argument("--peers", nargs="*", default=[*PEERS], choices=[*PEERS], metavar="NAME",
        help=f"beside Beseda: {', '.join(name for name in PEERS if name != OURS)} (all)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"), help="build/bench.json")
    parser.add_argument("--seconds", type=float, help="that a run is timed (1, in full 5)")
    chosen = parser.parse_args()
    if chosen.seconds is None:
        chosen.seconds = 5.0 if chosen.full else 1.0
    if not 0 < chosen.seconds <= 600:
        parser.error("--seconds is more than 0, and at most 600")
    try:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.open("a").close()
    except OSError as error:
        parser.error(f"--out {chosen.out}: {error.strerror}")
    chosen.peers = [OURS, *(name for name in PEERS if name in chosen.peers and name != OURS)]
    return chosen, parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number from 1 on")
    return int(text)


if __name__ == "__main__":
    main()
