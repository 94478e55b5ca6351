"""Backups that the server makes by itself, in time: a process of their own makes each, so that nobody waits for it."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from beseda import frozen
from beseda.settings import Backup
from storage import gently

logger = logging.getLogger(__name__)

NAME = "beseda-%Y-%m-%dT%H%M%SZ.tar"
"""A backup's name tells when it was begun; names that are none of these are left alone."""

RETRY_SECONDS = 3600.0
"""After one that was not made, unless they are made more often."""


def folder(data_dir: Path, settings: Backup) -> Path:
    """Where they are."""
    return data_dir / settings.folder


def last_at(folder: Path) -> int | None:
    """When the last of the backups in a folder was begun, in milliseconds since the epoch; None where there is none.

    Those from the future, since a clock was set back, don't count: with them none would ever be too old.
    """
    now = time.time() * 1000
    return max((at for at in _made(folder) if at <= now), default=None)


@contextlib.asynccontextmanager
async def made_in_time(data_dir: Path, settings: Backup) -> AsyncIterator[None]:
    """Make them for as long as the block lasts, the first at once if it is due. The end breaks off one under way."""
    if not settings.every_hours:
        yield
        return
    task = asyncio.create_task(_make_in_time(data_dir, settings))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _make_in_time(data_dir: Path, settings: Backup) -> None:
    where, seconds = folder(data_dir, settings), settings.every_hours * 3600.0
    while True:
        try:
            if (left := seconds - await asyncio.to_thread(_age, where)) > 0:
                await asyncio.sleep(left)
                continue
            is_made = await make(data_dir, where, settings.keep)
        except OSError as error:
            logger.error("A backup was not made: %s: %s", error.filename or where, error.strerror)
            is_made = False
        except Exception:
            logger.exception("A backup was not made")
            is_made = False
        if not is_made:
            await asyncio.sleep(min(RETRY_SECONDS, seconds))


async def make(data_dir: Path, where: Path, keep: int) -> bool:
    """Make one, and remove those that are older than the `keep` newest; whether it is made. Raises OSError."""
    await asyncio.to_thread(where.mkdir, mode=0o700, parents=True, exist_ok=True)
    began, file = time.monotonic(), where / datetime.now(UTC).strftime(NAME)
    process = await asyncio.create_subprocess_exec(
        *frozen.command(), "backup", "--data", data_dir, file,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        raise
    if process.returncode:
        reason = said.decode(errors="replace").strip().rpartition("\n")[2].removeprefix("beseda: ")
        logger.error("A backup was not made: %s", reason or f"it ended with {process.returncode}")
        return False
    size = await asyncio.to_thread(_remove_old, where, keep, file)
    logger.info("A backup was made in %.1f s: %s, %d bytes", time.monotonic() - began, file, size)
    return True


def _remove_old(where: Path, keep: int, newest: Path) -> int:
    older = [path for _, path in sorted(_made(where).items()) if path != newest]
    for path in older[: len(older) + 1 - keep]:
        try:
            gently.remove(path)
        except OSError as error:
            # Whoever protects one from being removed has his reasons; the new one is made all the same.
            logger.error("An old backup was not removed: %s: %s", path, error.strerror)
    return newest.stat().st_size


def _age(where: Path) -> float:
    """How many seconds ago the last one was begun."""
    last = last_at(where)
    return math.inf if last is None else time.time() - last / 1000


def _made(folder: Path) -> dict[int, Path]:
    """Those in a folder, by when they were begun."""
    found = {}
    for path in folder.glob("beseda-*.tar"):
        with contextlib.suppress(ValueError):
            began = datetime.strptime(path.name, NAME).replace(tzinfo=UTC)
            found[round(began.timestamp() * 1000)] = path
    return found
