"""All backlogs together: the largest go first (docs/protocol.md, Limits)."""

from collections.abc import Iterable, Iterator
from typing import cast

import pytest

from hub import Connection
from hub.backlogs import Backlogs
from tests.hub.conftest import MakeHouse
from tests.hub.test_backlog import TEXT, slow

LIMIT = 1600


class Reader:
    """A socket of which only its backlog is of matter."""

    def __init__(self, backlog: int) -> None:
        self.backlog = backlog
        self.is_closed = False

    def fall_behind(self, why: str) -> None:
        assert "limits.total_backlog_bytes" in why
        self.is_closed = True


class Readers:
    """Those that are open. Counts how often they are looked at."""

    def __init__(self, *backlogs: int) -> None:
        self.all = [Reader(size) for size in backlogs]
        self.looks = 0

    def __iter__(self) -> Iterator[Reader]:
        self.looks += 1
        return iter([reader for reader in self.all if not reader.is_closed])

    def closed(self) -> list[int]:
        return [reader.backlog for reader in self.all if reader.is_closed]


def backlogs(limit: int, readers: Readers) -> Backlogs:
    return Backlogs(limit, cast(Iterable[Connection], readers))


def test_past_the_limit_the_largest_go_and_no_more_than_must() -> None:
    readers = Readers(500, 100, 900, 0, 400, 100)
    of = backlogs(LIMIT, readers)
    of.grew(LIMIT)
    assert readers.looks == 0
    of.grew(1)
    assert readers.closed() == [900]


def test_nobody_goes_while_there_is_room() -> None:
    readers = Readers(800, 799)
    of = backlogs(LIMIT, readers)
    for _ in range(1000):
        of.grew(LIMIT)
    assert readers.closed() == []


def test_what_a_look_finds_decides_when_the_next_one_is_due() -> None:
    readers = Readers(600)
    of = backlogs(LIMIT, readers)
    of.grew(LIMIT + 1)
    for _ in range(10):
        of.grew(100)
    assert readers.looks == 1
    of.grew(1)
    assert readers.looks == 2
    readers.all[0].backlog = LIMIT
    of.grew(LIMIT)
    looks = readers.looks
    of.grew(LIMIT // 16)
    assert readers.looks == looks
    of.grew(1)
    assert readers.looks == looks + 1


def test_zero_is_no_limit() -> None:
    readers = Readers(10**9)
    of = backlogs(0, readers)
    for _ in range(10):
        of.grew(10**9)
    assert (readers.looks, readers.closed()) == (0, [])


@pytest.mark.transport
async def test_of_slow_readers_the_slowest_is_closed_with_4008_and_others_do_not_notice(
    make_house: MakeHouse,
) -> None:
    house = await make_house(total_backlog_bytes=400_000, close_seconds=10.0)
    ann, bob, cat, dan = await house.people("ann", "bob", "cat", "dan")
    group = await house.group(ann, bob, cat, dan)
    good = await house.connect(dan)
    client, most = await slow(house, bob)
    for _ in range(10):
        await house.post(ann, group, TEXT)
    _, less = await slow(house, cat)
    for _ in range(100):
        await house.post(ann, group, TEXT)
        if not most.is_open:
            break
        assert most.backlog + less.backlog < 500_000
    assert not most.is_open
    assert less.is_open
    assert less.is_paused
    close = await client.until_close()
    assert close.close_code == 4008
    assert close.payload[2:].endswith(b"(limits.total_backlog_bytes)")
    await good.settle()
    assert len(good.take("new_message")) > 20
