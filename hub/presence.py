"""Online and offline: transitions only, told to contacts only, with a linger so that a reconnect does not flap."""

from collections.abc import Callable

from hub.timers import Timer, Timers


class Presence:
    """Users who have lost their last socket and may yet come back. `gone` is called for each who does not."""

    def __init__(self, timers: Timers, linger_seconds: float, gone: Callable[[int], None]) -> None:
        self._timers = timers
        self._linger_seconds = linger_seconds
        self._gone = gone
        self._lingering: dict[int, Timer] = {}

    def left(self, user_id: int) -> None:
        """The user's last socket is gone."""
        self._lingering[user_id] = self._timers.call_later(self._linger_seconds, self._expire, user_id)

    def returned(self, user_id: int) -> None:
        """The user has a socket; if it was lingering, nobody need know that it was away."""
        timer = self._lingering.pop(user_id, None)
        if timer is not None:
            timer.cancel()

    def _expire(self, user_id: int) -> None:
        del self._lingering[user_id]
        self._gone(user_id)
