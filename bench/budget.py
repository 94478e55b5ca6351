"""What Beseda may cost, as a ratio to the prototype in the same run: `python -m bench.budget`; 1 where it is more.

CPU, not time, and a ratio of two servers that are under the same load at the same moments on the same core: what a busy
machine does to one, it does to the other. On two cores it doesn't, where they are threads of one and half as fast while
the other is busy. Data lies in memory, since how long a sync takes decides how many messages share it. The prototype
does the same work without rules and is the measure: who changes it sets the bounds anew.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.generator import Plan, Seat, drive
from bench.peer import Running
from bench.peers import PEERS

MESSAGE_BOUND = 2.0
"""CPU per message of dialogs, of Beseda over the prototype."""

DELIVERY_BOUND = 1.8
"""CPU per delivery in a room, likewise."""

ROUNDS = 5
SECONDS = 0.5
MEMORY = "/dev/shm"
PAIRS = 20
MEMBERS = 50
OFFICE = [[2 * pair, 2 * pair + 1] for pair in range(PAIRS)] + [list(range(MEMBERS))]
"""The conversations of the people of a round. The next has others: what somebody has sent is not stored again."""


@dataclass(frozen=True)
class Work:
    """What both servers are given: a person and a conversation of an office for each sender and each receiver."""

    figure: str
    bound: float
    outstanding: int
    fan_out: int
    senders: tuple[tuple[int, int], ...]
    receivers: tuple[tuple[int, int], ...]

    def cost(self, dialect: str, running: Running, office: int) -> float:
        """Microseconds of the server's CPU. Raises RuntimeError where something was lost."""

        def seats(places: Sequence[tuple[int, int]]) -> list[Seat]:
            return [
                Seat(
                    running.credentials[office * MEMBERS + person],
                    running.conversations[office * len(OFFICE) + conversation],
                )
                for person, conversation in places
            ]

        plan = Plan(
            dialect,
            running.port,
            running.pids(),
            seats(self.senders),
            seats(self.receivers),
            self.fan_out,
            self.outstanding,
            seconds=SECONDS,
        )
        return drive(plan)[self.figure]


WORKS = (
    Work(
        "cpu_us_per_message", MESSAGE_BOUND, 4, 1,
        tuple((2 * pair, pair) for pair in range(PAIRS)),
        tuple((2 * pair + 1, pair) for pair in range(PAIRS)),
    ),
    Work(
        "cpu_us_per_delivery", DELIVERY_BOUND, 8, MEMBERS - 1,
        ((MEMBERS - 1, PAIRS),),
        tuple((member, PAIRS) for member in range(MEMBERS - 1)),
    ),
)  # fmt: skip


def costs() -> dict[Work, list[tuple[float, float]]]:
    """Of each work and round, what it took Beseda, and the prototype at the same time."""
    offices = [
        [office * MEMBERS + person for person in group] for office in range(ROUNDS) for group in OFFICE
    ]
    found: dict[Work, list[tuple[float, float]]] = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(_on_one_core())
        with _in_memory():
            ours, theirs = (
                (peer.dialect, stack.enter_context(peer.serving(ROUNDS * MEMBERS, offices)))
                for peer in (PEERS["beseda"], PEERS["prototype"])
            )
        threads = stack.enter_context(ThreadPoolExecutor(2))
        for work in WORKS:
            for office in range(ROUNDS):
                both = [threads.submit(work.cost, *server, office) for server in (ours, theirs)]
                found.setdefault(work, []).append((both[0].result(), both[1].result()))
    return found


def ratio(rounds: Sequence[tuple[float, float]]) -> float:
    """Beseda's cost over the prototype's: the median of the rounds."""
    return statistics.median(ours / theirs for ours, theirs in rounds)


@contextlib.contextmanager
def _on_one_core() -> Iterator[None]:
    """This thread, and all that it starts meanwhile, has one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _in_memory() -> Iterator[None]:
    """Temporary folders are made in memory, where the system has such a place."""
    before = tempfile.tempdir
    if os.access(MEMORY, os.W_OK):
        tempfile.tempdir = MEMORY
    try:
        yield
    finally:
        tempfile.tempdir = before


def main() -> None:
    """Print both ratios with their bounds."""
    argparse.ArgumentParser(
        prog="python -m bench.budget",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    if sys.platform != "linux":
        sys.exit("The budget needs Linux: it reads what a server costs from /proc.")
    exceeded = False
    for work, rounds in costs().items():
        print(f"{work.figure}: {ratio(rounds):.2f} of the prototype's, at most {work.bound:g}")
        exceeded |= ratio(rounds) > work.bound
    sys.exit(exceeded)


if __name__ == "__main__":
    main()
