"""Text from others: data, never a command to the terminal, and of a width that is known."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beseda.client.chat.text import MAX_MARKS, bare_name, clean, cut, one_line, pad, size, width, wrap

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


@given(st.text(st.characters(), max_size=50))
def test_no_control_character_and_nothing_that_reorders_is_left_of_any_text(text: str) -> None:
    for char in clean(text):
        assert char == "\n" or unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"}
        assert char not in BIDI
    assert "\n" not in one_line(text)


def test_an_escape_sequence_shows_itself_instead_of_working() -> None:
    assert clean("\x1b[31mred\x07\x9b2J") == "�[31mred��2J"


def test_a_tab_and_all_kinds_of_line_ends_stay_what_they_mean() -> None:
    assert clean("a\tb\r\nc\u2028d") == "a    b\nc\nd"


def test_marks_that_climb_over_the_rows_above_are_cut_and_ordinary_ones_stay() -> None:
    assert clean("cafe\u0301") == "cafe\u0301"
    assert clean("Z" + "\u0301" * 50) == "Z" + "\u0301" * MAX_MARKS


def test_emoji_that_terminals_measure_differently_are_taken_apart() -> None:
    assert clean("👨\u200d👩\u200d👧 ❤\ufe0f 👍🏽") == "👨👩👧 ❤ 👍"
    # In scripts that need it the joiner stays.
    assert clean("क्\u200dष") == "क्\u200dष"


@given(st.text(max_size=80), st.integers(2, 40))
def test_no_row_is_wider_than_its_room_and_no_word_is_lost(text: str, room: int) -> None:
    rows = wrap(text, room)
    assert all(width(row) <= room for row in rows)
    assert "".join("".join(rows).split()) == "".join(clean(text).split())


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("tea at five", ("tea at", "five")),
        ("tea  at five", ("tea  at", "five")),
        ("abcdefghij", ("abcdefgh", "ij")),
        ("漢字漢字漢", ("漢字漢字", "漢")),
        ("a\n\nb", ("a", "", "b")),
        ("    abcdef", ("    abcd", "ef")),
        ("exactly8 x", ("exactly8", "x")),
        ("", ("",)),
    ],
)
def test_text_is_broken_between_words_where_that_is_possible(text: str, rows: tuple[str, ...]) -> None:
    assert wrap(text, 8) == rows


def test_a_long_name_ends_in_dots_and_fills_its_room_exactly() -> None:
    assert cut("a long name", 6) == "a lon…"
    assert cut("漢字漢字", 6) == "漢字…"
    assert pad("漢字漢字", 6) == "漢字… "
    assert width(pad("漢", 5)) == 5


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("tea.jpg", "tea.jpg"),
        ("../../.ssh/authorized_keys", "authorized_keys"),
        ("C:\\windows\\tea.jpg", "tea.jpg"),
        (".bashrc", "bashrc"),
        ("..", "file"),
        ("", "file"),
        ("a\nb\x1b[2J.txt", "a b_[2J.txt"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("con:aux|x?.txt", "con_aux_x_.txt"),
        ("漢" * 255 + ".txt", "漢" * 65 + ".txt"),
    ],
)
def test_a_saved_file_has_a_bare_and_safe_name(given_name: str, name: str) -> None:
    assert bare_name(given_name) == name
    assert len(name.encode()) <= 200


def test_sizes_are_told_in_units_that_people_read() -> None:
    assert [size(count) for count in (0, 1023, 48_213, 2**20, 25 * 2**20)] == [
        "0 B",
        "1023 B",
        "47 KiB",
        "1.0 MiB",
        "25.0 MiB",
    ]
