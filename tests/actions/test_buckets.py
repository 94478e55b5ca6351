"""Token buckets under a clock that moves only when it is told to."""

import pytest

from actions import buckets
from actions.buckets import Buckets
from protocol.errors import Refused
from tests.support.timers import FakeTimers


def made(per_second: float, burst: int) -> tuple[Buckets[int], FakeTimers]:
    """Buckets, and the time they go by."""
    timers = FakeTimers()
    return Buckets[int]("limits.tea", "cups", per_second, burst, timers.time), timers


def taken(of: Buckets[int], key: int = 1, cost: int = 1) -> int:
    """How often so much could be taken before it was refused."""
    for times in range(10_000):
        try:
            of.take(key, cost)
        except Refused:
            return times
    raise AssertionError("there was no end")


@pytest.mark.parametrize("burst", [1, 3, 60, 200])
@pytest.mark.parametrize("per_second", [10 / 60, 3, 20, 50])
def test_a_burst_may_be_taken_at_once_and_then_one_for_each_that_flows_in(
    per_second: float, burst: int
) -> None:
    cups, timers = made(per_second, burst)
    assert taken(cups) == burst
    for _ in range(50):
        timers.advance(1 / per_second)
        assert taken(cups) == 1
    timers.advance(burst / per_second + 60)
    assert taken(cups) == burst


def test_a_refusal_names_the_limit_and_says_how_long_to_wait_and_then_it_is_so() -> None:
    cups, timers = made(0.5, 3)
    assert taken(cups) == 3
    with pytest.raises(Refused) as refused:
        cups.take(1, 2)
    assert (refused.value.code, refused.value.status) == ("rate_limited", 429)
    assert refused.value.detail == "Too many cups (limits.tea)."
    assert refused.value.retry_after == 4
    timers.advance(3.9)
    with pytest.raises(Refused):
        cups.take(1, 2)
    timers.advance(0.1)
    cups.take(1, 2)


def test_what_is_refused_takes_nothing() -> None:
    cups, timers = made(1, 10)
    cups.take(1, 7)
    for _ in range(100):
        with pytest.raises(Refused):
            cups.take(1, 5)
    timers.advance(2)
    cups.take(1, 5)


def test_nothing_costs_more_than_a_whole_bucket() -> None:
    cups, timers = made(1, 10)
    cups.take(1, 1000)
    with pytest.raises(Refused) as refused:
        cups.take(1, 1000)
    assert refused.value.retry_after == 10
    timers.advance(10)
    cups.take(1, 1000)


def test_each_key_has_a_bucket_of_its_own() -> None:
    cups, _ = made(1, 3)
    assert taken(cups, 1) == 3
    assert taken(cups, 2) == 3


@pytest.mark.parametrize(("per_second", "burst"), [(0, 5), (5, 0), (0, 0)])
def test_zero_is_no_limit_and_keeps_nothing(per_second: int, burst: int) -> None:
    cups, _ = made(per_second, burst)
    for _ in range(1000):
        cups.take(1, 1000)
        cups.require(1)
    assert len(cups) == 0


def test_what_is_given_back_can_be_taken_again_and_no_more_than_that() -> None:
    cups, _ = made(0.001, 3)
    assert taken(cups) == 3
    cups.give_back(1)
    assert taken(cups) == 1
    for _ in range(10):
        cups.give_back(1)
    assert taken(cups) == 3
    cups.give_back(2)  # was never taken from
    assert taken(cups, 2) == 3


def test_to_require_takes_nothing() -> None:
    cups, _ = made(1, 1)
    for _ in range(10):
        cups.require(1)
    cups.take(1)
    with pytest.raises(Refused):
        cups.require(1)


def test_buckets_that_are_full_again_are_not_kept() -> None:
    cups, timers = made(1, 10)
    for key in range(1000):
        cups.take(key)
    assert len(cups) == 1000
    timers.advance(1.01)
    cups.take(5000)
    assert len(cups) == 1


def test_a_flood_of_keys_is_bounded_and_forgets_who_came_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "MOST", 100)
    cups, _ = made(0.001, 2)
    assert taken(cups, 1) == 2
    assert taken(cups, 2) == 2
    for key in range(3, 101):
        cups.take(key)
    cups.take(3)
    for key in range(1000, 1050):
        cups.take(key)
        assert len(cups) == 100
    assert taken(cups, 3) == 0
    assert taken(cups, 1) == 2
