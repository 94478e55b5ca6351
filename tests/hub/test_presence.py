"""The linger, with a clock of its own."""

from hub.presence import Presence
from tests.support.timers import FakeTimers


class Gone:
    """Who went offline, in order."""

    def __init__(self, linger: float = 5.0) -> None:
        self.timers = FakeTimers()
        self.users: list[int] = []
        self.presence = Presence(self.timers, linger, self.users.append)


def test_who_lost_the_last_socket_is_gone_when_the_linger_is_over() -> None:
    gone = Gone()
    gone.presence.left(1)
    gone.timers.advance(4.999)
    assert gone.users == []
    gone.timers.advance(0.001)
    assert gone.users == [1]


def test_who_comes_back_within_the_linger_was_never_gone() -> None:
    gone = Gone()
    gone.presence.left(1)
    gone.timers.advance(4.9)
    gone.presence.returned(1)
    gone.timers.advance(60)
    assert gone.users == []


def test_each_leaving_lingers_anew() -> None:
    gone = Gone()
    gone.presence.left(1)
    gone.timers.advance(4)
    gone.presence.returned(1)
    gone.presence.left(1)
    gone.timers.advance(4)
    assert gone.users == []
    gone.timers.advance(1)
    assert gone.users == [1]


def test_users_linger_independently() -> None:
    gone = Gone()
    gone.presence.left(1)
    gone.timers.advance(1)
    gone.presence.left(2)
    gone.presence.returned(3)  # whose second socket opens: it never lingered
    gone.timers.advance(4)
    assert gone.users == [1]
    gone.timers.advance(1)
    assert gone.users == [1, 2]


def test_one_who_went_offline_may_come_and_go_again() -> None:
    gone = Gone(linger=0)
    gone.presence.left(1)
    gone.timers.advance(0)
    gone.presence.left(1)
    gone.timers.advance(0)
    assert gone.users == [1, 1]
    assert gone.timers.waiting == 0
