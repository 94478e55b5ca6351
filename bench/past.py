"""A data folder with a long past: some people in groups that have said millions of things.

Inserted with SQL straight into the tables of `storage/migrations`, as the server would have left them.
"""

import contextlib
import functools
import sqlite3
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.seed import Crowd, seed
from storage.database import FILE_NAME

PEOPLE = 1000
GROUP_SIZE = 50
GROUPS_EACH = 4
PAIRS = 10
"""Besides them, in dialogs of their own without a past."""

FEW, MANY, MILLIONS = 10_000, 1_000_000, 10_000_000

PAUSE_MS = 1000
"""Between two messages."""

_TALK = """
WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < :messages)
INSERT INTO messages (id, conversation_id, seq, sender_id, created_at, attachment_count, temp_id, text)
SELECT :first + n, turns.conversation_id, n / :groups + 1, turns.sender_id, :begun + n * :pause, 0,
    lower(hex(randomblob(16))), 'Message number ' || n || ', and some words that somebody wrote.'
FROM counted JOIN turns ON turns.at = n % :turns
"""
_LAST = """
UPDATE conversations SET
    last_seq = (:messages - 1 - groups.at) / :groups + 1,
    last_message_id = :first + groups.at + (:messages - 1 - groups.at) / :groups * :groups,
    event_id = :first + groups.at + (:messages - 1 - groups.at) / :groups * :groups
FROM groups WHERE groups.conversation_id = id AND groups.at < :messages
"""
_CURSORS = """
UPDATE members SET (delivered_id, read_id, moved_event_id) = (
    SELECT latest, latest, latest FROM
        (SELECT ifnull(max(id), 0) AS latest FROM messages WHERE conversation_id = members.conversation_id AND id <= ?)
)
"""


@dataclass(frozen=True)
class Past:
    """A folder that nobody serves from. The people are in `groups` (their indexes), `pairs` come behind them.

    The groups speak in turns, each with another one's voice every time: two messages of one group lie as far apart as
    they can. `first` is the first message's id, and no other event lies between the messages.
    """

    folder: Path
    crowd: Crowd
    groups: list[list[int]]
    pairs: list[list[int]]
    first: int
    messages: int

    @property
    def tip(self) -> int:
        """The log's latest event."""
        return self.first + self.messages - 1

    def copy(self, to: Path, behind: int = 0) -> Path:
        """A copy to serve from, whose people have read all but the last `behind` messages.

        Just written, it lies in the system's cache as far as there is room.
        """
        # A copy on write where the file system can.
        subprocess.run(["cp", "-r", "--reflink=auto", self.folder, to], check=True)
        with contextlib.closing(sqlite3.connect(to / FILE_NAME)) as db, db:
            db.execute(_CURSORS, (self.tip - behind,))
        return to


def groups_of(people: int, size: int, each: int, circle: int) -> list[list[int]]:
    """Groups of `size` people, so that each person is in `each` of them, with no other than the `circle` around it.

    `people` in circles, `circle` in groups must go without a rest.
    """
    groups = []
    for begin in range(0, people, circle):
        for turn in range(each):
            # Another stride each time: who was together once is apart the next time, for as long as that can be.
            order = sorted(range(circle), key=lambda one: (one * (2 * turn + 1) % circle, one))
            groups += [[begin + one for one in order[at : at + size]] for at in range(0, circle, size)]
    return groups


def make(folder: Path, messages: int, people: int = PEOPLE, size: int = GROUP_SIZE) -> Past:
    """A past in a new folder. Ten million messages take about a minute, and 2.5 GB."""
    groups = groups_of(people, size, GROUPS_EACH, people)
    pairs = [[people + 2 * pair, people + 2 * pair + 1] for pair in range(PAIRS)]
    crowd = seed(folder, people + 2 * PAIRS, groups + pairs)
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as db:
        first = db.execute("SELECT last_event_id + 1 FROM log").fetchone()[0]
        past = Past(folder, crowd, groups, pairs, first, messages)
        _speak(db, past)
    return past


@functools.cache
def past(messages: int) -> Past:
    """The past of so many messages; made once, and gone with this process."""
    folder = tempfile.TemporaryDirectory(prefix="beseda-past-")
    made = make(Path(folder.name) / "data", messages)
    _kept.append(folder)
    return made


_kept: list["tempfile.TemporaryDirectory[str]"] = []


def _speak(db: sqlite3.Connection, past: Past) -> None:
    # Nothing is lost if this breaks off: the folder is thrown away.
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -262144", "threads = 2"):
        db.execute(f"PRAGMA {pragma}").fetchall()
    crowd, groups = past.crowd, past.groups
    db.execute("CREATE TEMP TABLE groups (at INTEGER PRIMARY KEY, conversation_id INTEGER)")
    db.execute("CREATE TEMP TABLE turns (at INTEGER PRIMARY KEY, conversation_id INTEGER, sender_id INTEGER)")
    talking = crowd.conversations[: len(groups)]
    db.executemany("INSERT INTO groups VALUES (?, ?)", enumerate(talking))
    voices = [
        (talking[at], crowd.ids[group[voice]])
        for voice in range(len(groups[0]))
        for at, group in enumerate(groups)
    ]
    db.executemany("INSERT INTO turns VALUES (?, ?, ?)", ((at, *turn) for at, turn in enumerate(voices)))
    known = {
        "messages": past.messages,
        "first": past.first,
        "groups": len(groups),
        "turns": len(voices),
        "begun": time.time_ns() // 1_000_000 - past.messages * PAUSE_MS,
        "pause": PAUSE_MS,
    }
    # To sort all rows once is ten times as fast as to find the place of each.
    indexes = db.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'messages' AND sql IS NOT NULL"
    ).fetchall()
    db.execute("BEGIN")
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}")
    db.execute(_TALK, known)
    for _, sql in indexes:
        db.execute(sql)
    db.execute(_LAST, known)
    db.execute("UPDATE log SET last_event_id = ?", (past.tip,))
    db.execute("COMMIT")
    db.execute("PRAGMA journal_mode = WAL").fetchall()
