"""Time in the hands of a test: a clock that moves only when it is told to."""

import heapq
import itertools
from collections.abc import Callable


class FakeTimer:
    """A call that is yet to come, unless it is cancelled."""

    def __init__(self, due: float, call: Callable[[], object]) -> None:
        self.due = due
        self.is_cancelled = False
        self._call = call

    def cancel(self) -> None:
        self.is_cancelled = True

    def fire(self) -> None:
        if not self.is_cancelled:
            self._call()


class FakeTimers:
    """What the hub's rules see of the event loop's time. Calls come in the order in which they are due."""

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now
        self._numbers = itertools.count()
        self._heap: list[tuple[float, int, FakeTimer]] = []

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[..., object], *args: object) -> FakeTimer:
        timer = FakeTimer(self._now + delay, lambda: callback(*args))
        heapq.heappush(self._heap, (timer.due, next(self._numbers), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass; what is due meanwhile is called at its own moment, what that adds included."""
        end = self._now + seconds
        while self._heap and self._heap[0][0] <= end:
            due, _, timer = heapq.heappop(self._heap)
            self._now = max(self._now, due)
            timer.fire()
        self._now = end

    @property
    def waiting(self) -> int:
        """How many calls are yet to come."""
        return sum(not timer.is_cancelled for _, _, timer in self._heap)
