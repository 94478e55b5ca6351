"""What a message and a delivery cost stays within the budget: see bench/budget.py."""

import sys

import pytest

from bench.budget import costs, ratio


@pytest.mark.gate
@pytest.mark.skipif(sys.platform != "linux", reason="what a server costs is read from /proc")
def test_a_message_and_a_delivery_cost_no_more_than_the_budget_has(monkeypatch: pytest.MonkeyPatch) -> None:
    # The gate measures the coverage of servers too, but not the prototype's, and that costs as much again.
    for variable in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(variable, raising=False)
    rounds = costs()
    assert {work.figure for work in rounds} == {"cpu_us_per_message", "cpu_us_per_delivery"}
    for work, both in rounds.items():
        assert ratio(both) <= work.bound, (
            f"{work.figure} is {ratio(both):.2f} of the prototype's, at most {work.bound}; Beseda's and its, "
            f"by round: {both}"
        )
