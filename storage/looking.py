"""A look at the data from outside the server: whether one runs or not, and without changing anything."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from storage import database
from storage.database import Unusable
from storage.store import wall_clock
from storage.transaction import Snapshot


@contextlib.contextmanager
def looking(data_dir: Path, clock: Callable[[], int] = wall_clock) -> Iterator[Snapshot]:
    """One consistent view of the folder's database. Raises Unusable.

    While it lasts the server's write-ahead log only grows: take what is needed, and let go.
    """
    path = data_dir / database.FILE_NAME
    try:
        with contextlib.closing(database.connect_reader(path)) as db:
            if database.schema_version(db, path) < len(database.migrations()):
                raise Unusable(
                    f"{path}: the database is of an earlier version of Beseda: start the server once."
                )
            db.execute("BEGIN")
            yield Snapshot(db, clock())
    except sqlite3.Error as error:
        raise Unusable(f"{path}: the database cannot be read: {error}.") from None
