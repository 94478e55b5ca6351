"""What the attachments ask of the disk. All of it blocks, and so runs on a thread."""

import asyncio
import contextlib
import functools
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from protocol.errors import Refused

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

RETRY_AFTER = 60
"""Seconds; room on a disk is not made in less."""


async def on_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what blocks on a thread. Whoever is cancelled still waits for it: until then the file is the thread's."""
    work = asyncio.get_running_loop().run_in_executor(None, functools.partial(function, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        work.exception()  # asked for, so that asyncio doesn't log that nobody did
        raise cancelled
    return work.result()


class Incoming:
    """A file that is being received. Its methods block: each runs on a thread, one at a time."""

    def __init__(self, path: Path, min_free_bytes: int) -> None:
        self._path = path
        self._min_free_bytes = min_free_bytes
        self._descriptor = -1

    def create(self) -> None:
        """Begin the file."""
        make_folder(self._path.parent)
        # Nobody else may read it, and nothing that lies there already is written to.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)

    def write(self, data: bytearray) -> None:
        """Add bytes. Raises Refused `storage_low`, or OSError."""
        # Asked with every piece: many uploads together must not fill what the database needs.
        if free_bytes(self._path.parent) - len(data) < self._min_free_bytes:
            raise storage_low()
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def finish(self, target: Path) -> None:
        """Make it durable under its name: first the bytes, then the name, so that a crash never names half a file."""
        os.fsync(self._descriptor)
        self._close()
        make_folder(target.parent)
        self._path = self._path.rename(target)
        sync_folder(target.parent)

    def abandon(self) -> None:
        """Remove what there is of it."""
        # An error here must not hide the one that led here; what stays is swept.
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor != -1:
            os.close(descriptor)


def storage_low() -> Refused:
    """The refusal of an upload for which the disk has no room."""
    detail = "There is no room for files at the moment (attachments.min_free_bytes)."
    return Refused("storage_low", detail, retry_after=RETRY_AFTER)


def remove(path: Path) -> None:
    """Remove a file; one that is gone already is no error, one that cannot be removed is logged."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("An attachment's file could not be removed: %s", error)


def free_bytes(folder: Path) -> int:
    """The bytes that are left for us on the disk of a folder."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def listed(folder: Path) -> list[str]:
    """The names in a folder; none where there is no folder."""
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each of them durable: a file is lost with the name of its folder."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private(path: str, flags: int) -> int:
    """Open a file, an `opener`: what is made is for its owner alone."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
