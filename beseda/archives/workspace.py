"""A folder for what is not finished, beside what it will become: it is gone at the end, whatever the end is.

After `kill -9` it stays. The next one who works in the same place finds that nobody holds it, and removes it.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".beseda-unfinished-"


@contextlib.contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` for its owner alone, on the same disk. Raises OSError."""
    sweep(parent)
    folder, handle = _make(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def is_workspace(path: Path) -> bool:
    """Whether a folder is one of these."""
    return path.name.startswith(PREFIX) and path.is_dir() and not path.is_symlink()


def sweep(parent: Path) -> None:
    """Remove those that nobody works in any more."""
    for folder in filter(is_workspace, parent.iterdir()):
        with contextlib.suppress(OSError):
            handle = _hold(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(handle)


def _make(parent: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        # Before it was held, someone else's sweep may have taken it for a left one.
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            handle = _hold(folder)
            if folder.exists():
                return folder, handle
            os.close(handle)


def _hold(folder: Path) -> int:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle
