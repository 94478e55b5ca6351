"""A peer in C: what the system calls cost alone. It is built when it is started."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.peer import Running
from bench.peers.script import Script

SOURCE = Path(__file__).with_name("csend.c")


class Native(Script):
    """The server in `csend.c`: one `send()` for each delivery, and nothing stored."""

    def __init__(self) -> None:
        super().__init__("csend", stores=False)
        self._program = Path()

    def missing(self) -> str | None:
        if shutil.which("gcc") is None:
            return "there is no gcc: install it with the C library's headers (on Debian: apt install gcc libc6-dev)"
        return None

    def command(self) -> Sequence[str]:
        return [str(self._program)]

    @contextlib.contextmanager
    def serving(self, people: int, conversations: Sequence[Sequence[int]]) -> Iterator[Running]:
        with tempfile.TemporaryDirectory(prefix="bench-csend-") as folder:
            self._program = Path(folder) / "csend"
            subprocess.run(
                ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", self._program, SOURCE],
                check=True,
            )
            with super().serving(people, conversations) as running:
                yield running
