"""Which of SQLite's errors tell that the database could not, rather than that what it was asked was wrong."""

import sqlite3

_DATABASE_FAILURES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""Primary result codes that tell of the database's or the disk's state, not of the unit's."""


def result_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error; 0 for one of the Python module's own."""
    code: int = getattr(error, "sqlite_errorcode", 0) or 0
    return code & 0xFF


def is_database_failure(error: Exception) -> bool:
    """Whether the database could not, rather than the unit being wrong."""
    return isinstance(error, sqlite3.Error) and result_code(error) in _DATABASE_FAILURES
