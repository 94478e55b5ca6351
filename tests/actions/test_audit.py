"""The audit trail: what was refused must not flood the log, and what is in its place says so."""

from collections.abc import Callable

import pytest

from actions.audit import LINES_A_SECOND, LINES_AT_ONCE, Refusals
from tests.support.secrets import overhearing


class Clock:
    """Seconds, which pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lines(cause: Callable[[], None]) -> list[str]:
    with overhearing() as heard:
        cause()
    return [line.partition("INFO audit: ")[2] for line in heard.lines]


def test_a_flood_of_refusals_leaves_some_lines_a_second_and_the_next_one_counts_the_rest(
    clock: Clock,
) -> None:
    refusals = Refusals(clock)

    def flood() -> None:
        for number in range(1000):
            refusals.record("login_failed", user_id=number)

    assert lines(flood) == [f"login_failed user_id={number}" for number in range(LINES_AT_ONCE)]
    assert lines(lambda: refusals.record("login_failed")) == []
    clock.now = 1
    left_out = 1000 - LINES_AT_ONCE + 1
    assert lines(flood) == [
        f"login_failed user_id=0 left_out={left_out}",
        *(f"login_failed user_id={number}" for number in range(1, LINES_A_SECOND)),
    ]


def test_a_flood_of_one_kind_hides_no_other(clock: Clock) -> None:
    refusals = Refusals(clock)

    def flood() -> None:
        for _ in range(1000):
            refusals.record("forbidden_origin")

    assert len(lines(flood)) == LINES_AT_ONCE
    assert lines(lambda: refusals.record("login_failed", user_id=None)) == ["login_failed user_id=null"]
