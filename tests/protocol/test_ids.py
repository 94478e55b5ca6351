"""Ids: positive integers below 2^53, and nothing that merely looks like one."""

from typing import Any

import pytest

from protocol.codec import parse
from protocol.commands import HistoryPage, MarkRead
from protocol.errors import Refused
from protocol.ids import MAX_ID, parse_id


@pytest.mark.parametrize("text, number", [("1", 1), ("10", 10), ("9007199254740991", MAX_ID)])
def test_an_id_in_canonical_decimal_is_read(text: str, number: int) -> None:
    assert parse_id(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "00", "01", "-1", "+1", " 1", "1 ", "1\n", "1.0", "1e3", "0x1", "1_000", "true", "None", "١",
        "１", "²",
        "9007199254740992", "99999999999999999", "1" * 5000, "1\0", "a",
    ],
)  # fmt: skip
def test_everything_else_is_no_id(text: str) -> None:
    assert parse_id(text) is None


def test_where_zero_has_a_meaning_it_may_be_asked_for() -> None:
    assert parse_id("0", least=0) == 0
    assert parse_id("00", least=0) is None
    assert parse_id("-0", least=0) is None


@pytest.mark.parametrize("value", [1, 55, MAX_ID])
def test_a_command_takes_any_id(value: int) -> None:
    assert parse(MarkRead, {"message_id": value}).message_id == value


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        MAX_ID + 1,
        2**63,
        2**64,
        10**30,
        True,
        False,
        1.0,
        1.5,
        1.8446744073709552e19,
        "1",
        "",
        None,
        [1],
        {},
    ],
)
def test_a_command_takes_nothing_else_for_an_id(value: Any) -> None:
    with pytest.raises(Refused) as caught:
        parse(MarkRead, {"message_id": value})
    assert caught.value.code == "invalid"
    assert caught.value.errors is not None
    assert [error["field"] for error in caught.value.errors] == ["message_id"]


def test_a_cursor_may_stand_before_the_first_message() -> None:
    assert parse(HistoryPage, {"after_id": 0}).after_id == 0
    for value in (-1, True, "0", 0.0, MAX_ID + 1):
        with pytest.raises(Refused):
            parse(HistoryPage, {"after_id": value})
