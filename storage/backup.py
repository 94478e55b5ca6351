"""The database as it goes into a backup."""

import contextlib
import sqlite3
from pathlib import Path

from storage import database
from storage.copying import Tell, vacuum_into
from storage.soundness import Contents, contents


def copy(source: Path, target: Path, tell: Tell = lambda done, total: None) -> None:
    """Copy the database of a server that may run to a new file, which only its owner may read.

    Raises Unusable for what is no database of ours in good order; else as `vacuum_into` does.
    """
    if not source.exists():
        raise database.Unusable(f"{source}: there is no database.")
    try:
        with contextlib.closing(database.connect_reader(source)) as db:
            database.check(db, source)
            vacuum_into(db, target, tell)
    except sqlite3.Error as error:
        raise database.Unusable(f"{source}: {error}.") from None


def without_unsent_files(copy: Path) -> Contents:
    """Have a copy forget the files that were uploaded and not sent; what it holds then.

    They may be replaced or removed before anyone gets to read them. What was sent stays as it is.
    """
    with contextlib.closing(database.connect_alone(copy)) as db:
        db.execute("DELETE FROM attachments WHERE message_id IS NULL AND key IS NOT NULL")
        return contents(db)
