"""A data folder as other processes see it: whether it is one, whose it is, and where its server listens."""

import contextlib
import errno
import os
import pwd
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from storage import Unusable, database

SOCKET = "control.sock"
"""The control socket's name in the data folder."""

LONGEST = 107 if sys.platform == "linux" else 103
"""The longest path of a socket that the system takes, in bytes."""


def require_data(folder: Path) -> None:
    """Make sure that there is data, and that it is the caller's. Raises Unusable.

    What root writes stays its owner's: SQLite sees to its own files.
    """
    place = folder
    try:
        owner = folder.stat().st_uid
        place = folder / database.FILE_NAME
        place.stat()
    except PermissionError:
        raise Unusable(_not_yours(folder, _owner(folder))) from None
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise Unusable(f"{place}: {error.strerror}.") from None
        raise Unusable(
            f"{folder}: there is no data of Beseda's here. Name its folder with --data, or its --config."
        ) from None
    if os.geteuid() not in (0, owner):
        raise Unusable(_not_yours(folder, owner))


@contextlib.contextmanager
def socket_path(folder: Path) -> Iterator[str]:
    """A path by which the folder's control socket can be bound or reached, for the time of the block.

    The folder's own path may be longer than a socket's may be. Raises OSError.
    """
    path = str(folder / SOCKET)
    if len(os.fsencode(path)) <= LONGEST:
        yield path
        return
    if sys.platform != "linux":
        raise OSError(
            errno.ENAMETOOLONG, f"its path is longer than the {LONGEST} bytes that a socket's may have"
        )
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET}"
    finally:
        os.close(handle)


def _owner(folder: Path) -> int | None:
    """Who owns the folder, or of those above it the nearest that can be seen."""
    for place in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            return place.stat().st_uid
    return None


def _not_yours(folder: Path, owner: int | None) -> str:
    name = "another user"
    if owner is not None:
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"#{owner}"
    return f"{folder}: the data belongs to {name}. Become that user: sudo -u {shlex.quote(name)} ..."
