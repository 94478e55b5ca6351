"""A disk that fills in the middle of a batch: nothing is acknowledged, told or half stored, and it heals by itself."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import Refused
from storage import Transaction, database, room
from storage.transaction import Unit
from tests.support.disks import mounted
from tests.support.store import House, keep, kept, open_house, told

WAIT = 20


def limit_pages(pages: int) -> Unit:
    """A unit after which the database may have so many pages; 0 for as many as there are."""

    def unit(tx: Transaction) -> None:
        allowed = pages or tx.value("PRAGMA page_count")
        tx.value(f"PRAGMA max_page_count = {allowed}")

    return unit


def keep_much(tx: Transaction) -> None:
    """A unit that needs a megabyte."""
    tx.execute(
        "INSERT INTO messages VALUES (?, 1, 1, 1, 0, 0, NULL, ?)",
        10**9 + tx.new_event_id(),
        "much of it " * 100_000,
    )


async def write_all(house: House, units: list[Unit]) -> list[Any]:
    """Submit all at once, so that they share a batch: each one's result, or its refusal's code."""
    async with asyncio.timeout(WAIT):
        answers = await asyncio.gather(*(house.write(unit) for unit in units), return_exceptions=True)
    for answer in answers:
        assert not isinstance(answer, BaseException) or isinstance(answer, Refused), answer
    return [answer.code if isinstance(answer, Refused) else answer for answer in answers]


async def test_a_disk_that_fills_in_the_middle_of_a_batch_takes_the_whole_batch_with_it(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    assert await write_all(house, [keep(number) for number in range(100)]) == list(range(100))
    before = await house.read(lambda snapshot: snapshot.value("SELECT last_event_id FROM log"))
    await house.write(limit_pages(0))
    house.news()

    batch = [
        *(keep(number) for number in range(100, 150)),
        keep_much,
        *(keep(number) for number in range(150, 200)),
    ]
    assert await write_all(house, batch) == ["unavailable"] * 101
    assert house.news() == []
    assert "A batch of 101 units was not committed: database or disk is full" in caplog.text

    # Reading goes on, and finds nothing of it.
    assert await house.read(kept) == list(range(100))
    assert await house.read(lambda snapshot: snapshot.value("SELECT last_event_id FROM log")) == before

    # There is room again: no restart is needed, and what is sent again is stored once.
    await house.write(limit_pages(1_000_000))
    assert await write_all(house, batch) == [*range(100, 150), None, *range(150, 200)]
    assert told(house.news()) == list(range(100, 200))
    assert await house.read(kept) == list(range(200))
    assert await house.read(lambda snapshot: snapshot.value("PRAGMA integrity_check")) == "ok"


async def test_while_the_disk_is_full_what_still_fits_is_stored(house: House) -> None:
    await house.write(limit_pages(0))
    assert await write_all(house, [keep_much]) == ["unavailable"]
    assert await write_all(house, [keep(1)]) == [1]
    assert await house.read(kept) == [1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    with mounted(tmp_path / "disk", megabytes=2) as folder:
        yield folder


async def test_a_small_disk_that_really_fills_loses_nothing_and_heals(small_disk: Path) -> None:
    async with open_house(small_disk) as house:
        assert await write_all(house, [keep(1), keep(2)]) == [1, 2]
        house.news()
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
            while file.write(b"\0" * 4096):
                pass

        # Here it is the COMMIT that fails: until then the pages are in memory.
        assert await write_all(house, [keep(3), keep_much, keep(4)]) == ["unavailable"] * 3
        assert house.news() == []
        assert await house.read(kept) == [1, 2]

        filler.unlink()
        assert await write_all(house, [keep(3), keep_much, keep(4)]) == [3, None, 4]
        assert told(house.news()) == [3, 4]
    with_all = sqlite3.connect(small_disk / database.FILE_NAME)
    assert kept(with_all) == [1, 2, 3, 4]
    assert with_all.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with_all.close()


def test_a_small_disk_has_no_room_left_and_a_usual_one_has(small_disk: Path, tmp_path: Path) -> None:
    for folder, has_room in ((small_disk, False), (tmp_path, True)):
        before = list(folder.iterdir())
        assert room.is_left_beside(folder / database.FILE_NAME) is has_room
        assert list(folder.iterdir()) == before
