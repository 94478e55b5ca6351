"""When to come back after a connection was lost, and whether at all (docs/protocol.md section 6, Close codes)."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from beseda.client.errors import ClientError, ConnectionLost, LoggedOut, Rejected

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
RESTART_SECONDS = 5.0
FLOOD_SECONDS = 60.0

_RESTARTS = frozenset({1001, 1012})
_FLOODS = frozenset({1008, 4029})
_PASSING = frozenset({408, 429})


@dataclass(frozen=True)
class Timing:
    """Time and chance, as a test may want them: a clock in seconds, a sleep, a number between 0 and 1."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = random.random

    async def pause(self, attempt: int, error: ClientError) -> None:
        """Wait until the next attempt."""
        await self.sleep(pause(attempt, error, self.chance()))


def pause(attempt: int, error: ClientError, chance: float) -> float:
    """Seconds until the next attempt: longer each time, and by chance, so that not all clients come at once.

    `chance` is between 0 and 1. Never less than the server asked for.
    """
    longest = min(FIRST_SECONDS * 2.0 ** min(attempt, 20), LONGEST_SECONDS)
    least = 0.0
    match error:
        case ConnectionLost() if error.code in _FLOODS:
            least = FLOOD_SECONDS
        case ConnectionLost() if error.code in _RESTARTS:
            longest = max(longest, RESTART_SECONDS)
        case Rejected():
            least = error.retry_after or 0.0
    return least + longest * chance


def may_return(error: ClientError) -> bool:
    """Whether it makes sense to try again."""
    match error:
        case ConnectionLost():
            return error.may_return
        case LoggedOut():
            return False
        case Rejected():
            return error.status is None or error.status in _PASSING or error.status >= 500
    return True
