"""What users may do in a time, by the defaults (docs/protocol.md, Rates)."""

from collections.abc import Callable

import pytest

from actions.rates import Rates
from beseda.settings import Limits
from protocol.errors import Refused
from tests.support.timers import FakeTimers


def defaults(timers: FakeTimers) -> Rates:
    """The rates of a server as it comes."""
    limits = Limits()
    return Rates(
        limits.messages_per_second,
        limits.message_burst,
        limits.requests_per_second,
        limits.request_burst,
        timers.time,
    )


def times(pay: Callable[[], None]) -> int:
    """How often this can be paid at once."""
    for number in range(1000):
        try:
            pay()
        except Refused:
            return number
    raise AssertionError("there was no end")


@pytest.mark.parametrize(
    ("chars", "at_once"), [(0, 60), (1, 60), (1000, 60), (1001, 30), (10_000, 6), (10_001, 5), (10**6, 1)]
)
def test_a_message_costs_by_its_length(chars: int, at_once: int) -> None:
    rates = defaults(FakeTimers())
    assert times(lambda: rates.message(1, chars)) == at_once


@pytest.mark.parametrize(("told", "at_once"), [(0, 60), (50, 60), (51, 30), (1000, 3), (100_000, 1)])
def test_a_change_costs_by_those_who_are_told(told: int, at_once: int) -> None:
    rates = defaults(FakeTimers())
    assert times(lambda: rates.change(1, told)) == at_once


def test_messages_and_changes_share_one_rate_and_calls_have_another() -> None:
    timers = FakeTimers()
    rates = defaults(timers)
    assert times(lambda: rates.call(1)) == 200
    rates.change(1, 2)
    assert times(lambda: rates.message(1, 5)) == 59
    with pytest.raises(Refused):
        rates.change(1, 2)
    with pytest.raises(Refused):
        rates.require_event(1)
    timers.advance(1)
    assert times(lambda: rates.message(1, 5)) == 20
    assert times(lambda: rates.call(1)) == 50


def test_a_user_s_rate_is_nobody_else_s() -> None:
    rates = defaults(FakeTimers())
    assert times(lambda: rates.message(1, 5)) == 60
    assert times(lambda: rates.message(2, 5)) == 60


def test_each_refusal_names_its_setting() -> None:
    rates = Rates(1, 1, 1, 1, FakeTimers().time)
    rates.message(1, 1)
    rates.call(1)
    with pytest.raises(Refused, match=r"\(limits\.messages_per_second\)"):
        rates.message(1, 1)
    with pytest.raises(Refused, match=r"\(limits\.messages_per_second\)"):
        rates.change(1, 1)
    with pytest.raises(Refused, match=r"\(limits\.requests_per_second\)"):
        rates.call(1)


def test_by_default_nothing_is_limited() -> None:
    rates = Rates()
    for _ in range(1000):
        rates.message(1, 10_000)
        rates.call(1)
