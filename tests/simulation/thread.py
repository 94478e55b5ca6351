"""The database's threads, which run when a test tells them to."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class SteppedThread:
    """In place of `storage.store.Thread`. What it is given to do waits to be done, and then to be told.

    `done(result)` hears of each result at the moment at which the thread has it.
    """

    def __init__(self, db: sqlite3.Connection, done: Callable[[object], None]) -> None:
        self.db = db
        self.waiting: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()
        self.results: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._done = done

    async def run(self, function: Callable[[], T]) -> T:
        """What `function` returns, once the thread has come to it and the loop has heard of it."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.waiting.append((future, function))
        return await future

    def work(self) -> None:
        """Do what has waited longest."""
        future, function = self.waiting.popleft()
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - it is raised where the function was handed over
            self.results.append((future, None, error))
        else:
            self._done(result)
            self.results.append((future, result, None))

    def tell(self) -> None:
        """Let the loop know what was done first."""
        future, result, error = self.results.popleft()
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    async def close(self) -> None:
        """Close the connection."""
        await self.run(self.db.close)

    def kill(self) -> None:
        """The process is gone: what was not committed never was, and what was not told nobody hears of."""
        self.waiting.clear()
        self.results.clear()
        self.db.close()


def as_thread(thread: SteppedThread) -> Any:
    """For the store, whose own threads cannot be stepped."""
    return cast(Any, thread)
