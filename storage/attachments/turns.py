"""Uploads to one attachment take turns."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from protocol.errors import Refused


class Turns:
    """The uploads to one attachment, one after the other: in parallel they would hold many times what one file may.

    The newer one wins, since a client repeats an upload when its connection is gone, and the server may not know yet.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        """Held until the upload is recorded or its file is gone."""
        self.uploads = 0
        """How many there are, with those that wait."""
        self.newest = 0
        """The number of the one that came last."""
        self._streaming: asyncio.Timeout | None = None

    @contextlib.asynccontextmanager
    async def until_a_newer_one(self) -> AsyncIterator[None]:
        """A block that a newer upload breaks off, which raises Refused `attachment_unavailable`."""
        # A timeout that nobody has set yet: it tells its own end from the cancelling of the whole task.
        timeout = asyncio.timeout(None)
        try:
            async with timeout as self._streaming:
                yield
        except TimeoutError as error:
            if timeout.expired():
                raise overtaken() from error
            raise
        finally:
            self._streaming = None

    def end_streaming(self) -> None:
        """Break off the block, if there is one. What is recorded already is past it, and can only be waited for."""
        streaming, self._streaming = self._streaming, None
        if streaming is not None:
            streaming.reschedule(asyncio.get_running_loop().time())


def overtaken() -> Refused:
    """The refusal of an upload that a newer one has ended."""
    return Refused("attachment_unavailable", "A newer upload of this attachment has ended this one.")
