"""Opening the database: the lock on its folder, what is checked before a byte is trusted, and migrations."""

import contextlib
import fcntl
import logging
import os
import secrets
import sqlite3
import time
from importlib import resources
from pathlib import Path
from typing import IO, NamedTuple, cast

from storage import snapshots

logger = logging.getLogger(__name__)

SQLITE_VERSION = sqlite3.sqlite_version

APPLICATION_ID = 0x62736461
"""`bsda`, in the header of every database of ours."""

FILE_NAME = "beseda.db"
FULL_CHECK_BYTES = 64 * 1024 * 1024
"""Up to this size every page is checked at the start, at about 2 ms per MiB: a restart must not take a second."""

WAL_PAGES = 4000
"""The writer folds the write-ahead log into the database each time it has so many pages.

The commits between write the same pages again and again, so doing it less often is cheaper.
"""

WAL_BYTES = 64 * 1024 * 1024
CACHE_KIB = 16 * 1024

FORGOTTEN_IDS = 1_000_000
"""More users, sessions and attachments than a server makes between its last backup and its restoring."""

BUSY_SECONDS = 5.0
CACHED_STATEMENTS = 256


class Unusable(Exception):
    """The data folder or the database cannot be used; says which file, and why."""


class Held(Unusable):
    """The data folder is another process's at the moment."""


class Step(NamedTuple):
    """A migration that has run: the schema after it, and how many seconds it took."""

    schema: int
    seconds: float


def migrations() -> list[str]:
    """All migrations, oldest first. Append-only: one that was released never changes."""
    folder = resources.files("storage") / "migrations"
    return [(folder / f"{name}.sql").read_text("utf-8") for name in migration_names()]


def migration_names() -> list[str]:
    """What they are called, in the same order."""
    folder = resources.files("storage") / "migrations"
    return sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".sql"))


def lock(folder: Path) -> IO[bytes]:
    """Hold the data folder: no second server may serve from it. Closing the file lets go.

    Raises Unusable; Held where another process has it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whoever may open it can hold it, and keep us from serving.
        handle = open(folder / "lock", "ab", opener=_private)  # noqa: SIM115 - held as long as the server runs
        if os.geteuid() == 0:
            # Root may have come first; whose folder it is must be able to open it, too.
            owner = folder.stat()
            os.fchown(handle.fileno(), owner.st_uid, owner.st_gid)
    except OSError as error:
        raise Unusable(f"{folder}: the data folder cannot be used: {error.strerror}.") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise Held(f"{folder}: another beseda serves from this folder.") from None
    return handle


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def connect(path: Path, synchronous: str) -> sqlite3.Connection:
    """The writer's connection: checked, migrated, and in WAL mode. Raises Unusable, naming the file."""
    return _opened(path, synchronous)[0]


def upgraded(path: Path) -> tuple[int, list[Step]]:
    """Bring a database to this version's schema, as `connect` does; the schema that it had, and what was done.

    Its folder is locked. Raises Unusable.
    """
    schema = schema_of(path)
    db, steps = _opened(path, "full")
    db.close()
    return schema, steps


def _opened(path: Path, synchronous: str) -> tuple[sqlite3.Connection, list[Step]]:
    try:
        if not path.exists():
            _create(path)
        elif path.stat().st_size == 0:
            raise Unusable(
                f"{path}: the file is empty. Restore it from a backup, or remove it to begin anew."
            )
        db = connect_alone(path)
        try:
            check(db, path)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {synchronous}")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
            db.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
            db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            steps = _upgrade(db, path)
        except BaseException:
            db.close()
            raise
    except snapshots.NoRoom as error:
        raise Unusable(f"{path}: {error}.") from None
    except (sqlite3.Error, OSError) as error:
        raise Unusable(f"{path}: {error}.") from None
    return db, steps


def _create(path: Path) -> None:
    """Make an empty database of ours. It gets its name when it is whole, so a crash leaves no half of one."""
    if _has_data(path.parent):
        raise Unusable(
            f"{path}: the database is missing, but its folder has data. Restore it, or use an empty folder."
        )
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    # Made by us, so that nobody else may read it from its first moment on.
    os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    db = connect_alone(unfinished)
    try:
        migrate(db)
    finally:
        db.close()
    unfinished.replace(path)


def connect_alone(path: Path) -> sqlite3.Connection:
    """A connection that may write, as it is: to a file that nobody else has opened."""
    return sqlite3.connect(
        path,
        isolation_level=None,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
        cached_statements=CACHED_STATEMENTS,
    )


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, nor checkpoint."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
        cached_statements=CACHED_STATEMENTS,
    )


def check(db: sqlite3.Connection, path: Path) -> None:
    """Refuse what is not ours, not whole, or of a later version. Raises Unusable."""
    try:
        schema_version(db, path)
        pages: int = db.execute("PRAGMA page_count").fetchone()[0]
        size: int = pages * db.execute("PRAGMA page_size").fetchone()[0]
        on_disk = path.stat().st_size
        wal = path.with_name(path.name + "-wal")
        if on_disk < size and not (wal.exists() and wal.stat().st_size):
            raise Unusable(
                f"{path}: the file is cut short: {on_disk} of {size} bytes. Restore it from a backup."
            )
        if size <= FULL_CHECK_BYTES:
            verdict: str = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise Unusable(f"{path}: the database is damaged: {verdict}. Restore it from a backup.")
        if db.execute("SELECT count(*) FROM log").fetchone()[0] != 1:
            raise Unusable(f"{path}: the database is damaged: its log has no name. Restore it from a backup.")
    except sqlite3.Error as error:
        raise Unusable(f"{path}: the database cannot be read: {error}.") from None


def schema_version(db: sqlite3.Connection, path: Path) -> int:
    """How many migrations the database has had. Raises Unusable where it is not ours, or of a later version."""
    application_id: int = db.execute("PRAGMA application_id").fetchone()[0]
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if application_id != APPLICATION_ID:
        raise Unusable(f"{path}: this is no database of Beseda's.")
    if version > len(migrations()):
        raise Unusable(f"{path}: {of_a_later_version(version, len(migrations()))}.")
    return version


def of_a_later_version(theirs: int, ours: int) -> str:
    """Why a database is refused, and what to do."""
    return (
        f"the database is of a later version of Beseda (schema {theirs}, and this one knows {ours}):"
        " install that version or a newer one, or restore a backup from before the upgrade"
    )


def _upgrade(db: sqlite3.Connection, path: Path) -> list[Step]:
    """Bring a database to this version's schema if need be, and keep a copy from before beside it."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version == len(migrations()):
        return []
    logger.info(
        "The database has schema %d; as it is now it is kept in %s", version, snapshots.keep(db, path)
    )
    steps = migrate(db)
    for step in steps:
        logger.info("The database was brought to schema %d in %.1f s", *step)
    return steps


def migrate(db: sqlite3.Connection) -> list[Step]:
    """Bring the schema to this version's, each migration in a transaction of its own; how long each took."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    steps = []
    for number, script in enumerate(migrations()[version:], version + 1):
        began = time.monotonic()
        # executescript() commits what is open before it runs, so the transaction is part of the script.
        db.executescript(
            f"BEGIN IMMEDIATE;\n{script}\n"
            f"PRAGMA user_version = {number};\nPRAGMA application_id = {APPLICATION_ID};\n"
            + (f"INSERT INTO log VALUES ('{_new_name()}', 0);\n" if number == 1 else "")
            + "COMMIT;"
        )
        steps.append(Step(number, time.monotonic() - began))
    return steps


def schema_of(path: Path) -> int:
    """The schema of a database that may be served. Raises Unusable."""
    if not path.exists():
        raise Unusable(f"{path}: there is no database.")
    try:
        with contextlib.closing(connect_reader(path)) as db:
            check(db, path)
            return cast(int, db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise Unusable(f"{path}: {error}.") from None


def rehearse(copy: Path) -> list[Step]:
    """Upgrade a copy that nobody serves; how long each migration took. Raises Unusable."""
    try:
        with contextlib.closing(connect_alone(copy)) as db:
            return migrate(db)
    except sqlite3.Error as error:
        raise Unusable(f"the upgrade to this version fails: {error}.") from None


def adopt(path: Path) -> None:
    """Make a copy that nobody serves the database of a server to come: of this version's schema, and a log of its own.

    What was given out after the copy was made is forgotten, and its ids would be given again: clients see by the log's
    new name that they must load anew, and links and tokens from that time must fit nobody else. Raises Unusable.
    """
    try:
        with contextlib.closing(connect_alone(path)) as db:
            migrate(db)
            db.execute("BEGIN IMMEDIATE")
            db.execute("UPDATE log SET name = ?", (_new_name(),))
            db.execute("UPDATE sqlite_sequence SET seq = seq + ?", (FORGOTTEN_IDS,))
            db.execute("COMMIT")
    except sqlite3.Error as error:
        raise Unusable(f"{path}: {error}.") from None


def _new_name() -> str:
    return secrets.token_hex(8)


def _has_data(folder: Path) -> bool:
    """Whether the folder holds what only a database explains: its write-ahead log, copies of it, or uploaded files."""
    if snapshots.listed(folder) or any(
        (folder / (FILE_NAME + suffix)).exists() for suffix in ("-wal", "-shm")
    ):
        return True
    files = folder / "attachments"
    return files.is_dir() and any(files.iterdir())
