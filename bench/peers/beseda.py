"""Beseda itself, with all its rules: receipts, presence, rates, every message on the disk before its ACK."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.peer import Peer, Running, allow_descriptors
from bench.process import Server
from bench.scale import COUNTED
from bench.seed import seed


class Beseda(Peer):
    """`beseda serve` with `settings`, named as in the environment without the prefix."""

    dialect = "beseda"
    stores = True

    def __init__(self, name: str = "beseda", scenarios: str = "*", **settings: str) -> None:
        self.name = name
        self.scenarios = scenarios
        self._settings = COUNTED | settings

    @contextlib.contextmanager
    def serving(self, people: int, conversations: Sequence[Sequence[int]]) -> Iterator[Running]:
        allow_descriptors()
        with tempfile.TemporaryDirectory(prefix="bench-beseda-") as folder:
            data_dir = Path(folder) / "data"
            crowd = seed(data_dir, people, [list(members) for members in conversations])
            with Server(data_dir, self._settings) as server:
                numbers = [str(number) for number in crowd.conversations]
                yield Running(server.port, server.pid, crowd.tokens, numbers)
