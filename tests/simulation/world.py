"""The whole: a server, its clients, and what moves between them."""

import contextlib
import itertools
import logging
import random
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from actions import conversations
from protocol.commands import CreateConversation
from storage import database
from tests.simulation.client import Client
from tests.simulation.history import History
from tests.simulation.server import NAMES, Server, inhabited_database, repeatable

ALL = 2**20
SIZES = (ALL, ALL, 150)
MOST_MOVES = 5_000
MOST_ROUNDS = 50

Move = Callable[[int], None]
"""Something that can happen; bytes move so many at most."""


class World:
    """Everybody of `NAMES` with a device, the first with two, in a group of all and a dialog.

    `move` and `rest` let things go on.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / database.FILE_NAME).write_bytes(inhabited_database())
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self._numbers = itertools.count(1)
        self._complaints = _Complaints()
        self.history = History()
        self.lost_answers = 0
        """Commits of which the loop never heard, for the server was killed right after them."""
        self.clients = [Client(number, name, self.history) for number, name in enumerate(NAMES, 1)]
        self.clients.append(Client(1, f"{NAMES[0]}'s other", self.history))

    def __enter__(self) -> Self:
        self._stack.enter_context(repeatable())
        self._stack.enter_context(self._complaints)
        self.server = Server(self._folder, 1000.0, self.history, self._numbers)
        everyone = [client.actor.user_id for client in self.clients]
        for command in (
            CreateConversation(type="group", members=everyone),
            CreateConversation(type="dialog", members=everyone[1:2]),
        ):
            self._make(command)
        for client in self.clients:
            client.connect(self.server)
        self.rest()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.crash()
        self._stack.close()

    def _make(self, command: CreateConversation) -> None:
        server, actor = self.server, self.clients[0].actor
        server.write(
            actor, lambda tx: conversations.create(tx, server.rules, actor, command), lambda *answer: None
        )

    def moves(self) -> list[Move]:
        """All that could happen next, by itself and at once."""
        found: list[Move] = []
        loop = self.server.loop
        for thread in self.server.threads:
            if thread.waiting:
                found.append(lambda size, thread=thread: thread.work())  # type: ignore[misc]
            if thread.results:
                found.append(lambda size, thread=thread: loop.do(thread.tell))  # type: ignore[misc]
        for client in self.clients:
            wire = client.wire
            if wire is None:
                continue
            if wire.can_flow:
                found.append(lambda size, wire=wire: loop.do(wire.flow, size))  # type: ignore[misc]
            if (wire.can_read and not client.reads_slowly) or wire.is_over:
                found.append(lambda size, client=client: client.hear(size))  # type: ignore[misc]
        return found

    def move(self, times: int, order: int) -> None:
        """Let so many things happen; `order` decides which of those that could, 0 for the first each time."""
        chance = random.Random(order)
        for _ in range(times):
            found = self.moves()
            if not found:
                return
            if order:
                chance.choice(found)(chance.choice(SIZES))
            else:
                found[0](ALL)

    def rest(self) -> None:
        """Let all happen that can at this moment."""
        for _ in range(MOST_MOVES):
            found = self.moves()
            if not found:
                return
            found[0](ALL)
        raise AssertionError("this never comes to rest")

    def restart(self) -> None:
        """The server is killed, at whatever it is, and begins anew."""
        self.lost_answers += len(self.server.threads[0].results)
        now = self.server.crash()
        for client in self.clients:
            client.gone()
        self.server = Server(self._folder, now, self.history, self._numbers)

    def stop(self) -> None:
        """The server stops in good order, and begins anew."""
        self.server.stop()
        for _ in range(MOST_ROUNDS):
            self.rest()
            if self.server.has_stopped:
                break
            self.server.loop.advance(0.1)
        assert self.server.has_stopped, "it does not stop"
        self.restart()

    def finish(self) -> None:
        """Everybody comes back and has everything."""
        for _ in range(MOST_ROUNDS):
            for client in self.clients:
                client.reads_slowly = False
                if client.wire is None:
                    client.connect(self.server)
            self.rest()
            if all(client.is_current for client in self.clients):
                break
            self.server.loop.advance(1.0)
        missing = [client.name for client in self.clients if not client.is_current]
        failures = [*self.server.loop.failures, *self._complaints.heard]
        assert not failures, f"the server failed: {failures}"
        assert not missing, f"{missing} never have everything"


class _Complaints(logging.Handler):
    """What the server logs as an error: in a simulation nothing is one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(self.format(record))

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *exc: object) -> None:
        logging.getLogger().removeHandler(self)
