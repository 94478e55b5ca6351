"""What is measured: a server that carries messages between people, whoever wrote it."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.usage import Usage

ROOT = Path(__file__).parents[1]
START_SECONDS = 30.0
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """A peer's server that listens on loopback, with what each person logs in, and the conversations' names."""

    port: int
    pid: int
    credentials: Sequence[str]
    conversations: Sequence[str]

    def pids(self) -> list[int]:
        """The server's processes, children included."""
        return family(self.pid)

    def cpu(self) -> float:
        """Seconds of CPU so far, all processes."""
        return sum(Usage(pid).cpu() for pid in self.pids())

    def rss(self) -> float:
        """Resident memory now, all processes, in MiB."""
        return sum(Usage(pid).rss() for pid in self.pids())


class Peer(ABC):
    """A server that can be started for a crowd."""

    name: str
    dialect: str
    """How it is talked to: a name in `bench.dialects.DIALECTS`."""
    stores: bool
    """Whether a message is on the disk before it is acknowledged."""
    scenarios: str = "*"
    """Those it is run in, by a pattern of their names."""

    def missing(self) -> str | None:
        """Why it can't run here, and what to install; None where it can."""
        return None

    @abstractmethod
    def serving(self, people: int, conversations: Sequence[Sequence[int]]) -> AbstractContextManager[Running]:
        """Run a fresh server on a free port of loopback, with so many people, and conversations of their indexes.

        Raises RuntimeError where it doesn't start; what it wrote to its log is in the message.
        """


@contextlib.contextmanager
def launched(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a program that is to listen on `port`; its process id. At the end it is ended with all its children."""
    allow_descriptors()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_port(process, port, log)
        yield process.pid
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}: {_end(log)}")
    finally:
        _stop(process)


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as end:
        end.bind(("127.0.0.1", 0))
        return int(end.getsockname()[1])


def allow_descriptors() -> None:
    """Let this process, and those it starts, open as many sockets as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may have ended
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for known in found:
        found += children.get(known, [])
    return found


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}: {_end(log)}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"the server does not listen after {START_SECONDS:.0f} s: {_end(log)}")
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes]) -> None:
    # It leads a group of its own, so this reaches what it started, too, and nothing else.
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    process.wait()


def _end(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-2000:].strip() or "it said nothing"
