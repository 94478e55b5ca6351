"""Copies of the database from before an upgrade, beside it: the way back, should the new version not please.

before-1-2026-11-24T030000Z.db      as it was with schema 1
"""

import re
import sqlite3
import time
from pathlib import Path

from storage.attachments import disk
from storage.copying import vacuum_into

KEPT = 2
"""More than one: who upgrades twice, or begins twice, has the first way back still."""

_NAME = re.compile(r"before-([0-9]+)-([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{6}Z)\.db")

SPARE_BYTES = 64 * 1024 * 1024
"""What the upgrade itself may take."""


class NoRoom(Exception):
    """The disk has no room for one: a sentence that says how much it takes."""


def keep(db: sqlite3.Connection, path: Path) -> Path:
    """Make one of the database at `path`, whole and on the disk when it has its name; where it is.

    Older ones go. Raises NoRoom, OSError and sqlite3.Error.
    """
    pages: int = db.execute("PRAGMA page_count").fetchone()[0]
    size = pages * db.execute("PRAGMA page_size").fetchone()[0]
    if (free := disk.free_bytes(path.parent)) < size + SPARE_BYTES:
        needed = -(-(size + SPARE_BYTES) // 2**20)
        raise NoRoom(
            f"there is no room for an upgrade and the copy from before it: they take {needed} MiB, and"
            f" {free // 2**20} are free"
        )
    schema: int = db.execute("PRAGMA user_version").fetchone()[0]
    snapshot = path.with_name(time.strftime(f"before-{schema}-%Y-%m-%dT%H%M%SZ.db", time.gmtime()))
    unfinished = path.with_name("before.db.new")
    unfinished.unlink(missing_ok=True)
    try:
        vacuum_into(db, unfinished)
        unfinished.replace(snapshot)
    except BaseException:
        # On a full disk half of one would take the room that the old version needs to go on.
        unfinished.unlink(missing_ok=True)
        raise
    disk.sync_folder(path.parent)
    _remove_old(snapshot)
    return snapshot


def listed(folder: Path) -> list[Path]:
    """All there are, oldest first. Names that are none of theirs are somebody else's."""
    return sorted(filter(_parts, folder.glob("before-*.db")), key=lambda path: _parts(path)[1:])


def _remove_old(newest: Path) -> None:
    """Keep the newest, whatever the clock said when others were made, and the last of another schema.

    An upgrade that fails midway is begun again and again: copies of what it left must not push out the one from before.
    """
    others = [path for path in listed(newest.parent) if path != newest]
    stay = [path for path in others if _parts(path)[0] != _parts(newest)[0]][1 - KEPT :]
    for path in others:
        if path not in stay:
            path.unlink()


def _parts(path: Path) -> tuple[str, ...]:
    """The schema and the time in a name; nothing where it has none."""
    found = _NAME.fullmatch(path.name)
    return found.groups() if found else ()
