"""An event loop without I/O, whose time passes only when it is told to."""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, cast

T = TypeVar("T")

MOST_CALLS = 20_000
"""So many calls in one turn are taken for a loop that never comes to rest."""


class VirtualLoop:
    """What the server needs of `asyncio.AbstractEventLoop`. `now` is where its clock begins, in seconds."""

    def __init__(self, now: float) -> None:
        self._now = now
        self.as_loop = cast(asyncio.AbstractEventLoop, self)
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()
        self._tasks: list[asyncio.Task[Any]] = []
        self._is_dead = False
        self.failures: list[BaseException] = []
        """What was raised where nobody could catch it."""

    # What drives it.

    def do(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function on the loop, and then all that it left to be called at once."""
        if asyncio._get_running_loop() is self.as_loop:
            return function(*args)
        asyncio._set_running_loop(self.as_loop)
        try:
            result = function(*args)
            self._settle()
        finally:
            asyncio._set_running_loop(None)
        return result

    def advance(self, seconds: float) -> None:
        """Let time pass; what is due meanwhile is called at its own moment."""
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, due)
            self._ready.append(timer)
            self.do(lambda: None)
        self._now = end

    def kill(self) -> None:
        """The process is gone: nothing that waits goes on."""
        self._is_dead = True
        self._ready.clear()
        self._timers.clear()
        for task in self._tasks:
            task.cancel()
        self.do(lambda: None)

    def _settle(self) -> None:
        for _ in range(MOST_CALLS):
            if not self._ready:
                return
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()
        raise AssertionError("the loop does not come to rest")

    # What asyncio calls.

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self.as_loop, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self.as_loop, context)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self.as_loop)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self.as_loop, name=name, context=context)
        self._tasks = [other for other in self._tasks if not other.done()]
        self._tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not self._is_dead:
            self.failures.append(error or AssertionError(context["message"]))

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self._is_dead

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is passed over when it is due."""
