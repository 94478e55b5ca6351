"""Writing behind: what a batch leaves in the database is what its units would have left one by one."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actions import conversations, members, messages, receipts, sessions
from actions.actor import Actor
from protocol.commands import AddMembers, CreateConversation, Draft, HistoryPage
from protocol.errors import Refused
from protocol.events import ReceiptMoved
from storage import Transaction, cache, database, users
from storage import messages as rows
from storage.sessions import insert as insert_session
from storage.transaction import Unit
from storage.writer import Batch, Writer
from tests.support.store import START, Clock, make_rules

RULES = make_rules(Clock())


class Office:
    """A writer on a database with three people, a dialog between the first two, and a group of all."""

    def __init__(self, path: Path) -> None:
        self.db = database.connect(path, "off")
        self.clock = Clock()
        self.writer = Writer(self.db, self.clock)
        self.people: list[Actor] = []
        self.dialog = self.group = 0
        self._temp_ids = itertools.count()
        assert results(self.writer.commit([self._furnish])) == [None]

    def _furnish(self, tx: Transaction) -> None:
        tx.execute("UPDATE log SET name = 'office'")
        self.people = [_person(tx, name) for name in ("anna", "bruno", "carla")]
        ids = [actor.user_id for actor in self.people]
        self.dialog, self.group = (
            conversations.create(tx, RULES, self.people[0], command)[0]["id"]
            for command in (
                CreateConversation(type="dialog", members=ids[1:2]),
                CreateConversation(type="group", members=ids),
            )
        )

    def send(self, who: int, conversation_id: int, temp_id: str | None = None, text: str = "hello") -> Unit:
        """A unit that sends a message, and returns its id and whether it is new."""

        def unit(tx: Transaction) -> tuple[int, bool]:
            named = f"t{next(self._temp_ids)}" if temp_id is None else temp_id
            message, is_new = messages.send(
                tx, RULES, self.people[who], conversation_id, Draft(text=text), named, read=True
            )
            return message["id"], is_new

        return unit

    def deliver(self, who: int, conversation_id: int, message_id: int) -> Unit:
        """A unit that moves a cursor."""
        return lambda tx: receipts.deliver(tx, RULES, self.people[who], conversation_id, message_id)

    def stored(self) -> list[tuple[Any, ...]]:
        """Id, seq, sender and text of all messages."""
        return self.db.execute("SELECT id, seq, sender_id, text FROM messages ORDER BY id").fetchall()


def _person(tx: Transaction, name: str) -> Actor:
    user_id = users.insert(
        tx, username=name, username_key=name, email=name, email_key=name, password="", is_admin=False
    )
    session_id = insert_session(
        tx, user_id=user_id, refresh_id=name, expires_at=START + 10_000, address="", user_agent=""
    )
    return Actor(user_id, session_id)


def results(batch: Batch) -> list[Any]:
    """Each unit's result, or the refusal's code, or the exception's type."""
    return [
        outcome.result if outcome.error is None else getattr(outcome.error, "code", type(outcome.error))
        for outcome in batch.outcomes
    ]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """An office."""
    furnished = Office(tmp_path / database.FILE_NAME)
    yield furnished
    furnished.db.close()


def trace(db: sqlite3.Connection, act: Callable[[], object]) -> list[str]:
    """The statements, shortened to their verb and table, that `act` runs."""
    seen: list[str] = []
    db.set_trace_callback(seen.append)
    act()
    db.set_trace_callback(None)
    return [" ".join(sql.split()[: 3 if sql.startswith("INSERT") else 2]) for sql in seen]


def test_messages_of_people_who_are_known_take_one_statement_per_table(office: Office) -> None:
    office.writer.commit([office.send(0, office.dialog), office.send(1, office.group)])
    units = [office.send(0, office.dialog) for _ in range(32)] + [
        office.send(1, office.group) for _ in range(32)
    ]
    assert trace(office.db, lambda: office.writer.commit(units)) == [
        "BEGIN IMMEDIATE",
        "PRAGMA data_version",
        "INSERT INTO messages",
        # Two rows each.
        "UPDATE conversations",
        "UPDATE conversations",
        "UPDATE members",
        "UPDATE members",
        "UPDATE log",
        "COMMIT",
    ]
    assert [seq for _, seq, sender, _ in office.stored() if sender == office.people[0].user_id] == [
        *range(1, 34)
    ]


def test_who_reads_in_the_same_batch_sees_what_was_sent_before(office: Office) -> None:
    anna = office.people[0]

    def look(tx: Transaction) -> tuple[int, list[str]]:
        page, _ = messages.history(tx, RULES, anna, office.dialog, HistoryPage(limit=50))
        return conversations.get(tx, RULES, anna, office.dialog)["unread_count"], [
            one["text"] for one in page
        ]

    batch = office.writer.commit(
        [
            office.send(1, office.dialog, text="one"),
            look,
            office.send(1, office.dialog, text="two"),
            look,
        ]
    )
    assert [results(batch)[1], results(batch)[3]] == [(1, ["one"]), (2, ["two", "one"])]


def test_a_temp_id_that_comes_again_is_a_repeat_and_nothing_else_of_its_batch_changes(office: Office) -> None:
    [(first, _)] = results(office.writer.commit([office.send(0, office.dialog, "mine")]))
    batch = office.writer.commit(
        [
            office.send(0, office.dialog),
            office.send(0, office.dialog, "mine"),
            office.send(0, office.group, "mine"),
            office.send(1, office.dialog, "mine"),
            office.send(1, office.dialog, "mine"),
        ]
    )
    one, again, conflict, other, twice = results(batch)
    assert (again, conflict) == ((first, False), "temp_id_conflict")
    assert one == (first + 1, True)
    assert (other, twice) == ((first + 2, True), (first + 2, False))
    assert [row[0] for row in office.stored()] == [first, first + 1, first + 2]


def test_a_unit_that_fails_after_it_has_sent_fails_alone(office: Office) -> None:
    def send_and_fail(tx: Transaction) -> None:
        office.send(0, office.dialog, text="never")(tx)
        raise Refused("forbidden")

    office.writer.commit([office.send(0, office.dialog, text="before")])
    batch = office.writer.commit(
        [office.send(0, office.dialog, text="one"), send_and_fail, office.send(1, office.dialog, text="two")]
    )
    assert results(batch)[1] == "forbidden"
    assert [(seq, text) for _, seq, _, text in office.stored()] == [(1, "before"), (2, "one"), (3, "two")]
    # Nor does the next one build on it.
    assert results(office.writer.commit([office.send(1, office.dialog)]))[0][1]
    assert [seq for _, seq, _, _ in office.stored()] == [1, 2, 3, 4]


def test_a_message_that_cannot_be_written_is_not_held_against_who_reads_next(office: Office) -> None:
    def send_what_is_no_text(tx: Transaction) -> None:
        message = rows.StoredMessage(
            tx.new_event_id(), office.dialog, 9, office.people[0].user_id, tx.now, 0, None, "\ud800"
        )
        rows.insert(tx, message)

    def look(tx: Transaction) -> int:
        return len(tx.rows("SELECT id FROM messages"))

    office.writer.commit([office.send(0, office.dialog)])
    assert results(office.writer.commit([send_what_is_no_text, look])) == [UnicodeEncodeError, 1]
    assert results(office.writer.commit([office.send(0, office.dialog)]))[0][1]
    assert [seq for _, seq, _, _ in office.stored()] == [1, 2]


def test_what_ended_is_known_at_once(office: Office) -> None:
    anna, bruno, carla = office.people
    act = sessions.acting
    send = [act(actor, office.send(number, office.group)) for number, actor in enumerate(office.people)]
    assert [sent[1] for sent in results(office.writer.commit(send))] == [True] * 3
    batch = office.writer.commit(
        [
            lambda tx: sessions.logout(tx, bruno),
            send[1],
            lambda tx: members.remove(tx, anna, office.group, carla.user_id),
            send[2],
            send[0],
        ]
    )
    assert [results(batch)[1], results(batch)[3]] == ["unauthorized", "not_found"]
    assert [text for *_, text in office.stored()] == ["hello"] * 4
    office.clock.advance(60)
    assert results(office.writer.commit([send[0]])) == ["unauthorized"]


def test_what_another_process_has_changed_is_seen(office: Office, tmp_path: Path) -> None:
    unit = sessions.acting(office.people[0], office.send(0, office.dialog))
    assert results(office.writer.commit([unit]))[0][1]
    other = sqlite3.connect(tmp_path / database.FILE_NAME, isolation_level=None)
    other.execute("DELETE FROM refresh_tokens")
    other.execute("DELETE FROM sessions")
    other.close()
    assert results(office.writer.commit([unit])) == ["unauthorized"]


def test_members_of_a_room_who_were_handed_the_same_are_asked_for_once(office: Office) -> None:
    [(message_id, _)] = results(office.writer.commit([office.send(0, office.group)]))
    units = [office.deliver(who, office.group, message_id) for who in (1, 2)]
    batches: list[Batch] = []
    seen = trace(office.db, lambda: batches.append(office.writer.commit(units)))
    assert seen.count("SELECT sender_id,") == 1
    told = [fact for fact in batches[0].facts if isinstance(fact, ReceiptMoved)]
    author = office.people[0].user_id
    assert [(fact.user_id, fact.messages) for fact in told] == [
        (office.people[who].user_id, ((author, message_id),)) for who in (1, 2)
    ]


def test_what_is_written_to_other_tables_has_nothing_forgotten(office: Office) -> None:
    def see(tx: Transaction) -> None:
        users.set_last_seen(tx, office.people[0].user_id, START)

    office.writer.commit([office.send(0, office.dialog)])
    ran = trace(office.db, lambda: office.writer.commit([see, office.send(0, office.dialog)]))
    assert ran[2:] == [
        "UPDATE users", "INSERT INTO messages", "UPDATE conversations", "UPDATE members", "UPDATE log", "COMMIT",
    ]  # fmt: skip


def test_no_more_is_remembered_than_may_be(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_ROWS", 2)
    for _ in range(3):
        batch = office.writer.commit([office.send(who, office.group) for who in range(3)])
        assert [is_new for _, is_new in results(batch)] == [True] * 3
    seen = trace(office.db, lambda: office.writer.commit([office.send(0, office.group)]))
    assert seen.count("SELECT c.id,") == 1


WHO = st.integers(0, 2)
SEND = st.tuples(st.just("send"), WHO, st.booleans(), st.integers(0, 9))
STEP = st.one_of(
    SEND,
    SEND,
    SEND,
    st.tuples(st.just("deliver"), WHO, st.booleans(), st.integers(1, 20)),
    st.tuples(st.just("read"), WHO, st.booleans(), st.integers(1, 20)),
    st.tuples(st.just("look"), WHO, st.booleans()),
    st.tuples(st.just("remove"), WHO),
    st.tuples(st.just("add"), WHO),
    st.tuples(st.just("fail"), WHO, st.booleans()),
)


def _unit(office: Office, step: tuple[Any, ...]) -> Unit:
    kind, who, *rest = step
    actor, anna = office.people[who], office.people[0]
    at = (office.dialog, office.group)[rest[0]] if rest else office.group
    match kind:
        case "send":
            return office.send(who, at, f"temp {rest[1]}", text=f"text {rest[1] % 3}")
        case "deliver":
            return office.deliver(who, at, office.group + rest[1])
        case "read":
            return lambda tx: receipts.read(tx, RULES, actor, at, office.group + rest[1])
        case "look":
            return lambda tx: conversations.get(tx, RULES, actor, at)
        case "remove":
            return lambda tx: members.remove(tx, anna, office.group, actor.user_id)
        case "add":
            return lambda tx: members.add(tx, RULES, anna, office.group, AddMembers(members=[actor.user_id]))

    def fail(tx: Transaction) -> None:
        office.send(who, at)(tx)
        raise Refused("forbidden")

    return fail


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(st.lists(STEP, max_size=10), min_size=1, max_size=5))
@example(batches=[[("send", 0, False, 0), ("send", 1, False, 1), ("send", 0, False, 2)]])
def test_a_batch_comes_to_the_same_as_its_units_in_savepoints(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[Any, ...]]]
) -> None:
    folder = tmp_path_factory.mktemp("both")
    behind, singly = Office(folder / "behind.db"), Office(folder / "singly.db")
    for steps in batches:
        one = behind.writer.commit([_unit(behind, step) for step in steps])
        other = singly.writer._attempt([_unit(singly, step) for step in steps], is_first=False)
        assert results(one) == results(other)
        assert not any(isinstance(result, type) for result in results(one)), "a bug, and no refusal"
        assert one.facts == other.facts
        dumps = [list(office.db.iterdump()) for office in (behind, singly)]
        assert dumps[0] == dumps[1]
    behind.db.close()
    singly.db.close()
