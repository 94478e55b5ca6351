"""What stands around the conversation: the list, the heading, the status, the first screen."""

from datetime import UTC, datetime

import pytest

from beseda.client.chat import frame
from beseda.client.chat.model import Model
from beseda.client.chat.text import width
from beseda.client.chat.view import Fragments, View
from tests.beseda.client.chat.made import BOB, CAROL, ME, composed, dialog, group, model, new, person

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)


def flat(fragments: Fragments) -> str:
    return "".join(part for _, part in fragments)


def listed(ann: Model, columns: int = 20, height: int = 10) -> list[str]:
    return [flat(row) for row in frame.conversations(ann, columns, height)]


def test_the_list_tells_who_is_online_what_is_open_and_how_much_is_unread() -> None:
    ann = model(dialog(), group(title="A very long title of a team"), dialog(9, CAROL, event_id=12))
    ann.apply(new(13, to=8))
    assert listed(ann) == [" 1 # A very long… 1 ", " 2 · carol          ", " 3 ● bob            "]
    first, _, third = frame.conversations(ann, 20, 10)
    assert first[0][0] == "class:unread"
    assert third[0][0] == "class:open"


@pytest.mark.parametrize("columns", [20, 30])
def test_every_row_of_the_list_fills_it_exactly_whatever_the_names(columns: int) -> None:
    names = ["漢字" * 16, "👨\u200d👩\u200d👧" * 8, "x" * 32, "é", "\u202eb"]
    views = [dialog(at, 100 + at, event_id=at, unread_count=at**4) for at in range(1, 6)]
    ann = model(*views, open_id=None)
    ann.meet(person(101 + at, name) for at, name in enumerate(names))
    assert {width(row) for row in listed(ann, columns)} == {columns}


def test_a_long_list_is_scrolled_to_the_open_conversation() -> None:
    ann = model(*(dialog(at, 100 + at, event_id=at) for at in range(1, 31)), open_id=5)
    rows = listed(ann, height=10)
    assert len(rows) == 10
    assert any(row.startswith("26 ") for row in rows)
    ann.show(30)
    assert listed(ann, height=10)[0].startswith(" 1 ")


@pytest.mark.parametrize(("columns", "room"), [(40, 0), (80, 20), (120, 30), (200, 30)])
def test_the_list_is_slim_at_80_columns_and_gone_where_there_is_no_room(columns: int, room: int) -> None:
    assert frame.list_width(columns) == room


def test_the_heading_tells_who_is_there() -> None:
    ann, view = model(dialog(), group()), View("http://x", link="online")

    def heading() -> str:
        row = flat(frame.heading(ann, view, 60, NOW))
        assert width(row) == 60
        return row.strip()

    assert heading() == "bob  online"
    for seen, told in (
        (None, "offline"),
        ("2026-11-23T13:05:00.123Z", "last seen today 13:05"),
        ("2025-11-20T13:05:00.123Z", "last seen Thursday, 20 November 2025 13:05"),
    ):
        ann.apply({"type": "online_status", "user_id": BOB, "online": False, "last_seen_at": seen})
        assert heading() == f"bob  {told}"
    ann.show(8)
    ann.apply({"type": "online_status", "user_id": CAROL, "online": True})
    assert heading() == "Team  3 members, 1 online"
    view.link = "lost"
    assert heading() == "Team"


def test_the_status_tells_the_connection_in_words_and_what_waits() -> None:
    ann, view = model(dialog(), group()), View("http://127.0.0.1:8000", link="online")

    def status(columns: int = 100) -> str:
        row = flat(frame.status(ann, view, columns))
        assert width(row) == columns
        return row

    assert status().startswith(" ● online ")
    assert status().endswith(" ann at 127.0.0.1:8000 ")
    ann.apply(new(13, to=8))
    ann.apply({"type": "typing", "conversation_id": 7, "user_id": BOB})
    assert "bob is typing … │ 1 unread elsewhere" in status()
    ann.compose(composed())
    ann.part()
    view.link = "lost"
    assert status().startswith(" ○ NO CONNECTION, trying again │ 1 waiting to be sent │ 1 unread elsewhere")
    assert frame.status(ann, view, 100)[0][0] == "class:lost"
    assert "NO CONNECTION" in status(40)
    status(5)


def test_several_who_type_are_named_or_counted() -> None:
    ann = model(group(members=[ME, BOB, CAROL, 4]), open_id=8)
    for user_id, told in (
        (BOB, "bob is typing …"),
        (CAROL, "bob and carol are typing …"),
        (4, "3 people are typing …"),
    ):
        ann.apply({"type": "typing", "conversation_id": 8, "user_id": user_id})
        assert frame.typing(ann) == told


def test_the_first_screen_of_an_empty_account_tells_what_to_do() -> None:
    ann, view = Model(ME, "ann"), View("http://x", link="online")
    for columns, height in ((80, 20), (30, 5)):
        rows = [flat(row) for row in frame.hints(ann, view, columns, height)]
        assert "/dm NAME" in "\n".join(rows)
        assert max(map(width, rows)) <= columns


def test_what_a_command_found_is_cut_to_the_screen_and_says_so() -> None:
    rows = [flat(row) for row in frame.overlay("Names", [f"name {at}" for at in range(100)], 40, 10)]
    assert len(rows) == 10
    assert rows[-1] == " … and 93 more"
    rows = [flat(row) for row in frame.overlay("Names", ["name"] * 8, 40, 10)]
    assert (len(rows), rows[-1]) == (10, " name")


def test_notices_are_wrapped_and_can_not_command_the_terminal() -> None:
    view = View("http://x", transfers={"1": "sending tea.jpg 40 %"})
    view.tell("\x1b[2J " + "word " * 30, error=True)
    rows = frame.notices(view, 40)
    assert flat(rows[0]) == " sending tea.jpg 40 %"
    assert rows[1] == [("class:error", " �[2J word word word word word word")]
    assert max(width(flat(row)) for row in rows) <= 40


def test_why_there_is_no_connection_does_not_take_the_place_of_an_answer_and_shows_once() -> None:
    view = View("http://x", trouble="Nothing listens.")
    assert frame.notices(view, 40) == [[("class:error", " Nothing listens.")]]
    view.tell("Leave again.")
    assert frame.notices(view, 40) == [[("class:error", " Nothing listens.")], [("", " Leave again.")]]
    view.tell("Nothing listens.", error=True)
    assert frame.notices(view, 40) == [[("class:error", " Nothing listens.")]]
