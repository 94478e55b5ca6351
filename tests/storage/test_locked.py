"""A database that another process has locked: waited for, without standing in anybody's way, then given up."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from storage import database
from tests.support.store import House, keep, kept, open_house, refusal, told

WAIT = 20

HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(sys.argv[2])
print("held", flush=True)
sys.stdin.readline()
"""

Hold = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """Makes another process begin a transaction on the database; a line on its stdin, or its end, lets go."""
    holders: list[subprocess.Popen[str]] = []

    def start(begin: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, str(tmp_path / database.FILE_NAME), begin]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        return holder

    yield start
    for holder in holders:
        holder.kill()
        holder.communicate(timeout=WAIT)


async def let_go(holder: subprocess.Popen[str]) -> None:
    """End the other process, and with it its transaction."""
    holder.kill()
    await asyncio.to_thread(holder.wait, WAIT)


@pytest.fixture
async def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A store that waits a quarter of a second for a lock."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.25)
    async with open_house(tmp_path) as house:
        yield house


def test_a_lock_is_waited_for_as_long_as_promised(tmp_path: Path) -> None:
    db = database.connect(tmp_path / database.FILE_NAME, "full")
    assert db.execute("PRAGMA busy_timeout").fetchone() == (5000,)
    db.close()


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
async def test_a_locked_database_is_unavailable_after_a_while_and_recovers(
    impatient: House, hold: Hold, begin: str
) -> None:
    house, loop = impatient, asyncio.get_running_loop()
    await house.write(keep(1))
    holder = hold(begin)
    began = loop.time()
    writing = [asyncio.create_task(house.write(keep(number))) for number in (2, 3)]
    turns = 0
    async with asyncio.timeout(WAIT):
        while not all(task.done() for task in writing):
            # Meanwhile the loop turns, and reading goes on.
            assert await house.read(kept) == [1]
            turns += 1
    assert loop.time() - began > 0.2
    assert turns > 10
    for task in writing:
        assert (await refusal(task)).code == "unavailable"
    assert told(house.news()) == [1]
    await let_go(holder)
    async with asyncio.timeout(WAIT):
        assert await house.write(keep(2)) == 2
    assert await house.read(kept) == [1, 2]
    assert told(house.news()) == [2]


async def test_a_lock_that_is_let_go_in_time_costs_only_the_wait(tmp_path: Path, hold: Hold) -> None:
    async with open_house(tmp_path) as house:
        holder = hold("BEGIN IMMEDIATE")
        writing = asyncio.create_task(house.write(keep(1)))
        async with asyncio.timeout(WAIT):
            assert await house.read(kept) == []
            assert not writing.done()
            await let_go(holder)
            assert await writing == 1


async def test_whoever_waits_behind_others_for_a_lock_waits_no_longer_than_they_do(
    tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.5)
    async with open_house(tmp_path, max_batch=2) as house:
        holder, began = hold("BEGIN IMMEDIATE"), time.monotonic()
        writing = [asyncio.create_task(house.write(keep(number))) for number in range(40)]
        for task in writing:
            assert (await refusal(task)).code == "unavailable"
        assert 0.5 <= time.monotonic() - began < 5  # and not twenty times as long
        # Who comes then has all the time again.
        monkeypatch.setattr(database, "BUSY_SECONDS", 20.0)
        late = asyncio.create_task(house.write(keep(40)))
        await asyncio.sleep(0.1)
        assert not late.done()
        await let_go(holder)
        assert await late == 40
        assert told(house.news()) == [40]
