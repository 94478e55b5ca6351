"""Fixtures for the tests of the actions."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.store import House, open_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A store that is open until the test's end."""
    async with open_house(tmp_path / "data") as opened:
        yield opened
