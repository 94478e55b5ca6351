"""Is a disk that fails to write only full? Past a quota, as on ZFS, that is no ENOSPC, and SQLite can't tell."""

import errno
import os
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""How the system says that there is no room."""

PROBE_BYTES = 32 * 1024 * 1024
"""More than a batch of the longest messages takes."""

_PIECE_BYTES = 1024 * 1024


def is_left_beside(path: Path) -> bool:
    """Whether a file beside `path` may grow by `PROBE_BYTES`. Blocks; leaves nothing behind."""
    probe = path.with_name(path.name + "-probe")
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            for start in range(0, PROBE_BYTES, _PIECE_BYTES):
                # Random, since a file system may compress.
                os.pwrite(descriptor, os.urandom(_PIECE_BYTES), start)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            probe.unlink(missing_ok=True)
    except OSError as error:
        return error.errno not in FULL
    return True
