"""Hashing passwords beside the event loop, a few at a time."""

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from actions.passwords import hash_password, verify_password
from protocol.errors import Refused

P = ParamSpec("P")
T = TypeVar("T")

MAX_WAITING = 32
RETRY_AFTER = 2

NICENESS = 10
"""How far the hashing steps back behind the event loop. Otherwise the loop waits its turn, for each message, behind
the four threads that argon2 makes of each hash: on two cores half of all ACKs took over 60 ms in a storm of logins."""


class PasswordPool:
    """The port `actions.passwords.Passwords` on threads: `workers` at work, and at most `MAX_WAITING` behind them.

    A hash takes a tenth of a second and 64 MiB. Whoever comes when the queue is full is told to come back, rather
    than to wait for longer than clients do.
    """

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="passwords", initializer=_step_back)
        self._most = self._room = workers + MAX_WAITING

    @property
    def waiting(self) -> int:
        """How many passwords wait, or are at work."""
        return self._most - self._room

    async def hash(self, password: str) -> str:
        """The encoded hash to keep. Raises Refused `unavailable`."""
        return await self._run(hash_password, password)

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether the password is the one; as slowly, and False, for None. Raises Refused `unavailable`."""
        return await self._run(verify_password, encoded, password)

    def close(self) -> None:
        """Let go of the threads; what only waits is not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._room == 0:
            detail = "Too many passwords wait to be checked (auth.hash_concurrency)."
            raise Refused("unavailable", detail, retry_after=RETRY_AFTER)
        self._room -= 1
        try:
            return await asyncio.wrap_future(self._pool.submit(function, *args, **kwargs))
        finally:
            self._room += 1


def _step_back() -> None:
    # Only Linux has it per thread; those that a thread starts take it over.
    if sys.platform == "linux":
        os.nice(NICENESS)
