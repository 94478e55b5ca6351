"""Large files on the disk that the database is on: written and removed piece by piece, with pauses.

A file system puts what many do into one journal. So a fsync of a large file, or the freeing of one where the disk is
told what is free (`discard`), has the database's fsync wait behind it, and with that everybody's acknowledgement.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path

PIECE_BYTES = 1024 * 1024
"""So much may lie unwritten in the system's cache."""

FREED_BYTES = 4 * PIECE_BYTES


def to_disk(descriptor: int, *, forget: bool = False) -> None:
    """See a file's bytes on the disk, then leave the disk to others for as long.

    With `forget` they need not stay in the system's cache, where others' are in use.
    """
    began = time.monotonic()
    getattr(os, "fdatasync", os.fsync)(descriptor)
    time.sleep(time.monotonic() - began)
    if forget and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def remove(path: Path) -> None:
    """Remove a file. Raises OSError."""
    with path.open("r+b") as file:
        path.unlink()
        _free(file.fileno())


def replace(path: Path, target: Path) -> None:
    """Give a file its name, and remove what had it before. Raises OSError."""
    try:
        before = target.open("r+b")
    except OSError:
        path.replace(target)
        return
    with before:
        path.replace(target)
        _free(before.fileno())


def _free(descriptor: int) -> None:
    """Free a file's room, if nobody else needs it: it has no other name, and nobody is reading it."""
    with contextlib.suppress(OSError, AttributeError):
        if os.fstat(descriptor).st_nlink:
            return
        # Only who alone has opened a file gets the lease, and without a name nobody else can open it.
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        size = os.fstat(descriptor).st_size
        while size:
            size = max(0, size - FREED_BYTES)
            os.ftruncate(descriptor, size)
            to_disk(descriptor)
