"""How a line is read as a command."""

import pytest

from beseda.client.chat.commands import COMMANDS, Wrong, help_rows, parse
from beseda.client.chat.text import width
from beseda.client.chat.typing import is_message


@pytest.mark.parametrize(
    ("line", "name", "words", "behind"),
    [
        ("/dm bob", "dm", ["bob"], ""),
        ("/dm  bob ", "dm", ["bob"], ""),
        ('/group "Tea party" bob carol', "group", ["Tea party", "bob", "carol"], "bob carol"),
        ("/group Ann's bob", "group", ["Ann's", "bob"], "bob"),
        ("/send ~/tea.jpg Look at this,  all!", "send", None, "Look at this,  all!"),
        ("/send '/tmp/my tea.jpg'", "send", ["/tmp/my tea.jpg"], ""),
        ("/send /tmp/my\\ tea.jpg look", "send", ["/tmp/my tea.jpg", "look"], "look"),
        ("/help", "help", [], ""),
    ],
)
def test_a_line_is_a_command_and_its_words(
    line: str, name: str, words: list[str] | None, behind: str
) -> None:
    command, found, rest = parse(line)
    assert (command.name, rest) == (name, behind)
    assert words is None or found == words


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/nope", "There is no command /nope. /help shows all; //nope sends it as a message."),
        ("/", "There is no command /. "),
        ("/dm", "It is /dm NAME: talk with someone."),
    ],
)
def test_what_is_no_command_is_answered_with_a_sentence(line: str, sentence: str) -> None:
    with pytest.raises(Wrong) as wrong:
        parse(line)
    assert str(wrong.value).startswith(sentence)


def test_two_slashes_begin_a_message() -> None:
    assert [is_message(text) for text in ("hello", "//hello", "/hello", "")] == [True, True, False, True]


def test_help_tells_every_command_and_fits_a_small_terminal() -> None:
    rows = help_rows()
    for command in COMMANDS.values():
        assert any(row.startswith(f"/{command.name} ") for row in rows)
    assert len(rows) <= 24 - 5
    assert max(map(width, rows)) <= 80 - 21 - 2
