"""Disks that are soon full."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SECONDS = 20


@contextlib.contextmanager
def mounted(folder: Path, *, megabytes: int, noexec: bool = False) -> Iterator[Path]:
    """A file system of this size at a folder to be made; the test is skipped where none may be mounted.

    With `noexec` no program may run from there.

    What then fills the database is for anyone to run: a limit on its pages, and in the gate tests/faults/faults.c.
    """
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    options = f"size={megabytes}m,mode=700" + (",noexec" if noexec else "")
    mount = ["mount", "-t", "tmpfs", "-o", options, "beseda-test", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily: whatever still holds it must not leave it behind.
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=SECONDS)
