"""One life of the server's process: from its start over whatever the database holds to its end."""

import contextlib
import functools
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from uvicorn.server import ServerState

from actions import replay
from actions.actor import Actor
from actions.sessions import acting
from hub import Connection, Hub
from hub.registry import Peer
from hub.wheel import SPOKES, Wheel
from protocol.errors import Refused
from storage import Settings, Snapshot, Store, Transaction, database, sessions, users
from storage.writer import Batch, Writer
from tests.simulation.history import History
from tests.simulation.loop import VirtualLoop
from tests.simulation.thread import SteppedThread, as_thread
from tests.simulation.wire import Wire
from tests.support.hub import SETTINGS
from tests.support.store import START, Clock, make_rules

T = TypeVar("T")
Answer = Callable[[Any, Refused | None], None]

NAMES = ("ann", "bob", "cat", "dan")

HUB_SETTINGS = replace(
    SETTINGS,
    backlog_bytes=600,
    linger_seconds=5.0,
    receipt_seconds=0.5,
    ping_seconds=20.0,
    stuck_seconds=30.0,
)
RESUME_EVENTS = 12
PAGE_EVENTS = 3
PAGE_CHARS = 500
"""All small, so that a short run passes them."""


class NumberedConnection(Connection):
    """A connection that chance has no part in: sets hold it by its number and not by its address."""

    __slots__ = ("number",)

    def __init__(self, number: int, *args: Any) -> None:
        super().__init__(*args)
        self.number = number

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Within this the server does nothing by chance, and its pages are small."""

    def spoke_of(wheel: Wheel, connection: NumberedConnection) -> set[Connection]:
        return wheel._spokes[connection.number % SPOKES]

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(Wheel, "_spoke_of", spoke_of))
        stack.enter_context(mock.patch.object(Peer, "__hash__", lambda peer: peer.user_id))
        stack.enter_context(mock.patch.object(replay, "PAGE_EVENTS", PAGE_EVENTS))
        stack.enter_context(mock.patch.object(replay, "PAGE_CHARS", PAGE_CHARS))
        yield


class Server:
    """A store and a hub on a loop of their own, which begins at `now`."""

    def __init__(self, folder: Path, now: float, history: History, numbers: Iterator[int]) -> None:
        path = folder / database.FILE_NAME
        self.loop = VirtualLoop(now)
        self._clock = _LoopClock(self.loop)
        self._state = ServerState()
        self._wires: list[Wire] = []
        self._numbers = numbers

        def note(result: object) -> None:
            if isinstance(result, Batch):
                history.record(result.facts)

        self.threads = [
            SteppedThread(database.connect(path, "off"), note),
            *(SteppedThread(database.connect_reader(path), note) for _ in range(2)),
        ]
        writer, *readers = map(as_thread, self.threads)
        self.store = Store(Settings(folder, "off"), writer, readers, self._clock)
        self.rules = replace(make_rules(self._clock), resume_events=RESUME_EVENTS)
        self.hub = self.loop.do(Hub, self.store, self.rules, HUB_SETTINGS, self._clock)
        self.store.publish = self.hub.publish
        self.is_stopping = False
        self.has_stopped = False

    def accept(self) -> tuple[Wire, int]:
        """A new connection of a client's: the wire, and the number by which the history knows it."""
        number = next(self._numbers)
        connection = NumberedConnection(number, None, self._state, {"hub": self.hub})
        wire = Wire(self.loop.as_loop)
        self._wires.append(wire)
        self.loop.do(wire.attach, connection)
        return wire, number

    def write(self, actor: Actor, unit: Callable[[Transaction], T], answer: Answer) -> None:
        """Do something in the name of someone, as REST would; `answer(result, refusal)` is called after it."""
        self._serve(lambda: self.store.write(acting(actor, unit)), answer)

    def read(self, actor: Actor, query: Callable[[Snapshot], T], answer: Answer) -> None:
        """As `write`, in a snapshot."""
        self._serve(lambda: self.store.read(acting(actor, query)), answer)

    def serve(self, action: Callable[[], Coroutine[Any, Any, T]], answer: Answer) -> None:
        """As `write`, for actions that do more than one thing."""
        self._serve(action, answer)

    def stop(self) -> None:
        """Begin to stop, as on SIGTERM."""
        self.is_stopping = True
        self.loop.do(self._start, self._stop())

    def crash(self) -> float:
        """Be gone, at whatever moment this is; when it was."""
        for thread in self.threads:
            thread.kill()
        self.loop.kill()
        for wire in self._wires:
            self.loop.do(wire.cut)
        return self.loop.time()

    async def _stop(self) -> None:
        self.hub.stop_reading()
        await self.hub.finish()
        await self.store.idle()
        await self.hub.close_all()
        await self.store.close()
        self.has_stopped = True

    def _serve(self, action: Callable[[], Coroutine[Any, Any, T]], answer: Answer) -> None:
        async def run() -> None:
            result, refusal = None, None
            try:
                result = await action()
            except Refused as error:
                refusal = error
            answer(result, refusal)

        self.loop.do(self._start, run())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.create_task(work)


class _LoopClock(Clock):
    """The wall clock goes with the loop's."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def __call__(self) -> int:
        return START + round(self._loop.time() * 1000)


@functools.cache
def inhabited_database() -> bytes:
    """A database in which everybody of `NAMES` has an account and a session, both of that number."""

    def unit(tx: Transaction) -> None:
        for name in NAMES:
            address = f"{name}@example.org"
            user_id = users.insert(
                tx, username=name, username_key=name, email=address, email_key=address, password="", is_admin=False
            )  # fmt: skip
            sessions.insert(
                tx, user_id=user_id, refresh_id=name, expires_at=tx.now + 10**10, address="", user_agent=""
            )
        tx.execute("UPDATE log SET name = 'simulated'")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / database.FILE_NAME
        db: sqlite3.Connection = database.connect(path, "off")
        [outcome] = Writer(db, Clock()).commit([unit]).outcomes
        assert outcome.error is None, outcome
        db.close()
        return path.read_bytes()
