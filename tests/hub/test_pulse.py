"""When pings leave, and when a socket is given up; with a clock of its own."""

from dataclasses import replace

import pytest

from hub.pulse import Pulse
from tests.support.hub import SETTINGS
from tests.support.timers import FakeTimers


class Heart:
    """A pulse, the pings that left, and when it was given up."""

    def __init__(self) -> None:
        self.timers = FakeTimers()
        self.pings: list[bytes] = []
        self.gave_up: list[float] = []
        settings = replace(SETTINGS, receipt_seconds=0.5, ping_seconds=20.0)
        self.pulse = Pulse(self.timers, settings, self.pings.append, self.give_up)

    def give_up(self) -> None:
        self.gave_up.append(self.timers.time())
        self.pulse.stop()

    def hand(self, message_id: int) -> None:
        """A message is handed over, and flushed."""
        self.pulse.handed[7] = message_id
        self.pulse.beat(self.timers.time())

    def tick(self) -> None:
        self.pulse.tick(self.timers.time())


@pytest.fixture
def heart() -> Heart:
    return Heart()


def test_the_first_ping_leaves_with_the_message_and_the_next_an_interval_after_it(heart: Heart) -> None:
    heart.hand(50)
    assert len(heart.pings) == 1
    assert heart.pulse.pong(heart.pings[0]) == {7: 50}
    heart.timers.advance(0.125)
    heart.hand(51)
    heart.hand(52)
    heart.timers.advance(0.25)
    assert len(heart.pings) == 1
    heart.timers.advance(0.125)
    assert len(heart.pings) == 2
    assert heart.pulse.pong(heart.pings[1]) == {7: 52}
    heart.hand(53)
    assert len(heart.pings) == 2
    heart.timers.advance(0.5)
    assert len(heart.pings) == 3
    heart.pulse.pong(heart.pings[2])
    heart.timers.advance(60)
    assert len(heart.pings) == 3


def test_a_tick_between_proves_too_and_then_nothing_is_left_to_prove(heart: Heart) -> None:
    heart.hand(50)
    heart.pulse.pong(heart.pings[0])
    heart.hand(51)
    heart.tick()
    assert len(heart.pings) == 2
    heart.timers.advance(0.5)
    assert len(heart.pings) == 2
    assert heart.pulse.pong(heart.pings[1]) == {7: 51}


def test_a_tick_pings_who_is_idle_and_one_who_answers_is_never_given_up(heart: Heart) -> None:
    for number in range(5):
        heart.tick()
        assert len(heart.pings) == number + 1
        heart.timers.advance(19)
        heart.pulse.pong(heart.pings[-1])
        heart.timers.advance(1)
    assert heart.gave_up == []


def test_who_does_not_answer_a_ticks_ping_is_given_up_20_seconds_after_it(heart: Heart) -> None:
    heart.tick()
    heart.timers.advance(20)
    assert heart.gave_up == []
    heart.tick()
    heart.timers.advance(0)
    assert heart.gave_up == [1020.0]
    assert len(heart.pings) == 1


@pytest.mark.parametrize("after", [0.0, 5.0, 19.999])
def test_who_does_not_answer_a_messages_ping_is_given_up_20_seconds_after_it(
    heart: Heart, after: float
) -> None:
    heart.tick()
    heart.pulse.pong(heart.pings[0])
    heart.timers.advance(after + 0.5)
    left = heart.timers.time()
    heart.hand(50)
    assert len(heart.pings) == 2
    while heart.timers.time() < 1060:
        heart.timers.advance(20 - heart.timers.time() % 20)
        heart.tick()
    heart.timers.advance(1)
    assert heart.gave_up[0] == pytest.approx(left + 20)


def test_a_pong_in_the_last_moment_saves_and_the_next_ping_has_20_seconds_of_its_own(heart: Heart) -> None:
    heart.hand(50)
    heart.timers.advance(10)
    heart.tick()
    heart.timers.advance(9.9)
    heart.pulse.pong(heart.pings[0])
    heart.hand(51)
    assert len(heart.pings) == 2
    heart.timers.advance(10.1)
    heart.tick()
    heart.timers.advance(9.8)
    assert heart.gave_up == []
    heart.timers.advance(0.2)
    assert heart.gave_up == [pytest.approx(1039.9)]


def test_a_pulse_that_has_stopped_beats_no_more(heart: Heart) -> None:
    heart.hand(50)
    heart.pulse.pong(heart.pings[0])
    heart.hand(51)
    heart.pulse.stop()
    heart.timers.advance(60)
    assert len(heart.pings) == 1
    heart.tick()
    heart.timers.advance(1)
    heart.tick()
    heart.pulse.stop()
    heart.timers.advance(60)
    assert heart.gave_up == []
    assert heart.timers.waiting == 0
