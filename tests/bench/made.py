"""Results that nobody measured."""

from bench.goals import DIALOGS, ROOM
from bench.results import Case, Results

COSTS = {"beseda": 1.5, "socketio": 10.0, "csend": 4.0}
"""Microseconds per delivery."""


def results() -> Results:
    """Three runs of a room and of dialogs with three peers, an idle server, and two things that went wrong."""
    made = Results("2026-11-24", {"CPU": "abacus"}, {"Python": "3.11"}, seconds=2.0, full=True)
    made.stores = {"beseda": True, "socketio": True, "csend": False}
    for scenario, fan in (ROOM, 200), (DIALOGS, 1):
        for peer, cost in COSTS.items():
            made.cases.append(Case(scenario, peer, [run(cost * drift, fan) for drift in (1.0, 0.9, 1.3)]))
    made.cases[2].runs[1]["generator_cpu"] = 0.97
    made.cases.append(
        Case(
            "idle", "beseda", [{"few_kib_per_socket": 7.0, "many_kib_per_socket": 13.0, "empty_rss_mib": 60}]
        )
    )
    made.cases.append(Case("login", "beseda", failure="OSError: no more sockets"))
    made.missing["prosody"] = "there is no prosody: apt install prosody"
    return made


def run(cost: float, fan: int) -> dict[str, float]:
    """The figures of a run in which a delivery cost so many microseconds."""
    figures = {
        "messages_per_s": 1e6 / cost / fan,
        "deliveries_per_s": 1e6 / cost,
        "cpu_us_per_message": cost * fan,
        "cpu_us_per_delivery": cost,
        "ack_p50_ms": cost,
        "generator_cpu": 0.4,
    }
    return {name: float(f"{value:.5g}") for name, value in figures.items()}
