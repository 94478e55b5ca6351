"""The executable as a server, on a machine that has no Python as far as it can tell."""

import os
import select
from collections.abc import Mapping
from pathlib import Path

from tests.support.server import ROOT, ServerProcess, Setting

FILE = ROOT / "dist/beseda"

NO_PYTHON = {"PATH": "/nonexistent"}
"""The whole environment."""

SECONDS = 20.0


class OneFileServer(ServerProcess):
    """`dist/beseda`, which unpacks into a folder of its own. Killed, it is gone when its other process is."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Setting] | None = None,
        *,
        data_dir: Path | None = None,
        config: Path | None = None,
        file: str = "dist/beseda",
    ) -> None:
        super().__init__(folder, settings, data_dir=data_dir, config=config, command=[file])
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)

    @property
    def unpacked(self) -> list[Path]:
        """The folders that it has unpacked into and that are still there."""
        return list(self.temporary.iterdir())

    @property
    def inner_pid(self) -> int:
        """The process that serves; `pid` is the one that was started. 0 before the one has started the other."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def kill(self) -> None:
        """SIGKILL to the process that was started."""
        inner = self.inner_pid if self.is_running else 0
        watched = os.pidfd_open(inner) if inner else None
        super().kill()
        if watched is not None:
            until_ended(watched)

    def _environment(self) -> dict[str, str]:
        settings = {
            name: value for name, value in super()._environment().items() if name.startswith("BESEDA_")
        }
        return NO_PYTHON | settings | {"TMPDIR": str(self.temporary)}


def until_ended(watched: int) -> None:
    """Wait for the end of a process that is nobody's child any more (bounded), and close its pidfd."""
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    ended = poll.poll(SECONDS * 1000)
    os.close(watched)
    assert ended, "the process goes on"
