"""What no log may hold: tokens, passwords, and what people write. All that is logged while the tests run is searched.

Servers' outputs are searched when they are let go of (`tests.support.server`), the test's own process's log lines after
each test (`tests/conftest.py`).
"""

import contextlib
import logging
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from beseda.log import Text

MARKS = re.compile(
    r"eyJ[\w-]{8}"  # a token's head
    r"|\.[\w-]{43}(?![\w-])"  # its signature, should something cut the head off
    r"|[?&](?:token|signature|X-Amz-Signature)="  # a query string that holds one, or a signed URL's signature
    r"|\b\d+-\d+-\d+-\d{10,}-[0-9a-f]{64}"  # a ticket
    r"|\$argon2"  # a password's hash
    r"|correct horse|battery staple|the password of",  # the passwords of nearly all tests
)

LONG_ENOUGH = 10
"""Shorter texts stand in any log by chance."""

MOST = 500
"""So many of what was said on one server are looked for: its output may be long."""

SPEAKERS = ("actions", "api", "audit", "beseda", "hub", "protocol", "storage")
"""The loggers of ours; all that they have to say is listened to."""

LIBRARIES = ("aiosqlite", "uvicorn", "websockets.server")
"""Those that the server runs on."""

NAMES = frozenset(
    {
        "access_token",
        "code",
        "current_password",
        "new_password",
        "password",
        "refresh_token",
        "text",
        "ticket",
    }
)
"""The fields that hold a secret."""

recent: set[str] = set()
"""What this test's clients have said and heard that is nobody else's."""


def note(value: object, said: set[str]) -> None:
    """Remember the secrets in a JSON value that a client sends or gets, in `said` too."""
    if not isinstance(value, dict) or len(said) >= MOST:
        return
    for name, part in value.items():
        if name in NAMES and isinstance(part, str) and len(part) >= LONG_ENOUGH:
            # A token's last part is as good as the whole.
            said.add(part[-20:] if name.endswith("_token") else part)
    recent.update(said)


def find(output: str, secrets: Iterable[str] = ()) -> str | None:
    """A secret that the output holds, if there is one."""
    if found := MARKS.search(output):
        return found[0]
    return next((secret for secret in secrets if secret in output), None)


def texts(database: Path) -> list[str]:
    """What people wrote on a server, as far as it can be told from a log; nothing where the database can't be read."""
    uri = f"{database.absolute().as_uri()}?mode=ro"
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0)) as db,
    ):
        rows = db.execute("SELECT text FROM messages WHERE length(text) >= ? LIMIT ?", (LONG_ENOUGH, MOST))
        return [text for (text,) in rows]
    return []


class Overheard(logging.Handler):
    """All that the rooms, and what the server runs on, log in this process, as the server would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(Text())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(self.format(record))

    def check(self) -> None:
        """Raise AssertionError where a line holds a secret."""
        said = "\n".join(self.lines)
        if secret := find(said, recent):
            [line, *_] = [line for line in said.splitlines() if secret in line]
            raise AssertionError(f"a line of the log holds a secret, {secret!r}: {line}")


@contextlib.contextmanager
def overhearing() -> Iterator[Overheard]:
    """Listen for the time of the block. What is noted meanwhile is forgotten after it."""
    heard, before = Overheard(), set(recent)
    loggers = [logging.getLogger(name) for name in (*SPEAKERS, *LIBRARIES)]
    for logger in loggers:
        logger.addHandler(heard)
    try:
        yield heard
    finally:
        for logger in loggers:
            logger.removeHandler(heard)
        recent.intersection_update(before)
