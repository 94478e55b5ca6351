"""How long the chat waits before it connects again."""

from beseda.client.chat.link import LONGEST_SECONDS, pause


def test_attempts_come_later_and_later_and_by_chance() -> None:
    assert [pause(attempt, 1006, 1.0) for attempt in range(4)] == [0.5, 1.0, 2.0, 4.0]
    assert pause(50, 1006, 1.0) == LONGEST_SECONDS
    assert pause(3, 1006, 0.25) == 1.0


def test_the_close_code_says_how_to_come_back() -> None:
    assert pause(0, 1012, 0.5) == 2.5
    assert pause(0, 1008, 0.0) == 60.0
    assert pause(0, 4029, 0.0) == 60.0
