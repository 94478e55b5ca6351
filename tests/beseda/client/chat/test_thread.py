"""The open conversation in rows, at several widths."""

from datetime import UTC, datetime

import pytest

from beseda.client.chat.model import Model
from beseda.client.chat.text import width
from beseda.client.chat.thread import rows
from tests.beseda.client.chat.made import BOB, CAROL, ME, composed, file, group, message, model, new, opened

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)


def shown(ann: Model, columns: int = 60) -> list[str]:
    return [
        "".join(part for _, part in row.fragments).rstrip() for row in rows(ann, opened(ann), columns, NOW)
    ]


def styles(ann: Model, text: str) -> str:
    found = [
        style for row in rows(ann, opened(ann), 60, NOW) for style, part in row.fragments if text in part
    ]
    assert found, text
    return found[0]


def test_days_authors_and_minutes_are_told_once() -> None:
    ann = model()
    opened(ann).load(
        [
            message(17, "late", at="17:30"),
            message(16, "me too", sender=ME, at="13:07"),
            message(15, "later", at="13:06"),
            message(14, "again", at="13:05"),
            message(13, "first", at="13:05"),
            message(12, "old", day="2026-11-20"),
        ],
        100,
    )
    day = "── Friday, 20 November ".ljust(59, "─")
    today = "── Today ".ljust(59, "─")
    assert [line for line in shown(ann) if line] == [
        day,
        "       bob",
        "13:05  old",
        today,
        "       bob",
        "13:05  first",
        "       again",
        "13:06  later",
        "       you",
        "13:07  me too  ✓ sent",
        "       bob",
        "17:30  late",
    ]


@pytest.mark.parametrize("columns", [20, 40, 59, 80, 200])
def test_no_row_is_wider_than_the_screen_whatever_was_written(columns: int) -> None:
    ann = model()
    texts = [
        "x" * 500,
        "漢字" * 200,
        "two words " * 60,
        "👨\u200d👩\u200d👧 " * 50,
        "    code\n\tcode",
        "é" * 99,
    ]
    page = [message(12 + at, text, sender=(BOB, ME)[at % 2]) for at, text in enumerate(texts)]
    page.append(message(40, "", files=[file(123456, "a name " * 40 + ".jpg")]))
    opened(ann).load(page[::-1], 100)
    ann.compose(composed("y" * 300))
    ann.refuse("t-1", "because " * 30)
    lines = shown(ann, columns)
    assert len(lines) > 20
    assert max(map(width, lines)) <= columns


def test_ticks_go_from_sending_to_read_and_the_last_ones_are_words_too() -> None:
    ann = model()
    ann.compose(composed("Tea?", "13:05"))
    assert shown(ann)[-1] == "13:05  Tea?  · sending"
    ann.part()
    assert shown(ann)[-1] == "13:05  Tea?  · waiting"
    ann.apply({"type": "message_sent", "message": message(12, "Tea?", ME, temp_id="t-1")})
    assert shown(ann)[-1] == "13:05  Tea?  ✓ sent"
    receipt = {"conversation_id": 7, "user_id": BOB, "message_id": 12}
    ann.apply({"type": "delivered", **receipt})
    assert shown(ann)[-1] == "13:05  Tea?  ✓✓ delivered"
    assert styles(ann, "✓✓") == "class:faint"
    ann.apply({"type": "read", **receipt})
    assert shown(ann)[-1] == "13:05  Tea?  ✓✓ read"
    assert styles(ann, "✓✓") == "class:read"
    ann.apply(new(13, text="And cake?", sender=ME))
    assert shown(ann)[-2:] == ["13:05  Tea?  ✓✓", "       And cake?  ✓ sent"]


def test_in_a_group_ticks_wait_for_all_and_tell_how_many_have_read() -> None:
    ann = model(group(), open_id=8)
    ann.apply(new(12, text="Tea?", sender=ME, to=8))
    receipt = {"conversation_id": 8, "message_id": 12}
    ann.apply({"type": "delivered", "user_id": BOB, **receipt})
    assert shown(ann)[-1] == "13:05  Tea?  ✓ sent"
    ann.apply({"type": "delivered", "user_id": CAROL, **receipt})
    assert shown(ann)[-1] == "13:05  Tea?  ✓✓ delivered"
    ann.apply({"type": "read", "user_id": CAROL, **receipt})
    assert shown(ann)[-1] == "13:05  Tea?  ✓✓ read by 1 of 2"
    ann.apply({"type": "read", "user_id": BOB, **receipt})
    assert shown(ann)[-1] == "13:05  Tea?  ✓✓ read"


def test_a_refused_message_says_why_in_its_place() -> None:
    ann = model()
    ann.apply(new(12, text="before"))
    ann.compose(composed("too long", "13:06"))
    ann.refuse("t-1", "text: at most 10 characters")
    ann.apply(new(13, text="after", at="13:07"))
    lines = [line for line in shown(ann) if line]
    assert lines[2:] == [
        "13:05  before",
        "       you",
        "13:06  too long",
        "       ✗ Not sent: text: at most 10 characters",
        "       bob",
        "13:07  after",
    ]
    assert styles(ann, "Not sent") == "class:error"


def test_files_show_their_size_and_the_number_to_save_them_by() -> None:
    ann = model()
    ann.apply(new(12, text="look", files=[file(), file(10, "\x1b[2J.txt", 3)]))
    assert shown(ann)[-3:] == [
        "13:05  look",
        "       ▣ tea.jpg  47 KiB  /save 9",
        "       ▣ �[2J.txt  3 B  /save 10",
    ]


def test_times_are_those_of_the_readers_time_zone() -> None:
    ann = model()
    ann.apply(new(12, at="23:30", day="2026-11-22"))
    there = datetime.fromisoformat("2026-11-23T02:00:00+01:00")
    lines = ["".join(part for _, part in row.fragments) for row in rows(ann, opened(ann), 60, there)]
    assert lines[1].startswith("── Today")
    assert lines[-1].startswith("00:30")


def test_nothing_that_is_drawn_can_command_the_terminal() -> None:
    ann = model()
    evil = "\x1b[2J\x9b31m\x07\u202e\x00"
    ann.apply(new(12, text=evil, files=[file(name=evil)]))
    ann.compose(composed(evil))
    ann.refuse("t-1", evil)
    drawn = "".join(shown(ann))
    assert drawn.count("[2J") == 4
    assert not set(evil) - set("[2J31m") & set(drawn)


def test_of_a_long_conversation_only_what_is_near_is_drawn_and_it_is_the_same() -> None:
    ann = model()
    opened(ann).load(
        [message(number, at=f"{number // 60:02}:{number % 60:02}") for number in range(900, 0, -1)], 100
    )
    whole = rows(ann, opened(ann), 60, NOW)
    near = rows(ann, opened(ann), 60, NOW, around=450, margin=50)
    assert 100 <= len(near) < 110
    start = whole.index(near[0])
    assert whole[start : start + len(near)] == near
    assert any(row.key == 450 for row in near)
    end = rows(ann, opened(ann), 60, NOW, margin=50)
    assert 50 <= len(end) < 60
    assert whole[-len(end) :] == end
