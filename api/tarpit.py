"""Holding back the answers to who asks too much, so that a flood of refusals costs nobody else anything."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable

SECONDS_EACH = 0.1
MOST_SECONDS = 2.0


class Tarpit:
    """Where requests wait that were refused for their rate, or without an account (docs/protocol.md, Rates).

    Each waits longer than those of the same client that wait already: over however many connections it asks, it gets
    ten refusals a second, or, past 20 connections, each of them one in MOST_SECONDS.
    """

    def __init__(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._held: Counter[Hashable] = Counter()

    async def hold(self, client: Hashable) -> None:
        """Return when a client's refusal may go out."""
        self._held[client] += 1
        try:
            await self._sleep(min(self._held[client] * SECONDS_EACH, MOST_SECONDS))
        finally:
            self._held[client] -= 1
            if not self._held[client]:
                del self._held[client]
