"""Fixtures for the tests of the storage: a writer without threads, and an open store."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from storage import database
from storage.writer import Writer
from tests.support.store import Clock, House, open_house


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The writer's connection to a new database."""
    connection = database.connect(tmp_path / database.FILE_NAME, "full")
    yield connection
    connection.close()


@pytest.fixture
def writer(db: sqlite3.Connection) -> Writer:
    """A writer on `db`."""
    return Writer(db, Clock())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A store that is open until the test's end."""
    async with open_house(tmp_path / "data") as opened:
        yield opened
