"""The store: one writer with group commit, readers beside it, and the publisher that tells what was committed."""

import asyncio
import contextlib
import logging
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import aiosqlite

from protocol.errors import Refused
from protocol.events import Fact
from protocol.tracing import Doer, doer, extra
from storage import database
from storage.counts import Counts
from storage.failures import is_database_failure
from storage.transaction import Snapshot, Transaction, Unit
from storage.writer import Batch, Outcome, Writer, unavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")
Done = Callable[[Outcome], None]
Publisher = Callable[[Sequence[Fact]], None]


class Waiting(NamedTuple):
    """A unit of work that is to be committed: whom to tell its outcome, since when (monotonic, seconds), and whose."""

    unit: Unit
    done: Done
    since: float
    doer: Doer | None


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the data is and how it is kept. `synchronous` is SQLite's: `full` survives a power cut."""

    data_dir: Path
    synchronous: str
    readers: int = 2
    max_waiting: int = 20_000
    max_batch: int = 500


def wall_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Thread(aiosqlite.Connection):
    """A database connection on a thread of its own that runs whole functions: one hop, however many statements."""

    @classmethod
    async def open(cls, connect: Callable[[], sqlite3.Connection]) -> "Thread":
        """Start the thread, and connect on it. Raises what `connect` raises."""
        thread = cls(connect, iter_chunk_size=64)
        try:
            await thread
        except BaseException:
            # It is told to stop by then, but was not waited for: after the loop's end it would die with a trace.
            thread._thread.join()
            raise
        return thread

    async def run(self, function: Callable[[], T]) -> T:
        """What `function` returns, run on the connection's thread."""
        return cast(T, await self._execute(function))  # type: ignore[no-untyped-call]

    @property
    def db(self) -> sqlite3.Connection:
        """The connection itself; for functions that run on its thread."""
        return self._conn

    @property
    def native_id(self) -> int | None:
        """The system's number of the thread."""
        return self._thread.native_id


class Store:
    """The one road to the database. Made by `open_store`."""

    def __init__(
        self, settings: Settings, writer: Thread, readers: list[Thread], clock: Callable[[], int]
    ) -> None:
        self.settings = settings
        self._writer_thread = writer
        self._writer = Writer(writer.db, clock)
        self._readers = [(reader, [0]) for reader in readers]
        self._clock = clock
        self._waiting: list[Waiting] = []
        self._committing: asyncio.Task[None] | None = None
        self.publish: Publisher = lambda facts: None
        """Is handed the facts of every commit, in commit order, before anyone's answer. Must not raise."""
        self.on_fatal: Callable[[Exception], None] = lambda error: None
        """Is told when the disk can no longer be trusted; nothing is acknowledged from then on."""
        self._fatal: Exception | None = None
        self._deadline: float | None = None
        self._busy_seconds = database.BUSY_SECONDS
        self._committing_since: float | None = None
        self.counts = Counts()

    @property
    def waiting(self) -> int:
        """How many units of work wait for the commit that is under way to end."""
        return len(self._waiting)

    @property
    def reading(self) -> int:
        """How many reads are under way or wait."""
        return sum(load for _, [load] in self._readers)

    @property
    def committing_seconds(self) -> float:
        """For how long the commit that is under way has lasted; 0 where none is."""
        return 0.0 if self._committing_since is None else time.monotonic() - self._committing_since

    @property
    def writer_thread(self) -> int | None:
        """The system's number of the thread that writes."""
        return self._writer_thread.native_id

    def submit(self, unit: Unit, done: Done, by: Doer | None = None) -> None:
        """Queue a unit of work; `done` gets its outcome after its facts were published. Never blocks.

        Should it fail, the log says that it was done for `by`.
        """
        if self._fatal is not None or self._is_over() or len(self._waiting) >= self.settings.max_waiting:
            asyncio.get_running_loop().call_soon(done, Outcome(error=unavailable()))
            return
        self._waiting.append(Waiting(unit, done, time.monotonic(), by))
        if self._committing is None:
            # In a context of its own: what it does is not for the first one's sake alone.
            self._committing = asyncio.create_task(self._commit_all(), context=Context())

    async def write(self, unit: Callable[[Transaction], T]) -> T:
        """Run a unit of work and wait until it is durable and published.

        Whoever waits may be cancelled; the unit is not. Raises what the unit raised, or
        Refused `unavailable`.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if future.done():
                return
            if isinstance(outcome.error, StopIteration):
                # No future takes one, and whoever waits would wait for ever (as PEP 479 has it for generators).
                future.set_exception(RuntimeError("a unit of work raised StopIteration"))
            elif outcome.error is not None:
                future.set_exception(outcome.error)
            else:
                future.set_result(outcome.result)

        self.submit(unit, done, doer.get())
        return await future

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """What `query` finds in one consistent view of all that is committed. Raises what it raises."""
        reader, load = min(self._readers, key=lambda pair: pair[1][0])
        load[0] += 1
        try:
            return await reader.run(lambda: self._query(reader.db, query))
        except sqlite3.Error as error:
            if not is_database_failure(error):
                raise
            logger.error("A read failed: %s", error)
            raise unavailable() from None
        finally:
            load[0] -= 1

    async def idle(self) -> None:
        """Wait until all that was submitted is committed and told."""
        while self._committing is not None:
            await asyncio.shield(self._committing)

    def finish_within(self, seconds: float) -> None:
        """The store is about to be closed: what is not begun in so many seconds is refused as `unavailable`.

        No lock of another process's is waited for any longer either. Only the batch that is under way at the moment
        waits as long as ever, `BUSY_SECONDS` at most.
        """
        self._deadline = time.monotonic() + seconds

    async def close(self) -> None:
        """Finish what was submitted, fold the write-ahead log into the database and close it."""
        await self.idle()
        for reader, _ in self._readers:
            await reader.close()
        if self._fatal is None:
            with contextlib.suppress(sqlite3.Error):
                await self._writer_thread.run(self._fold)
        await self._writer_thread.close()

    def _query(self, db: sqlite3.Connection, query: Callable[[Snapshot], T]) -> T:
        db.execute("BEGIN")
        try:
            return query(Snapshot(db, self._clock()))
        except StopIteration as error:
            raise RuntimeError("a query raised StopIteration") from error
        finally:
            # After some errors SQLite has done it already, and what went wrong must not be hidden.
            if db.in_transaction:
                db.execute("ROLLBACK")

    # What runs on the writer's thread.

    def _write(self, units: Sequence[Unit], since: float) -> Batch:
        began = time.perf_counter()
        self._limit_waiting(since)
        batch = self._writer.commit(units)
        if batch.is_committed:
            self.counts.units.observe(len(units))
            self.counts.seconds.observe(time.perf_counter() - began)
        else:
            self.counts.failed += 1
        return batch

    def _fold(self) -> None:
        self._limit_waiting(time.monotonic())
        self._writer_thread.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _limit_waiting(self, since: float) -> None:
        """Wait for another process's lock until `BUSY_SECONDS` after `since`, and no longer than may be."""
        until = since + database.BUSY_SECONDS
        if self._deadline is not None:
            until = min(until, self._deadline)
        # In tenths: what came just now needs no statement of its own.
        left = max(math.ceil((until - time.monotonic()) * 10), 0) / 10
        if left != self._busy_seconds:
            self._busy_seconds = left
            self._writer_thread.db.execute(f"PRAGMA busy_timeout = {int(left * 1000)}")

    # What runs on the loop.

    def _is_over(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                size = self.settings.max_batch
                taken, self._waiting = self._waiting[:size], self._waiting[size:]
                # What has waited behind a lock already, for another batch, waits for it no longer than the rest.
                self._conclude(taken, await self._commit([one.unit for one in taken], taken[-1].since))
        finally:
            self._committing = None

    async def _commit(self, units: Sequence[Unit], since: float) -> Batch:
        if self._fatal is None and not self._is_over():
            self._committing_since = time.monotonic()
            try:
                return await self._writer_thread.run(lambda: self._write(units, since))
            except Exception:
                # The store is closed, or not even a ROLLBACK was possible. Whoever waits must hear of it.
                logger.exception("A batch of %d units was not committed", len(units))
                self.counts.failed += 1
            finally:
                self._committing_since = None
        return Batch([Outcome(error=unavailable()) for _ in units])

    def _conclude(self, taken: list[Waiting], batch: Batch) -> None:
        if batch.fatal is not None:
            self._fatal = batch.fatal
            self.on_fatal(batch.fatal)
        try:
            self.publish(batch.facts)
        except Exception:
            logger.exception("A commit's facts were not all told")
        for (_, done, _, by), outcome in zip(taken, batch.outcomes, strict=True):
            if outcome.error is not None and not isinstance(outcome.error, Refused):
                logger.error("A unit of work failed", exc_info=outcome.error, extra=extra(by))
            try:
                done(outcome)
            except Exception:
                logger.exception("An outcome was not told", extra=extra(by))


@contextlib.asynccontextmanager
async def open_store(settings: Settings, clock: Callable[[], int] = wall_clock) -> AsyncIterator[Store]:
    """Lock the folder, check and migrate the database, and serve it. Raises Unusable."""
    with contextlib.closing(database.lock(settings.data_dir)):
        async with open_locked(settings, clock) as store:
            yield store


@contextlib.asynccontextmanager
async def open_locked(settings: Settings, clock: Callable[[], int] = wall_clock) -> AsyncIterator[Store]:
    """As `open_store`, where the caller holds the folder's lock."""
    path = settings.data_dir / database.FILE_NAME
    async with contextlib.AsyncExitStack() as opened:
        writer = await Thread.open(lambda: database.connect(path, settings.synchronous))
        opened.push_async_callback(writer.close)
        readers = []
        for _ in range(settings.readers):
            reader = await Thread.open(lambda: database.connect_reader(path))
            opened.push_async_callback(reader.close)
            readers.append(reader)
        store = Store(settings, writer, readers, clock)
        opened.pop_all()
    try:
        yield store
    finally:
        await store.close()
