"""Copies of the database from before an upgrade, beside it: the way back, should the new version not please.

before-1-2026-11-24T030000Z.db      as it was with schema 1
"""

import sqlite3
import time
from pathlib import Path

from storage.attachments import disk
from storage.copying import vacuum_into

KEPT = 2
"""More than one: who upgrades twice, or begins twice, has the first way back still."""

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
    vacuum_into(db, unfinished)
    unfinished.replace(snapshot)
    disk.sync_folder(path.parent)
    for old in listed(path.parent)[:-KEPT]:
        old.unlink()
    return snapshot


def listed(folder: Path) -> list[Path]:
    """All there are, oldest first."""
    return sorted(folder.glob("before-*-*.db"), key=lambda path: path.name.split("-", 2)[2:])
