"""What of the conversation shows: at the end, scrolled back, and what that means for reading."""

from beseda.client.chat.conversation import KEPT, KEPT_BACK
from beseda.client.chat.view import Row, View
from tests.beseda.client.chat.made import dialog, message, model, new, opened


def lines(first: int, last: int) -> list[Row]:
    """Two rows for each message."""
    return [Row(number, [("", f"{number}.{row}")]) for number in range(first, last + 1) for row in (0, 1)]


def texts(rows: list[Row]) -> list[str]:
    return [row.fragments[0][1] for row in rows]


def test_the_end_shows_until_one_scrolls() -> None:
    view = View("http://x")
    assert texts(view.window(lines(1, 9), 3)) == ["8.1", "9.0", "9.1"]
    assert texts(view.window(lines(1, 1), 3)) == ["1.0", "1.1"]


def test_who_has_scrolled_back_stays_there_whatever_comes() -> None:
    view = View("http://x")
    view.scroll(lines(5, 9), 3, 4, 9)
    assert texts(view.window(lines(5, 9), 3)) == ["6.1", "7.0", "7.1"]
    assert texts(view.window(lines(1, 20), 3)) == ["6.1", "7.0", "7.1"]


def test_the_top_asks_for_older_ones_and_the_way_down_leads_to_the_end() -> None:
    view = View("http://x")
    assert not view.scroll(lines(1, 9), 3, 4, 9)
    assert view.scroll(lines(1, 9), 3, 100, 9)
    assert texts(view.window(lines(1, 9), 3)) == ["1.0", "1.1", "2.0"]
    assert texts(view.window(lines(0, 9), 3)) == ["1.0", "1.1", "2.0"]
    view.scroll(lines(1, 9), 3, -100, 9)
    assert view.position is None


def test_what_fits_on_the_screen_is_not_scrolled() -> None:
    view = View("http://x")
    assert view.scroll(lines(1, 2), 10, 5, 2)
    assert view.position is None


def test_a_position_whose_message_is_gone_is_the_end() -> None:
    view = View("http://x")
    view.scroll(lines(1, 9), 3, 10, 9)
    assert texts(view.window(lines(8, 9), 3)) == ["8.1", "9.0", "9.1"]


def test_what_comes_below_is_counted_and_not_read() -> None:
    ann, view = model(), View("http://x", link="online")
    ann.apply(new(12))
    view.scroll(lines(5, 12), 3, 4, 12)
    for number in (13, 14):
        ann.apply(new(number))
    ann.apply(new(15, sender=ann.me))
    assert view.new_below(ann) == 2
    assert view.to_read(ann) is None
    view.position = None
    assert view.new_below(ann) == 0
    assert view.to_read(ann) == (opened(ann), 15)


def test_only_what_is_open_loaded_and_uncovered_is_read_and_only_with_a_connection() -> None:
    ann, view = model(dialog(), dialog(8)), View("http://x", link="online")
    ann.apply(new(12, to=8))
    assert view.to_read(ann) is None
    ann.show(8)
    assert view.to_read(ann) is None
    opened(ann).load([message(12, to=8)], 100)
    assert view.to_read(ann) == (opened(ann), 12)
    view.overlay = ("Help", [])
    assert view.to_read(ann) is None
    view.overlay, view.is_focused = None, False
    assert view.to_read(ann) is None
    view.is_focused, view.link = True, "lost"
    assert view.to_read(ann) is None
    view.link = "online"
    ann.mark_read(opened(ann), 12)
    assert view.to_read(ann) is None


def test_back_at_the_end_only_the_newest_messages_stay_in_memory() -> None:
    ann, view = model(), View("http://x")
    opened(ann).load([message(number) for number in range(3 * KEPT, 0, -1)], KEPT)
    view.scroll(lines(1, 9), 3, 4, 9)
    view.settle(ann)
    assert view.position is not None
    assert len(opened(ann).messages) == 3 * KEPT < KEPT_BACK
    view.position = None
    view.settle(ann)
    assert len(opened(ann).messages) == KEPT


def test_a_place_that_a_reload_has_replaced_is_given_up_for_the_end() -> None:
    ann, view = model(), View("http://x")
    opened(ann).load([message(number) for number in range(9, 0, -1)], 100)
    view.scroll(lines(1, 9), 3, 4, 9)
    opened(ann).load([message(number) for number in range(90, 80, -1)], 10)
    view.settle(ann)
    assert view.position is None
