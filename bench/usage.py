"""What the system says that a process costs: asked from outside, by whoever has its id."""

import time
from pathlib import Path


class Usage:
    """A process of ours that runs."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def cpu(self) -> float:
        """Seconds of CPU so far, those of threads that have ended too, to the microsecond: `stat` counts in 10 ms."""
        # As clock_getcpuclockid(3) makes it of a process's id.
        return time.clock_gettime((~self._pid << 3) | 2)

    def rss(self) -> float:
        """Resident memory now, in MiB."""
        return self._memory("VmRSS")

    def peak(self) -> float:
        """The most resident memory since the start, in MiB."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> float:
        status = Path(f"/proc/{self._pid}/status").read_text()
        return int(status.partition(f"{name}:")[2].split()[0]) / 1024


class Window:
    """What a process, and this one beside it, cost from the making on."""

    def __init__(self, pid: int) -> None:
        self.usage = Usage(pid)
        self._cpu, self._own, self._began = self.usage.cpu(), time.process_time(), time.perf_counter()

    def cpu(self) -> float:
        """Seconds of the process's CPU."""
        return self.usage.cpu() - self._cpu

    def seconds(self) -> float:
        """Seconds on the wall."""
        return time.perf_counter() - self._began

    def shares(self) -> dict[str, float]:
        """How many cores both had, as figures: near 1 the generator is what was measured."""
        took = self.seconds()
        return {"server_cpu": self.cpu() / took, "generator_cpu": (time.process_time() - self._own) / took}
