"""Faults of what surrounds a real server process: its database's lock, the network, and the machine, by a small
library that is loaded into it (tests/faults/faults.c).
"""

import contextlib
import errno
import mmap
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import ServerProcess

SOURCE = Path(__file__).resolve().parents[1] / "faults" / "faults.c"

_FIELDS = ("clock_offset", "fail_syncs", "is_full", "kill_at", "writes", "failed")
_INT64 = struct.Struct("=q")
_HEAD = struct.Struct("=cI")


@dataclass(frozen=True, slots=True)
class Record:
    """Something the server did: `W` wrote to its write-ahead log, `S` synced it, `N` wrote to a network socket."""

    kind: str
    data: bytes


def build_library(folder: Path) -> Path:
    """Compile the library. Fails where there is no C compiler: what needs it is no part of `make test`."""
    compiler = shutil.which("gcc")
    assert compiler, "some of the gate's tests need gcc: install it (on Debian: apt install gcc libc6-dev)"
    library = folder / "faults.so"
    command = [
        compiler,
        "-Wall",
        "-Wextra",
        "-Werror",
        "-O1",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(SOURCE),
    ]
    built = subprocess.run([*command, "-ldl", "-lpthread"], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return library


class Faults:
    """What goes wrong in one server, whether it runs or is yet to be started with `environment`."""

    def __init__(self, library: Path, folder: Path) -> None:
        control, self._trace = folder / "control", folder / "trace"
        control.write_bytes(bytes(_INT64.size * len(_FIELDS)))
        self._trace.touch()
        with control.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), 0)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAULTS_CONTROL": str(control),
            "FAULTS_TRACE": str(self._trace),
        }

    def step_clock(self, seconds: float) -> None:
        """Have the wall clock be so far ahead (behind, if negative) from now on."""
        self._set("clock_offset", int(seconds * 1e9))

    def fail_syncs(self, fail: bool = True) -> None:
        """Have the disk fail to sync the write-ahead log (EIO)."""
        self._set("fail_syncs", fail)

    def fill_disk(self, error: int = errno.ENOSPC) -> None:
        """Have no room for any file of the database to grow; `error` is how the system says so."""
        self._set("is_full", error)

    def make_room(self) -> None:
        """Let them grow again."""
        self._set("is_full", 0)

    def kill_at_write(self, number: int) -> None:
        """SIGKILL in place of this write to the database's files, counted from now."""
        self._set("writes", 0)
        self._set("kill_at", number)

    @property
    def failed(self) -> int:
        """How many calls have failed by our doing."""
        return self._get("failed")

    @property
    def writes(self) -> int:
        """How many writes to the database's files there were, since they are counted."""
        return self._get("writes")

    def trace(self) -> list[Record]:
        """What the server did so far, in its order."""
        records, data, at = [], self._trace.read_bytes(), 0
        while at < len(data):
            kind, size = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            records.append(Record(kind.decode(), data[at : at + size]))
            at += size
        return records

    def _set(self, field: str, value: int) -> None:
        _INT64.pack_into(self._control, _FIELDS.index(field) * _INT64.size, value)

    def _get(self, field: str) -> int:
        number: int = _INT64.unpack_from(self._control, _FIELDS.index(field) * _INT64.size)[0]
        return number


_LOCK = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def locked(server: ServerProcess) -> Iterator[None]:
    """Another process holds the lock of the server's database meanwhile."""
    command = [sys.executable, "-c", _LOCK, str(server.data_dir / "beseda.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield
        finally:
            holder.kill()
