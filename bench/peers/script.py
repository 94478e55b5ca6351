"""Peers whose server is a script of ours: it is told a port, and a folder in which the conversations stand."""

import contextlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.peer import Peer, Running, free_port, launched
from bench.peers.database import ROOMS, SCHEMA


class Script(Peer):
    """A server of ours; what a person logs in with is its index."""

    def __init__(self, name: str, dialect: str = "plain", *, stores: bool = True) -> None:
        self.name = name
        self.dialect = dialect
        self.stores = stores

    def command(self) -> Sequence[str]:
        """What starts the server, save the port and the folder, which are the last two arguments."""
        raise NotImplementedError

    @contextlib.contextmanager
    def serving(self, people: int, conversations: Sequence[Sequence[int]]) -> Iterator[Running]:
        with tempfile.TemporaryDirectory(prefix=f"bench-{self.name}-") as name:
            folder, port = Path(name), free_port()
            lines = [" ".join(map(str, members)) + "\n" for members in conversations]
            (folder / ROOMS).write_text("".join(lines))
            (folder / "schema.sql").write_text(SCHEMA)
            with launched([*self.command(), str(port), name], port, folder / "log") as pid:
                numbers = range(1, len(conversations) + 1)
                yield Running(port, pid, [str(index) for index in range(people)], [str(n) for n in numbers])


class PythonScript(Script):
    """A module of `bench.peers`, and the modules that it imports."""

    def __init__(
        self, name: str, dialect: str = "plain", *, needs: Sequence[str] = (), stores: bool = True
    ) -> None:
        super().__init__(name, dialect, stores=stores)
        self._needs = needs

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", f"bench.peers.{self.name.replace('-', '_')}"]

    def missing(self) -> str | None:
        lacking = [module for module in self._needs if importlib.util.find_spec(module) is None]
        if lacking:
            return f"Python has no module {' and no '.join(lacking)}: pip install '.[bench]'"
        return None


def arguments() -> tuple[int, Path]:
    """The port and the folder that a script was told."""
    port, folder = sys.argv[1:]
    return int(port), Path(folder)
