"""One server in the test's process for all tests of a module: starting it costs more than most of them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from beseda.server import Server
from tests.beseda.inside import serving, settings


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, Server]]:
    folder = tmp_path_factory.mktemp("http")
    async with serving(settings(folder / "data", LIMITS__HEADER_BYTES="2048")) as (url, server):
        yield url, server


@pytest.fixture
def url(running: tuple[str, Server]) -> str:
    return running[0]
