"""The server as a process of its own, and what the system says it costs."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 30.0
STOP_SECONDS = 30.0


class Server:
    """`beseda serve` on a data folder, on one port however often it is started; beside the folder lies its log.

    `settings` are named as in the environment, `LIMITS__RESUME_EVENTS`; what stands there itself overrides them.
    """

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        self._environment = {f"BESEDA_{name}": value for name, value in (settings or {}).items()} | os.environ
        # Modules stay compiled, as those of an installed server are.
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._data_dir = data_dir
        self._log = data_dir.with_name(data_dir.name + ".log")
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start, and return once it listens."""
        command = [sys.executable, "-m", "beseda", "serve", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--data", str(self._data_dir)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment,
            )
        assert self._process.stdout is not None
        found = re.search(r"http://[^:]+:(\d+)", self._process.stdout.readline())
        if not found:
            raise RuntimeError(f"the server did not start: {self.log()}")
        self.port = int(found[1])

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def stop(self) -> float:
        """SIGTERM: drain and end; the seconds it took. Raises RuntimeError where it ended with another code than 0."""
        began = time.monotonic()
        self._process.terminate()
        code = self._wait()
        if code != 0:
            raise RuntimeError(f"the server ended with {code}: {self.log()}")
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL."""
        self._process.send_signal(signal.SIGKILL)
        self._wait()

    def log(self) -> str:
        """All that it has written to its log so far."""
        return self._log.read_text("utf-8", "replace")

    def cpu(self) -> float:
        """Seconds of CPU so far, all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss(self) -> float:
        """Resident memory now, in MiB."""
        return self._memory("VmRSS")

    def peak(self) -> float:
        """The most resident memory since the start or `forget_peak`, in MiB."""
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        """Have `peak` count from now on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def _wait(self) -> int:
        code = self._process.wait(STOP_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def _memory(self, name: str) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition(f"{name}:")[2].split()[0]) / 1024

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            if error is None:
                self.stop()
            else:
                self.kill()
        if error is None and "Traceback" in self.log():
            raise RuntimeError(f"the server's log tells of a bug: {self.log()}")
