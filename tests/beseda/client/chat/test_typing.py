"""When the others are told that one types."""

from beseda.client.chat.typing import Typing


def test_a_start_is_told_at_most_every_three_seconds_and_a_stop_once() -> None:
    typing = Typing()
    assert typing.edit(0.0, 7, "h") == [("start", 7)]
    assert typing.edit(2.9, 7, "he") == []
    assert typing.edit(3.0, 7, "hel") == [("start", 7)]
    assert typing.edit(3.1, 7, "") == [("stop", 7)]
    assert typing.edit(3.2, 7, "") == []


def test_a_command_is_no_typing_and_a_message_with_a_slash_is() -> None:
    typing = Typing()
    assert typing.edit(0.0, 7, "/dm bob") == []
    assert typing.edit(1.0, 7, "//dm") == [("start", 7)]
    assert typing.edit(2.0, None, "x") == [("stop", 7)]


def test_another_conversation_ends_it_in_the_first_one() -> None:
    typing = Typing()
    typing.edit(0.0, 7, "h")
    assert typing.edit(1.0, 8, "h") == [("stop", 7), ("start", 8)]


def test_after_a_message_the_next_letter_is_told_at_once() -> None:
    typing = Typing()
    typing.edit(0.0, 7, "h")
    typing.sent()
    assert typing.edit(1.0, 7, "") == []
    assert typing.edit(1.1, 7, "x") == [("start", 7)]
