"""The store: who waits for what, in which order things are told, and how it ends."""

import asyncio
import contextlib
import contextvars
import logging
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from protocol.errors import Refused
from protocol.events import Fact
from protocol.tracing import Named, doer
from storage import Snapshot, Transaction, database
from storage.writer import Outcome
from tests.support.secrets import overhearing
from tests.support.store import House, keep, kept, open_house, refusal, told

WAIT = 20
"""Seconds that no wait of these tests may exceed."""


def broken_disk(tx: Transaction) -> None:
    """A unit under which the disk fails."""
    error = sqlite3.OperationalError("disk I/O error, says the test")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    raise error


class Gate:
    """A unit of work that stays on the writer's thread until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, tx: Transaction) -> None:
        self.entered.set()
        assert self.opened.wait(WAIT)


async def test_concurrent_writes_share_their_commits(house: House) -> None:
    statements: list[str] = []
    await house.write(lambda tx: tx.db.set_trace_callback(statements.append))
    statements.clear()
    numbers = list(range(900))
    async with asyncio.timeout(WAIT):
        assert await asyncio.gather(*(house.write(keep(number)) for number in numbers)) == numbers
    assert statements.count("COMMIT") == 2  # of 500 units at most
    assert told(house.facts) == await house.read(kept) == numbers


async def test_what_is_submitted_while_a_commit_is_under_way_goes_into_the_next_one(house: House) -> None:
    gate, statements = Gate(), list[str]()
    await house.write(lambda tx: tx.db.set_trace_callback(statements.append))
    held = asyncio.create_task(house.write(gate))
    await asyncio.to_thread(gate.entered.wait, WAIT)
    statements.clear()
    later = [asyncio.create_task(house.write(keep(number))) for number in range(50)]
    await asyncio.sleep(0)
    gate.opened.set()
    async with asyncio.timeout(WAIT):
        await asyncio.gather(held, *later)
    assert statements.count("COMMIT") == 2
    assert told(house.facts) == list(range(50))


async def test_facts_are_published_before_any_answer_and_answers_come_in_the_order_of_submission(
    house: House,
) -> None:
    order: list[object] = []
    all_done = asyncio.Event()

    def publish(facts: Sequence[Fact]) -> None:
        order.append(told(facts))

    def done(outcome: Outcome) -> None:
        order.append(outcome.result)
        if outcome.result == 3:
            all_done.set()

    house.store.publish = publish
    for number in (2, 1, 3):
        house.store.submit(keep(number), done)
    async with asyncio.timeout(WAIT):
        await all_done.wait()
    assert order == [[2, 1, 3], 2, 1, 3]


async def test_a_refused_write_and_one_with_a_bug_fail_alone(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(tx: Transaction) -> None:
        keep(666)(tx)
        raise Refused("forbidden", "no")

    def stumble(tx: Transaction) -> None:
        raise ZeroDivisionError

    async with asyncio.timeout(WAIT):
        answers = await asyncio.gather(
            house.write(keep(1)),
            house.write(refuse),
            house.write(stumble),
            house.write(keep(2)),
            return_exceptions=True,
        )
    assert [type(answer) for answer in answers] == [int, Refused, ZeroDivisionError, int]
    assert told(house.facts) == await house.read(kept) == [1, 2]
    # A refusal is nobody's fault; a bug is logged with its trace.
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


async def test_even_a_bug_that_no_future_can_carry_reaches_who_waits(house: House) -> None:
    def exhaust(snapshot: Snapshot) -> int:
        return next(iter(()))

    async with asyncio.timeout(WAIT):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await house.write(exhaust)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await house.read(exhaust)


async def test_a_publisher_with_a_bug_delays_nobodys_answer(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def publish(facts: Sequence[Fact]) -> None:
        raise ZeroDivisionError

    house.store.publish = publish
    async with asyncio.timeout(WAIT):
        assert await house.write(keep(1)) == 1
    assert "A commit's facts were not all told" in caplog.text


async def test_one_answer_with_a_bug_keeps_no_other_from_being_told(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def done(outcome: Outcome) -> None:
        raise ZeroDivisionError

    house.store.submit(keep(1), done)
    async with asyncio.timeout(WAIT):
        assert await house.write(keep(2)) == 2
    assert "An outcome was not told" in caplog.text


async def test_who_waits_may_be_cancelled_but_the_unit_is_not(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = asyncio.create_task(house.write(keep(1)))
    await asyncio.sleep(0)
    waiting.cancel()
    async with asyncio.timeout(WAIT):
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await house.store.idle()
    assert told(house.facts) == await house.read(kept) == [1]
    # Nobody waits for the answer any more; that is nothing to complain about.
    assert caplog.records == []


async def test_cancelling_in_the_middle_of_a_transaction_leaves_none_open(house: House) -> None:
    gate = Gate()

    def unit(tx: Transaction) -> None:
        keep(1)(tx)
        gate(tx)

    waiting = asyncio.create_task(house.write(unit))
    await asyncio.to_thread(gate.entered.wait, WAIT)
    waiting.cancel()
    async with asyncio.timeout(WAIT):
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await house.read(kept) == []
        gate.opened.set()
        assert await house.write(keep(2)) == 2
    assert await house.read(kept) == [1, 2]


async def test_cancelling_a_read_leaves_its_reader_usable(tmp_path: Path) -> None:
    entered, opened = threading.Event(), threading.Event()

    def query(snapshot: Snapshot) -> None:
        entered.set()
        assert opened.wait(WAIT)

    async with open_house(tmp_path, readers=1) as house:
        waiting = asyncio.create_task(house.read(query))
        await asyncio.to_thread(entered.wait, WAIT)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        opened.set()
        async with asyncio.timeout(WAIT):
            await house.write(keep(1))
            assert await house.read(kept) == [1]


async def test_closing_finishes_what_was_submitted(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    async with open_house(tmp_path) as house:
        for number in range(1200):
            house.store.submit(keep(number), outcomes.append)
        assert outcomes == []
    assert [outcome.result for outcome in outcomes] == told(house.facts) == list(range(1200))
    async with open_house(tmp_path) as house:
        assert await house.read(kept) == list(range(1200))


async def test_closing_folds_the_log_into_the_database(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.write(keep(1))
        assert (tmp_path / "beseda.db-wal").stat().st_size > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beseda.db", "lock"]


async def test_closing_folds_the_log_where_something_else_has_the_database_open_too(tmp_path: Path) -> None:
    with contextlib.ExitStack() as after:
        async with open_house(tmp_path) as house:
            await house.write(keep(1))
            other = after.enter_context(contextlib.closing(sqlite3.connect(tmp_path / "beseda.db")))
            other.execute("SELECT * FROM log").fetchall()
        # SQLite folds it by itself only as the very last connection closes.
        assert (tmp_path / "beseda.db-wal").stat().st_size == 0


async def test_idle_waits_for_all_that_was_submitted(house: House) -> None:
    gate = Gate()
    async with asyncio.timeout(WAIT):
        await house.store.idle()  # at once, with nothing to do
        written = [asyncio.create_task(house.write(unit)) for unit in (gate, keep(1))]
        await asyncio.to_thread(gate.entered.wait, WAIT)
        idle = asyncio.create_task(house.store.idle())
        await asyncio.sleep(0)
        assert not idle.done()
        gate.opened.set()
        await idle
        assert told(house.facts) == [1]
        await asyncio.gather(*written)


async def test_what_comes_after_the_close_is_unavailable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_house(tmp_path) as house:
        await house.write(keep(1))
    async with asyncio.timeout(WAIT):
        assert (await refusal(house.write(keep(2)))).code == "unavailable"
    assert "was not committed" in caplog.text


async def test_a_locked_database_holds_up_no_close_that_has_a_deadline(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    with contextlib.ExitStack() as stack:
        # Batches of one: each would wait for the lock in its turn.
        async with open_house(tmp_path, max_batch=1) as house:
            await house.write(keep(1))
            other = sqlite3.connect(tmp_path / "beseda.db", isolation_level=None)
            stack.callback(other.close)
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            house.store.finish_within(0.3)
            for number in (2, 3, 4):
                house.store.submit(keep(number), outcomes.append)
        assert 0.2 < time.monotonic() - began < database.BUSY_SECONDS
    assert [getattr(outcome.error, "code", None) for outcome in outcomes] == ["unavailable"] * 3
    assert told(house.facts) == [1]


async def test_a_deadline_changes_nothing_for_what_is_stored_before_it(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    async with open_house(tmp_path) as house:
        house.store.submit(keep(1), outcomes.append)
        house.store.finish_within(WAIT)
        house.store.submit(keep(2), outcomes.append)
    assert [outcome.result for outcome in outcomes] == told(house.facts) == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beseda.db", "lock"]


async def test_after_the_deadline_nothing_is_taken_and_what_was_committed_is_still_told(
    house: House,
) -> None:
    gate, order = Gate(), list[object]()
    house.store.publish = lambda facts: order.append("told")

    def unit(tx: Transaction) -> int:
        gate(tx)
        return keep(1)(tx)

    written = asyncio.create_task(house.write(unit))
    await asyncio.to_thread(gate.entered.wait, WAIT)
    house.store.finish_within(0)
    assert (await refusal(house.write(keep(2)))).code == "unavailable"
    gate.opened.set()
    async with asyncio.timeout(WAIT):
        assert await written == 1
    assert order == ["told"]
    assert await house.read(kept) == [1]


async def test_a_unit_that_breaks_the_connection_leaves_nobody_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_house(tmp_path) as house, asyncio.timeout(WAIT):
        units = [keep(1), lambda tx: tx.db.close(), keep(2)]
        answers = await asyncio.gather(*(house.write(unit) for unit in units), return_exceptions=True)
        assert [getattr(answer, "code", None) for answer in answers] == ["unavailable"] * 3
        assert told(house.facts) == []


async def test_past_so_many_waiting_units_a_write_is_refused(tmp_path: Path) -> None:
    gate = Gate()
    async with open_house(tmp_path, max_waiting=3) as house:
        held = asyncio.create_task(house.write(gate))
        await asyncio.to_thread(gate.entered.wait, WAIT)
        waiting = [asyncio.create_task(house.write(keep(number))) for number in range(3)]
        await asyncio.sleep(0)
        refused = await refusal(house.write(keep(9)))
        assert (refused.code, refused.retry_after) == ("unavailable", 1)
        gate.opened.set()
        async with asyncio.timeout(WAIT):
            assert await asyncio.gather(held, *waiting) == [None, 0, 1, 2]
            assert await house.write(keep(9)) == 9
        assert await house.read(kept) == [0, 1, 2, 9]


async def test_after_a_failing_disk_nothing_is_acknowledged_or_told_any_more(tmp_path: Path) -> None:
    events: list[object] = []
    # One unit a batch, so that others wait behind the one under which the disk fails.
    async with open_house(tmp_path, max_batch=1) as house:
        house.store.publish = lambda facts: events.extend(told(facts))
        house.store.on_fatal = lambda error: events.append(type(error))
        async with asyncio.timeout(WAIT):
            answers = await asyncio.gather(
                *(house.write(unit) for unit in (keep(1), broken_disk, keep(2), keep(3))),
                return_exceptions=True,
            )
            assert (await refusal(house.write(keep(4)))).code == "unavailable"
            assert await house.read(kept) == [1]
    assert events == [1, sqlite3.OperationalError]
    assert [getattr(answer, "code", answer) for answer in answers] == [1, *["unavailable"] * 3]
    async with open_house(tmp_path) as house:
        assert await house.read(kept) == [1]


async def test_the_fatal_error_is_told_before_anyone_hears_of_the_failure(house: House) -> None:
    order: list[str] = []
    house.store.on_fatal = lambda error: order.append("fatal")
    house.store.submit(broken_disk, lambda outcome: order.append("told"))
    async with asyncio.timeout(WAIT):
        await house.store.idle()
    assert order == ["fatal", "told"]


async def test_the_thread_of_the_database_logs_no_statements(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await house.write(keep(1))
    assert caplog.records == []


async def test_a_unit_that_fails_is_logged_as_the_doing_of_whoever_asked_for_it(house: House) -> None:
    def broken(tx: Transaction) -> None:
        raise ValueError("a bug, says the test")

    def ask(for_whom: str) -> asyncio.Task[None]:
        context = contextvars.copy_context()
        context.run(doer.set, Named({"request_id": for_whom}))
        return asyncio.create_task(house.write(broken), context=context)

    outcomes: list[Outcome] = []
    with overhearing() as heard:
        # All of one commit, which is begun for the first one.
        asked = [ask("first"), ask("second")]
        await asyncio.sleep(0)
        house.store.submit(broken, outcomes.append, Named({"connection_id": 3}))
        house.store.submit(broken, outcomes.append)
        await asyncio.gather(*asked, return_exceptions=True)
        await house.store.idle()
    assert len(outcomes) == 2
    told = [line.splitlines()[0].partition("A unit of work failed")[2] for line in heard.lines]
    assert told == [' request_id="first"', ' request_id="second"', " connection_id=3", ""]


async def test_commits_are_counted_with_their_units_and_those_that_fail_apart(house: House) -> None:
    counts = house.store.counts
    before, units = sum(counts.units.counts), counts.units.sum
    gate = Gate()
    held = asyncio.create_task(house.write(gate))
    await asyncio.to_thread(gate.entered.wait, WAIT)
    later = [asyncio.create_task(house.write(keep(number))) for number in range(7)]
    await asyncio.sleep(0)
    assert house.store.waiting == 7
    assert house.store.committing_seconds > 0
    gate.opened.set()
    await asyncio.gather(held, *later)
    assert (sum(counts.units.counts) - before, counts.units.sum - units) == (2, 8)
    assert sum(counts.seconds.counts) == sum(counts.units.counts)
    assert (house.store.waiting, house.store.committing_seconds, counts.failed) == (0, 0.0, 0)
    assert (await refusal(house.write(broken_disk))).code == "unavailable"
    assert (sum(counts.units.counts) - before, counts.failed) == (2, 1)
