"""Time, as the hub's rules see it: a monotonic clock and a way to be called later. The event loop is one."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is yet to come."""

    def cancel(self) -> None:
        """Have it not come."""


class Timers(Protocol):
    """What `asyncio.AbstractEventLoop` offers of time, and nothing else of it. Seconds, monotonic."""

    def time(self) -> float:
        """Now."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: object) -> Timer:
        """Call `callback(*args)` in `delay` seconds."""
