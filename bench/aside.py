"""Work in a process of its own, so that what it costs does not count as the server's slowness."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

import uvloop

P = ParamSpec("P")
T = TypeVar("T")


async def aside(function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the coroutine function, one of a module, returns; it runs with a lower priority than the server."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return await asyncio.wrap_future(pool.submit(_run, partial(function, *args, **kwargs)))


def _run(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    # Who floods has machines of its own, and does not slow the server down by being busy itself.
    os.nice(5)
    return uvloop.run(function())
