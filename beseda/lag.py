"""How late the event loop is: a timer that notes by how much it came too late, again and again."""

import asyncio
import contextlib
from collections.abc import Iterator

from storage.counts import Histogram

EVERY_SECONDS = 0.25
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@contextlib.contextmanager
def measured_lag() -> Iterator[Histogram]:
    """What is measured, in seconds, for as long as the block lasts. Entered on the event loop."""
    loop, lag = asyncio.get_running_loop(), Histogram(BOUNDS)
    timer: asyncio.TimerHandle

    def tick(due: float) -> None:
        nonlocal timer
        now = loop.time()
        lag.observe(max(0.0, now - due))
        timer = loop.call_at(now + EVERY_SECONDS, tick, now + EVERY_SECONDS)

    first = loop.time() + EVERY_SECONDS
    timer = loop.call_at(first, tick, first)
    try:
        yield lag
    finally:
        timer.cancel()
