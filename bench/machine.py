"""The machine and the versions that figures were had with: without them they say little."""

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

PACKAGES = ("beseda", "uvloop", "websockets", "uvicorn", "starlette", "python-socketio")
SYNCS = 50

PROGRAMS = {
    "Node": ("node", "--version"),
    "Prosody": ("dpkg-query", "--show", "--showformat=${Version}", "prosody"),
    "ejabberd": ("dpkg-query", "--show", "--showformat=${Version}", "ejabberd"),
}


def machine() -> dict[str, str]:
    """The processor, the kernel, and the disk that the servers' data will lie on."""
    folder = Path(tempfile.gettempdir()).resolve()
    return {
        "CPU": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": _file_system(folder),
        "fsync of 4 KiB": f"{_sync_ms(folder):.2f} ms",
    }


def versions() -> dict[str, str]:
    """Of Python, of SQLite, and of what the peers run on, as far as it is here."""
    found = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    for name, command in PROGRAMS.items():
        if shutil.which(command[0]) is not None:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip():
                found[name] = done.stdout.strip().removeprefix("v")
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """That of the nearest mount above the folder: on a tmpfs nothing is durable, and syncing costs nothing."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(point), kind) for point, kind in mounts if folder.is_relative_to(point)]
    return max(above, default=(0, "unknown"))[1]


def _sync_ms(folder: Path) -> float:
    """The median time of writing a page and syncing it."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            file.write(bytes(4096))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3
