"""Typing's pace and expiry, with a clock of its own."""

import pytest

from hub.typing import EXPIRY_SECONDS, PACE_SECONDS, Typing
from tests.support.timers import FakeTimers

ANN, BOB = 1, 2
TEAM, OTHERS = 7, 8


class Room:
    """Typing, and what the others were told of it: `(kind, conversation, user)`."""

    def __init__(self) -> None:
        self.timers = FakeTimers()
        self.told: list[tuple[str, int, int]] = []
        self.typing = Typing(
            self.timers, lambda kind, conversation, user: self.told.append((kind, conversation, user))
        )

    def take(self) -> list[tuple[str, int, int]]:
        """What was told since the last time."""
        told, self.told = self.told, []
        return told


STARTED = ("typing", TEAM, ANN)
STOPPED = ("typing_stop", TEAM, ANN)


@pytest.fixture
def room() -> Room:
    return Room()


def test_the_numbers_are_the_protocols() -> None:
    assert (PACE_SECONDS, EXPIRY_SECONDS) == (3.0, 6.0)


def test_a_start_is_told_at_once_and_then_at_most_once_in_3_seconds(room: Room) -> None:
    told_at = []
    for _ in range(100):
        room.typing.start(ANN, TEAM, "phone")
        if room.take() == [STARTED]:
            told_at.append(room.timers.time())
        room.timers.advance(0.125)
    assert told_at == [1000.0, 1003.0, 1006.0, 1009.0, 1012.0]


def test_6_seconds_without_another_start_are_a_stop(room: Room) -> None:
    room.typing.start(ANN, TEAM, "phone")
    room.timers.advance(2)
    room.typing.start(ANN, TEAM, "phone")  # told to nobody, but it counts
    assert room.take() == [STARTED]
    room.timers.advance(5.999)
    assert room.take() == []
    room.timers.advance(0.001)
    assert room.take() == [STOPPED]
    room.timers.advance(60)
    assert room.take() == []


def test_a_stop_is_told_once_and_only_after_a_start_was(room: Room) -> None:
    room.typing.stop(ANN, TEAM)
    assert room.take() == []
    room.typing.start(ANN, TEAM, "phone")
    room.typing.stop(ANN, TEAM)
    room.typing.stop(ANN, TEAM)
    assert room.take() == [STARTED, STOPPED]


def test_a_stop_ends_the_expiry(room: Room) -> None:
    room.typing.start(ANN, TEAM, "phone")
    room.timers.advance(4)
    room.typing.stop(ANN, TEAM)
    assert room.take() == [STARTED, STOPPED]
    room.timers.advance(60)
    assert room.take() == []


def test_a_start_after_a_stop_keeps_the_pace(room: Room) -> None:
    room.typing.start(ANN, TEAM, "phone")
    room.typing.stop(ANN, TEAM)
    room.take()
    room.timers.advance(2.999)
    room.typing.start(ANN, TEAM, "phone")
    assert room.take() == []
    room.typing.stop(ANN, TEAM)
    assert room.take() == []  # of a start that nobody was told of
    room.timers.advance(0.001)
    room.typing.start(ANN, TEAM, "phone")
    assert room.take() == [STARTED]


def test_a_start_that_was_too_early_does_not_make_the_next_one_expire_sooner(room: Room) -> None:
    room.typing.start(ANN, TEAM, "phone")
    room.typing.stop(ANN, TEAM)
    room.timers.advance(1)
    room.typing.start(ANN, TEAM, "phone")
    room.timers.advance(2)
    room.take()
    room.typing.start(ANN, TEAM, "phone")
    room.timers.advance(5.9)
    assert room.take() == [STARTED]
    room.timers.advance(0.1)
    assert room.take() == [STOPPED]


def test_users_and_conversations_have_a_pace_each(room: Room) -> None:
    room.typing.start(ANN, TEAM, "phone")
    room.typing.start(BOB, TEAM, "laptop")
    room.typing.start(ANN, OTHERS, "phone")
    assert room.take() == [STARTED, ("typing", TEAM, BOB), ("typing", OTHERS, ANN)]
    room.typing.stop(ANN, OTHERS)
    assert room.take() == [("typing_stop", OTHERS, ANN)]


def test_a_socket_that_is_gone_stops_all_that_was_typed_on_it(room: Room) -> None:
    room.typing.start(ANN, TEAM, "phone")
    room.typing.start(ANN, OTHERS, "phone")
    room.typing.start(BOB, TEAM, "laptop")
    room.take()
    room.typing.stop_all(ANN, "laptop")
    assert room.take() == []
    room.typing.stop_all(ANN, "phone")
    assert room.take() == [STOPPED, ("typing_stop", OTHERS, ANN)]
    room.typing.stop_all(ANN, "phone")
    assert room.take() == []


def test_typing_belongs_to_the_socket_that_typed_last(room: Room) -> None:
    room.typing.start(ANN, TEAM, "phone")
    room.typing.start(ANN, TEAM, "tablet")
    room.take()
    room.typing.stop_all(ANN, "phone")
    assert room.take() == []
    room.typing.stop_all(ANN, "tablet")
    assert room.take() == [STOPPED]


def test_nothing_is_kept_of_typing_that_is_over(room: Room) -> None:
    room.typing.start(ANN, TEAM, "phone")
    room.typing.stop(ANN, TEAM)
    room.typing.start(BOB, TEAM, "laptop")
    room.typing.start(BOB, OTHERS, "laptop")
    room.timers.advance(60)
    assert room.timers.waiting == 0
    assert room.typing._entries == {}
