"""What a socket that resumes waits for."""

import asyncio
from typing import TYPE_CHECKING

from hub.handshake import Since

if TYPE_CHECKING:
    from hub.endpoint import Endpoint


class Replay:
    """A replay that is under way on a socket, or about to begin."""

    __slots__ = ("_waiter", "since")

    def __init__(self, since: Since) -> None:
        self.since = since
        self._waiter: asyncio.Future[None] | None = None

    def go_on(self) -> None:
        """The client has caught up with what was written, or is gone."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def drained(self, connection: "Endpoint") -> None:
        """Wait until the client has taken most of what was written, or is gone."""
        while connection.is_paused and connection.is_open:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
