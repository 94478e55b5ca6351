"""A copy of the database while it is worked with: of one moment, whole, and in nobody's way.

`VACUUM INTO` reads in one transaction beside the writer, which goes on meanwhile; only the write-ahead log grows until
the copy is done.
"""

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from storage import gently
from storage.failures import result_code
from storage.watched import watched

Tell = Callable[[int, int], None]
"""Is told how many bytes of how many are done."""


def vacuum_into(db: sqlite3.Connection, target: Path, tell: Tell = lambda done, total: None) -> None:
    """Copy what a connection sees to a new file, which only its owner may read, and see it on the disk.

    Raises OSError for what the target's disk does, sqlite3.Error, and what `tell` raises. What there is of the target
    then stays, for the caller to remove.
    """
    pages: int = db.execute("PRAGMA page_count").fetchone()[0]
    total = pages * db.execute("PRAGMA page_size").fetchone()[0]
    # Made by us, so that nobody else may read it from its first moment on.
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    written = 0

    def look() -> None:
        nonlocal written
        size = os.fstat(descriptor).st_size
        if size - written >= gently.PIECE_BYTES:
            gently.to_disk(descriptor)
            written = size
        tell(min(size, total), total)

    try:
        with watched(db, look):
            db.execute("VACUUM INTO ?", (os.fspath(target),))
        os.fsync(descriptor)
    except sqlite3.Error as error:
        if result_code(error) == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
        raise
    finally:
        os.close(descriptor)
    tell(total, total)
