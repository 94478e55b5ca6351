"""A house whose ends are all meant."""

import pytest

from tests.hub.conftest import MakeHouse
from tests.support.hub import House


@pytest.fixture
async def house(make_house: MakeHouse) -> House:
    """It lets go of nobody who has not closed."""
    return await make_house(close_seconds=60.0)
