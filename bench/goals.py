"""What Beseda has set itself, as data: a figure, or its ratio to a peer's in the same run, and a bound."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bench.results import Results

ROOM = "room of 200, 8 under way"
QUIET_ROOM = "room of 200, 1 under way"
PACED = "room of 200, 10,000 deliveries/s"
DIALOGS = "100 dialogs, 1 under way"
ONE_PAIR = "1 dialog, 1 under way"

DELIVERY = "cpu_us_per_delivery"
MESSAGE = "cpu_us_per_message"


class Figure(NamedTuple):
    """A median: of which scenario, with which peer, and its name."""

    scenario: str
    peer: str
    name: str

    def of(self, results: Results) -> float | None:
        """None where it was not measured."""
        return results.median(*self)


@dataclass(frozen=True)
class Goal:
    """`figure`, as a ratio to `over` if that is given, is at most `bound`."""

    name: str
    bound: float
    figure: Figure
    over: Figure | None = None
    unit: str = ""
    full: bool = False
    """Whether it speaks of numbers that only the full form has."""

    def reached(self, results: Results) -> float | None:
        """The figure or the ratio; None where something of it was not measured."""
        value = self.figure.of(results)
        if value is None or self.over is None:
            return value
        other = self.over.of(results)
        return value / other if other else None


def ratio(name: str, bound: float, scenario: str, figure: str, peer: str, ours: str = "beseda") -> Goal:
    """Beseda's figure over that of a peer in the same scenario."""
    return Goal(name, bound, Figure(scenario, ours, figure), Figure(scenario, peer, figure))


def own(name: str, bound: float, scenario: str, figure: str, unit: str = "", *, full: bool = False) -> Goal:
    """A figure of Beseda's."""
    return Goal(name, bound, Figure(scenario, "beseda", figure), unit=unit, full=full)


GOALS = (
    ratio("Room of 200, 8 outstanding: CPU per delivery to Socket.IO's", 0.2, ROOM, DELIVERY, "socketio"),
    ratio("the same to one `send()` per delivery from C", 0.45, ROOM, DELIVERY, "csend"),
    own("Room of 200 at 10,000 deliveries/s: delivery p50", 2, PACED, "delivery_p50_ms", "ms"),
    own("the same: delivery p99", 4, PACED, "delivery_p99_ms", "ms"),
    ratio(
        "Room of 200, 1 outstanding: CPU per delivery to a bare broadcast's",
        1.3, QUIET_ROOM, DELIVERY, "broadcast",
    ),
    ratio("Dialogs of 100 pairs: CPU per message to Socket.IO's", 0.4, DIALOGS, MESSAGE, "socketio"),
    ratio("the same to the prototype's", 1.6, DIALOGS, MESSAGE, "prototype"),
    ratio("the same without receipts", 1.3, DIALOGS, MESSAGE, "prototype", "beseda-quiet"),
    own("Dialog with one sender: ACK p50", 1, ONE_PAIR, "ack_p50_ms", "ms"),
    own("Idle socket in 50 conversations: RSS", 12, "idle", "many_kib_per_socket", "KiB", full=True),
    own("Idle socket in 3 conversations: RSS", 8, "idle", "few_kib_per_socket", "KiB", full=True),
    own("Server with nobody connected: RSS", 80, "idle", "empty_rss_mib", "MiB"),
    own("10,000 idle sockets: CPU, near 0", 0.03, "idle", "many_idle_cpu", "cores", full=True),
    own("History page at 10 million messages to one at 10 thousand: CPU", 1.5, "history", "ratio", full=True),
    own("Resume, likewise: CPU per event", 1.5, "resume", "ratio", full=True),
    own("Start at 10 million messages", 1, "start", "many_s", "s", full=True),
)  # fmt: skip


def judged(results: Results) -> Iterator[tuple[Goal, float | None, bool | None]]:
    """Each goal, what was reached, and whether that meets it; None where the results don't say."""
    for goal in GOALS:
        reached = goal.reached(results)
        if reached is None or (goal.full and not results.full):
            yield goal, reached, None
        else:
            yield goal, reached, reached <= goal.bound
