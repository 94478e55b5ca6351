"""A hundred times as many messages cost the hot paths nothing more: counted in SQLite's steps, not in time."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actions import conversations, messages, receipts, sessions
from actions.actor import Actor
from actions.rules import Rules
from protocol.commands import ConversationPage, CreateConversation, Draft, HistoryPage
from storage import Snapshot, Transaction, database, users
from storage.conversations import unread_count
from storage.sessions import insert as insert_session
from tests.support.store import START, Clock, make_rules

FEW, MANY = 2_000, 200_000
AUTHORS = 4


@dataclass
class Office:
    """A group and a dialog, each with so many messages, in the eyes of one who has read none of them.

    And a quiet group, whose few messages are older than all of those.
    """

    db: sqlite3.Connection
    rules: Rules
    anna: Actor
    bruno: Actor
    group: int
    dialog: int
    quiet: int
    messages: int

    @property
    def middle(self) -> int:
        """A message in the middle of both."""
        return self.dialog + 5 + self.messages


def furnish(folder: Path, count: int) -> Office:
    """A database with `count` messages in a group and as many in a dialog, by turns."""
    db, rules = database.connect(folder / database.FILE_NAME, "off"), make_rules(Clock())
    db.execute("BEGIN IMMEDIATE")
    tx = Transaction(db, START, 0)
    people = [person(tx, f"person{number}") for number in range(AUTHORS)]
    ids = [actor.user_id for actor in people]
    quiet, group, dialog = (
        conversations.create(tx, rules, people[0], command)[0]["id"]
        for command in (
            CreateConversation(type="group", members=ids),
            CreateConversation(type="group", members=ids),
            CreateConversation(type="dialog", members=[ids[1]]),
        )
    )
    for number in range(5):
        messages.send(tx, rules, people[1], quiet, Draft(text="long ago"), f"quiet {number}", read=False)
    first = tx.new_event_id()
    db.executemany(
        "INSERT INTO messages (id, conversation_id, seq, sender_id, created_at, attachment_count, temp_id, text)"
        " VALUES (?, ?, ?, ?, 0, 0, ?, 'hello')",
        (
            (first + n, (group, dialog)[n % 2], n // 2 + 1, ids[n // 2 % (AUTHORS, 2)[n % 2]], f"t{n}")
            for n in range(2 * count)
        ),
    )
    for conversation_id, last in ((group, first + 2 * count - 2), (dialog, first + 2 * count - 1)):
        db.execute(
            "UPDATE conversations SET last_seq = ?, last_message_id = ?, event_id = ? WHERE id = ?",
            (count, last, last, conversation_id),
        )
    db.execute("UPDATE log SET last_event_id = ?", (first + 2 * count,))
    db.execute("COMMIT")
    return Office(db, rules, people[0], people[1], group, dialog, quiet, count)


def person(tx: Transaction, name: str) -> Actor:
    """A new user with a session."""
    user_id = users.insert(
        tx, username=name, username_key=name, email=name, email_key=name, password="", is_admin=False
    )
    session_id = insert_session(
        tx, user_id=user_id, refresh_id="", expires_at=START + 1000, address="", user_agent=""
    )
    return Actor(user_id, session_id)


@pytest.fixture(scope="module")
def offices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Office, Office]]:
    """A small one and a large one."""
    small, large = (furnish(tmp_path_factory.mktemp("growth"), count) for count in (FEW, MANY))
    yield small, large
    for office in (small, large):
        office.db.close()


Action = Callable[[Any, Office], Any]


def history(**page: int) -> Action:
    """Read a page of the group's history."""
    return lambda snapshot, at: len(
        messages.history(snapshot, at.rules, at.anna, at.group, HistoryPage(limit=50, **page))[0]
    )


def history_around_the_middle(snapshot: Snapshot, at: Office) -> int:
    """A page back and a page forward from the middle."""
    found = 0
    for page in (
        HistoryPage(before_id=at.middle),
        HistoryPage(after_id=at.middle),
        HistoryPage(after_id=at.middle, before_id=at.middle + 300),
    ):
        found += len(messages.history(snapshot, at.rules, at.anna, at.group, page)[0])
    return found


def quiet_history(snapshot: Snapshot, at: Office) -> int:
    """The history of the quiet group from both ends, and what she has not read of it."""
    found = conversations.get(snapshot, at.rules, at.anna, at.quiet)["unread_count"]
    for page in (
        HistoryPage(),
        HistoryPage(after_id=0),
        HistoryPage(before_id=at.middle),
        HistoryPage(after_id=at.middle),
    ):
        found += len(messages.history(snapshot, at.rules, at.anna, at.quiet, page)[0])
    return found


def unread(snapshot: Snapshot, at: Office) -> int:
    """Count what anna has not read."""
    return conversations.get(snapshot, at.rules, at.anna, at.group)["unread_count"]


def list_chats(snapshot: Snapshot, at: Office) -> int:
    """Her list of conversations, with last messages and counts."""
    return len(conversations.listed(snapshot, at.rules, at.anna, ConversationPage()))


def send(tx: Transaction, at: Office) -> int:
    """Send to both, and send again."""
    sent = [
        messages.send(tx, at.rules, at.bruno, conversation_id, Draft(text="new"), temp_id, read=False)[1]
        for conversation_id in (at.group, at.dialog)
        for temp_id in (f"new{conversation_id}", f"new{conversation_id}", None)
    ]
    return sent.count(True)


def read_all(tx: Transaction, at: Office) -> int:
    """Be handed, then read, everything at once, in the group and in the dialog."""
    for conversation_id in (at.group, at.dialog):
        place = conversations.place(tx, at.anna, conversation_id)
        receipts.deliver(tx, at.rules, at.anna, conversation_id, place.last_message_id)
        receipts.read(tx, at.rules, at.anna, conversation_id, place.last_message_id)
    return len(tx.facts)


def admit(tx: Transaction, at: Office) -> int:
    """Let her socket in."""
    sessions.admit(tx, at.anna)
    return 1


def steps(office: Office, action: Action) -> tuple[int, Any]:
    """How many steps of SQLite's virtual machine an action takes, and what it returns. What it writes is undone."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    office.db.execute("SAVEPOINT steps")
    last_event_id: int = office.db.execute("SELECT last_event_id FROM log").fetchone()[0]
    office.db.set_progress_handler(step, 1)
    try:
        result = action(Transaction(office.db, START, last_event_id), office)
    finally:
        office.db.set_progress_handler(None, 1)
        office.db.execute("ROLLBACK TO steps")
        office.db.execute("RELEASE steps")
    return count, result


@pytest.mark.parametrize(
    "action, result",
    [
        pytest.param(history(), 50, id="the newest page of history"),
        pytest.param(history(after_id=0), 50, id="the oldest page of history"),
        pytest.param(history_around_the_middle, 200 - 50, id="pages from the middle of history"),
        pytest.param(quiet_history, 20, id="what stands in a quiet group"),
        pytest.param(unread, 1000, id="the unread count of who has read nothing"),
        pytest.param(list_chats, 3, id="the list of chats"),
        pytest.param(send, 4, id="sending and sending again"),
        pytest.param(read_all, 6, id="reading all at once"),
        pytest.param(admit, 1, id="admitting a socket"),
    ],
)
def test_it_costs_the_same_with_a_hundred_times_the_messages(
    offices: tuple[Office, Office], action: Action, result: int
) -> None:
    small, large = offices
    (few, found_few), (many, found_many) = steps(small, action), steps(large, action)
    assert found_few == found_many == result
    assert few > 20
    assert many < 2 * few


def test_who_posts_and_never_reads_does_not_make_counting_the_unread_dearer(
    offices: tuple[Office, Office],
) -> None:
    small, _ = offices

    def unread_behind(own: int) -> tuple[int, Any]:
        small.db.execute("SAVEPOINT monologue")
        small.db.executemany(
            "INSERT INTO messages VALUES (?, ?, 0, ?, 0, 0, NULL, '')",
            ((10_000_000 + number, small.quiet, small.anna.user_id) for number in range(own)),
        )
        try:
            return steps(small, lambda snapshot, at: unread_count(snapshot, at.quiet, at.anna.user_id, 0))
        finally:
            small.db.execute("ROLLBACK TO monologue")
            small.db.execute("RELEASE monologue")

    (few, found_few), (many, found_many) = unread_behind(20_000), unread_behind(60_000)
    assert found_few == found_many == 5
    assert many < 1.1 * few


def test_what_grows_would_be_noticed(offices: tuple[Office, Office]) -> None:
    def walk(snapshot: Snapshot, at: Office) -> int:
        found: int = snapshot.value("SELECT count(*) FROM messages WHERE text > ''")
        return found

    small, large = offices
    (few, found_few), (many, found_many) = steps(small, walk), steps(large, walk)
    assert (found_few, found_many) == (2 * FEW + 5, 2 * MANY + 5)
    assert many > 50 * few


def test_the_steps_are_counted_one_by_one() -> None:
    db, counted = sqlite3.connect(":memory:"), [0]

    def step() -> int:
        counted[0] += 1
        return 0

    db.set_progress_handler(step, 1)
    db.execute(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000) SELECT max(x) FROM n"
    ).fetchall()
    db.close()
    assert counted[0] > 1000
