"""Query parameters are strict, and each that is wrong is named."""

from typing import Any
from urllib.parse import quote

import pytest

from protocol.commands import Command, ConversationPage, HistoryPage, UserSearch
from tests.api.conftest import Cast
from tests.support.rest import Rest, refused

ROUTES: dict[str, type[Command]] = {
    "/chats": ConversationPage,
    "/chats/{group}/messages": HistoryPage,
    "/users": UserSearch,
}

NO_NUMBERS = [
    "",
    " 1",
    "1 ",
    "+1",
    "-1",
    "01",
    "1.0",
    "1e1",
    "0x1",
    "1_0",
    "true",
    "null",
    "١",
    "²",
    "9" * 5000,
    "1\0",
    "%00",
]

OUT_OF_RANGE: dict[str, list[int]] = {
    "limit": [0, 201, 2**53 - 1],
    "before_id": [0, 2**53],
    "before": [0, 2**53],
    "after_id": [2**53],
}


def test_the_wrong_values_leave_no_parameter_out() -> None:
    numbers = {name for model in ROUTES.values() for name in model.model_fields} - {"query"}
    assert set(OUT_OF_RANGE) == numbers


@pytest.mark.parametrize("path", ROUTES)
async def test_a_number_that_is_none_or_out_of_range_is_named(rest: Rest, cast: Cast, path: str) -> None:
    for name in set(ROUTES[path].model_fields) - {"query"}:
        for value in [*NO_NUMBERS, *OUT_OF_RANGE[name]]:
            url = f"{path.format(group=cast.group)}?query=a&{name}={quote(str(value))}"
            problem = refused(await rest.get(url, cast.ann), 422, "invalid")
            assert [error["field"] for error in problem["errors"]] == [name], value


@pytest.mark.parametrize("path", ROUTES)
async def test_numbers_within_range_are_taken(rest: Rest, cast: Cast, path: str) -> None:
    for name in set(ROUTES[path].model_fields) - {"query"}:
        for value in (1, 200):
            url = f"{path.format(group=cast.group)}?query=a&{name}={value}"
            assert (await rest.get(url, cast.ann)).status_code == 200


@pytest.mark.parametrize("query", ["", "x" * 129, "a\0", "\0"])
async def test_a_search_for_nothing_or_too_much_is_named(rest: Rest, cast: Cast, query: str) -> None:
    problem = refused(await rest.get(f"/users?query={quote(query)}", cast.ann), 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["query"]


async def test_a_search_without_a_query_is_told_what_is_missing(rest: Rest, cast: Cast) -> None:
    problem = refused(await rest.get("/users", cast.ann), 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["query"]


@pytest.mark.parametrize("query", ["%ff%fe", "%ed%a0%80", "%", "%zz", "a%", "\U0010ffff", "%F0%9F%98%80"])
async def test_a_search_for_anything_else_finds_nothing_and_is_no_error(
    rest: Rest, cast: Cast, query: str
) -> None:
    assert (await rest.get(f"/users?query={query}", cast.ann)).json() == []


async def test_of_a_repeated_parameter_the_last_one_counts(rest: Rest, cast: Cast) -> None:
    refused(await rest.get("/chats?limit=1&limit=x", cast.ann), 422, "invalid")
    assert len((await rest.get("/chats?limit=x&limit=1", cast.ann)).json()) == 1


async def test_unknown_parameters_and_odd_queries_are_ignored(rest: Rest, cast: Cast) -> None:
    for odd in ("x=1", "=&&=", "limit", "LIMIT=0", "limit[]=0", "?", "&" * 1000, "%00=%00", "a" * 10_000):
        expected: Any = 422 if odd == "limit" else 200
        assert (await rest.get(f"/chats?{odd}", cast.ann)).status_code == expected, odd
