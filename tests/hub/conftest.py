"""A hub for every test, on the event loop of the server; and on asyncio's too, where the transport matters."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import uvloop

from tests.support.hub import House, open_house

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class MakeHouse(Protocol):
    """The fixture `make_house`."""

    async def __call__(self, **settings: Any) -> House:
        """Open a house with settings of the test's own."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "transport: holds on every event loop that the server may run on")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    """uvloop is what the server runs on; marked `transport`, a test holds on asyncio's own loop too."""
    factories: dict[str, LoopFactory] = {"uvloop": uvloop.new_event_loop}
    if item.get_closest_marker("transport"):
        factories["asyncio"] = asyncio.new_event_loop
    return factories


@pytest.fixture
async def make_house(tmp_path: Path) -> AsyncIterator[MakeHouse]:
    """Opens houses: `await make_house(live_members=2)`; the settings are the hub's."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(**settings: Any) -> House:
            return await stack.enter_async_context(open_house(tmp_path, **settings))

        yield make


@pytest.fixture
async def house(make_house: MakeHouse) -> House:
    """A house with the usual settings."""
    return await make_house()
