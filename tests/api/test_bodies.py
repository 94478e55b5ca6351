"""Every body that is wrong gets the answer that docs/protocol.md section 0 names, and changes nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from protocol.commands import (
    AddMembers,
    ChangePassword,
    Command,
    CreateConversation,
    Login,
    MarkRead,
    PostMessage,
    Presign,
    Refresh,
    Register,
    Rename,
    SetRole,
    UpdateProfile,
)
from tests.api.conftest import Cast
from tests.support.raw import RawSocket
from tests.support.rest import Rest, refused
from tests.support.server import ServerProcess

MIB = 1024 * 1024
UNPAID = ("/auth/register", "/auth/login", "/auth/refresh")

ROUTES: dict[str, type[Command]] = {
    "POST /auth/register": Register,
    "POST /auth/login": Login,
    "POST /auth/refresh": Refresh,
    "POST /auth/password": ChangePassword,
    "PATCH /users/me": UpdateProfile,
    "POST /chats": CreateConversation,
    "PATCH /chats/{group}": Rename,
    "POST /chats/{group}/members": AddMembers,
    "PATCH /chats/{group}/members/{bob}": SetRole,
    "POST /chats/{group}/messages": PostMessage,
    "POST /chats/{group}/read": MarkRead,
    "POST /attachments/presign": Presign,
}
"""Every route that takes a JSON body."""

NOT_JSON = {
    "nothing": b"",
    "half an object": b'{"a"',
    "NaN": b'{"text":NaN,"members":[NaN]}',
    "Infinity": b'{"text":-Infinity}',
    "a lone surrogate": b'{"text":"\\ud800","email":"\\udfff"}',
    "no UTF-8": b'{"text":"\xff\xfe"}',
    "an overlong form": b'{"text":"\xc0\x80"}',
    "a surrogate in UTF-8": b'{"text":"\xed\xa0\x80"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "30,000 brackets": b"[" * 30_000,
    "6,000 objects": b'{"a":' * 6_000,
    "a comma too many": b'{"text":"x",}',
    "two values": b"{}{}",
    "a raw NUL": b'{"text":"\x00"}',
    "an integer beyond all floats": b'{"message_id":' + b"9" * 5000 + b"}",
}

NOT_OBJECTS = {
    "an array": b"[]",
    "a number": b"1",
    "a string": b'"x"',
    "null": b"null",
    "true": b"true",
}

NO_IDS: list[Any] = [True, False, 1.0, "1", -1, 0, 2**53, 2**63, 2**64, None, [], {}]
NO_TEXTS: list[Any] = [1, True, 1.5, [], {}, "a\0b"]

WRONG: dict[str, dict[str, list[Any]]] = {
    "POST /auth/register": {
        "email": [*NO_TEXTS, None, "", "ann", "a@b@c", "@x.org", "a b@x.org", "x" * 400 + "@x.org"],
        "username": [*NO_TEXTS, None, "", "an", "x" * 33, "a b c", "ann!", "ann\u202e", "x" * 200],
        "password": [1, True, None, [], {}, "", "1234567", "x" * 1025],
        "invite": [1, True, [], {}, "x" * 129],
    },
    "POST /auth/login": {"email": [1, None, [], "x" * 1025], "password": [1, None, [], "x" * 1025]},
    "POST /auth/refresh": {
        "refresh_token": [1, None, [], {}, "x" * 4097],
        "rotate": [0, 1, "true", [], {}],
    },
    "POST /auth/password": {
        "current_password": [1, None, [], "x" * 1025],
        "new_password": [1, True, None, [], {}, "", "1234567", "x" * 1025],
    },
    "PATCH /users/me": {
        "email": [*NO_TEXTS, "", "ann", "a@b@c", "@x.org", "a b@x.org", "x" * 400 + "@x.org"],
        "username": [*NO_TEXTS, "", "an", "x" * 33, "a b c", "ann!", "ann\u202e", "x" * 200],
        "current_password": [1, True, [], {}, "x" * 1025],
    },
    "POST /chats": {
        "type": [1, None, "", "channel", "GROUP", ["group"]],
        "title": [*NO_TEXTS, "", " \t", "x" * 129],
        "members": [None, True, 1, "1", {}, list(range(1, 1002)), [999_999], *([wrong] for wrong in NO_IDS)],
    },
    "PATCH /chats/{group}": {"title": [*NO_TEXTS, "", " ", "x" * 129]},
    "POST /chats/{group}/members": {
        "members": [None, 1, {}, [], list(range(1, 1002)), [999_999], *([wrong] for wrong in NO_IDS)]
    },
    "PATCH /chats/{group}/members/{bob}": {"role": [None, 1, "", "king", "OWNER", ["owner"]]},
    "POST /chats/{group}/messages": {
        "text": [*NO_TEXTS, None, "", " \n\t ", "\u2028", "x" * 10_001],
        "attachments": [None, 1, {}, [1, 1], list(range(1, 12)), *([wrong] for wrong in NO_IDS)],
        "temp_id": [*NO_TEXTS, "", "x" * 65],
    },
    "POST /chats/{group}/read": {"message_id": NO_IDS},
    "POST /attachments/presign": {
        "filename": [*NO_TEXTS, None, "", " ", "x" * 256],
        "content_type": [1, None, "", "text", "a/b\r\nc: d", "a/b\n", "a/" + "b" * 127, "text/\u00e9"],
        "size": [True, 1.0, "1", -1, [], 2**64],
    },
}
"""For every route its fields, and values that each is wrong with."""

RIGHT: dict[str, dict[str, Any]] = {
    "POST /auth/register": {
        "email": "zoe@x.org",
        "username": "zoe",
        "password": "12345678",
        "invite": "x",
    },
    "POST /auth/login": {"email": "zoe@x.org", "password": "12345678"},
    "POST /auth/refresh": {"refresh_token": "x", "rotate": True},
    "POST /auth/password": {"current_password": "x", "new_password": "12345678"},
    "PATCH /users/me": {"email": "zoe@x.org", "username": "zoe", "current_password": "x"},
    "POST /chats": {"type": "group", "title": "Team", "members": []},
    "PATCH /chats/{group}": {"title": "Team"},
    "POST /chats/{group}/members": {"members": [1]},
    "PATCH /chats/{group}/members/{bob}": {"role": "member"},
    "POST /chats/{group}/messages": {"text": "x", "attachments": [], "temp_id": "x"},
    "POST /chats/{group}/read": {"message_id": 1},
    "POST /attachments/presign": {"filename": "x.png", "content_type": "image/png", "size": 1},
}
"""A body for every route that has the right shape."""


@pytest.fixture(params=ROUTES)
def route(request: pytest.FixtureRequest, cast: Cast) -> tuple[str, str]:
    """A route that takes a body: method and path."""
    method, _, path = request.param.partition(" ")
    return method, path.format(group=cast.group, bob=cast.bob.id)


async def ask(
    rest: Rest, route: tuple[str, str], cast: Cast, content: Any, media_type: str | None = "application/json"
) -> httpx.Response:
    headers = {"Content-Type": media_type} if media_type is not None else {}
    return await rest.request(*route, by=cast.ann, content=content, headers=headers)


def test_the_list_of_routes_has_every_model_of_a_body() -> None:
    queries_and_frames = {
        "HistoryPage",
        "ConversationPage",
        "InvitePage",
        "UserPage",
        "UserLookup",
        "UserSearch",
        "Read",
        "SendMessage",
        "TypingStart",
    }
    # Admins' bodies are tried by an admin: tests/api/test_admin.py.
    others = queries_and_frames | {"TypingStop", "Draft", "CreateInvite", "CreateUser", "UpdateUser"}
    # Others' commands, as on the control socket, may have been imported by now.
    models = {model.__name__ for model in every_command(Command) if model.__module__ == Command.__module__}
    assert models - others == {model.__name__ for model in ROUTES.values()}


def every_command(model: type[Command]) -> list[type[Command]]:
    below = [one for child in model.__subclasses__() for one in every_command(child)]
    return [*model.__subclasses__(), *below]


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON.keys())
async def test_what_is_no_json_is_malformed(
    rest: Rest, route: tuple[str, str], cast: Cast, content: bytes
) -> None:
    refused(await ask(rest, route, cast, content), 400, "malformed")


@pytest.mark.parametrize("content", NOT_OBJECTS.values(), ids=NOT_OBJECTS.keys())
async def test_json_that_is_no_object_is_refused(
    rest: Rest, route: tuple[str, str], cast: Cast, content: bytes
) -> None:
    refused(await ask(rest, route, cast, content), 422, "invalid")


def test_the_wrong_values_leave_no_field_out() -> None:
    for route, model in ROUTES.items():
        assert set(WRONG[route]) == set(RIGHT[route]) == set(model.model_fields), route


@pytest.mark.parametrize("name", ROUTES)
async def test_a_field_that_is_wrong_is_named_and_nothing_else(rest: Rest, cast: Cast, name: str) -> None:
    method, _, path = name.partition(" ")
    path = path.format(group=cast.group, bob=cast.bob.id)
    for field, values in WRONG[name].items():
        for value in values:
            response = await rest.request(method, path, by=cast.ann, json={**RIGHT[name], field: value})
            assert response.status_code == 422, (field, value, response.text)
            problem = refused(response, 422, "invalid")
            assert {error["field"].partition(".")[0] for error in problem["errors"]} == {field}, (
                value,
                problem,
            )
            assert all(error["message"] for error in problem["errors"])


@pytest.mark.parametrize("name", [name for name in ROUTES if name != "PATCH /users/me"])
async def test_an_empty_object_is_told_all_that_is_missing(rest: Rest, cast: Cast, name: str) -> None:
    method, _, path = name.partition(" ")
    response = await rest.request(
        method, path.format(group=cast.group, bob=cast.bob.id), by=cast.ann, json={}
    )
    problem = refused(response, 422, "invalid")
    required = {field for field, value in ROUTES[name].model_fields.items() if value.is_required()}
    assert {error["field"] for error in problem["errors"]} == required or required == set()


async def test_a_field_that_is_wrong_is_named_by_its_place_in_the_list(rest: Rest, cast: Cast) -> None:
    body = {"type": "group", "title": None, "members": [cast.bob.id, True]}
    problem = refused(await rest.post("/chats", body, cast.ann), 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["members.1"]


async def test_a_wrong_password_is_not_repeated_in_the_refusal(rest: Rest) -> None:
    body = {"email": "a@x.org", "username": "ann", "password": "CANARY"}
    response = await rest.post("/auth/register", body)
    refused(response, 422, "invalid")
    assert "CANARY" not in response.text


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", "json"]
)
async def test_a_body_that_is_not_declared_as_json_is_415(
    rest: Rest, route: tuple[str, str], cast: Cast, media_type: str
) -> None:
    refused(await ask(rest, route, cast, b"{}", media_type), 415, "unsupported_media_type")


async def test_a_body_without_any_type_is_415(rest: Rest, route: tuple[str, str], cast: Cast) -> None:
    refused(await ask(rest, route, cast, b"{}", None), 415, "unsupported_media_type")


async def test_no_body_at_all_is_malformed_whatever_its_type(
    rest: Rest, route: tuple[str, str], cast: Cast
) -> None:
    refused(await rest.request(*route, by=cast.ann), 400, "malformed")
    refused(await ask(rest, route, cast, b"", "text/plain"), 400, "malformed")


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;x=y"]
)
async def test_parameters_and_case_of_the_type_do_not_matter(rest: Rest, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    response = await rest.request("POST", "/auth/refresh", content=b'{"refresh_token":"x"}', headers=headers)
    refused(response, 401, "unauthorized")


async def test_unknown_fields_are_ignored(rest: Rest, cast: Cast) -> None:
    body = {"text": "hello", "colour": "red", "nested": {"a": [1]}, "id": -1}
    assert (await rest.post(f"/chats/{cast.group}/messages", body, cast.ann)).status_code == 201


async def chunks(count: int, asked: list[int]) -> AsyncIterator[bytes]:
    for number in range(count):
        asked.append(number)
        yield b"x" * 65536
        await asyncio.sleep(0)


async def test_a_body_that_declares_too_much_is_refused_before_it_is_read(
    server: ServerProcess, rest: Rest, route: tuple[str, str], cast: Cast
) -> None:
    with await RawSocket.open(server.base_url) as raw:
        head = [f"{route[0]} {route[1]} HTTP/1.1", "Host: x", "Content-Type: application/json"]
        head += [f"Authorization: Bearer {cast.ann.token}", f"Content-Length: {MIB + 1}", "", ""]
        await raw.send("\r\n".join(head).encode())
        answer = await raw.answer()
    assert (answer.status, answer.problem["code"]) == (413, "too_large")


async def test_a_body_that_grows_too_large_is_refused(rest: Rest, route: tuple[str, str], cast: Cast) -> None:
    asked: list[int] = []
    response = await ask(rest, route, cast, chunks(40, asked))
    detail = refused(response, 413, "too_large")["detail"]
    if route[1] in UNPAID:
        assert detail == "The body may have 32768 bytes at most without an account."
    else:
        assert "(limits.body_bytes)" in detail
        assert len(asked) > 15


@pytest.mark.parametrize(
    ("path", "size", "status"), [("/auth/refresh", 32 * 1024, 401), ("/chats", MIB, 422)]
)
async def test_a_body_of_the_very_largest_size_is_read(
    rest: Rest, cast: Cast, path: str, size: int, status: int
) -> None:
    for more, expected in ((0, status), (1, 413)):
        body = b'{"refresh_token":"x"' + b" " * (size + more - 21) + b"}"
        headers = {"Content-Type": "application/json"}
        response = await rest.request("POST", path, by=cast.ann, content=body, headers=headers)
        assert (len(body), response.status_code) == (size + more, expected)


async def test_without_a_token_no_body_is_looked_at(rest: Rest, route: tuple[str, str]) -> None:
    if route[1] in UNPAID:
        return
    response = await rest.request(*route, content=b"x" * (2 * MIB))
    refused(response, 401, "unauthorized")


async def test_nothing_of_all_this_has_changed_anything(rest: Rest, cast: Cast) -> None:
    chat = (await rest.get(f"/chats/{cast.dialog}", cast.bob)).json()
    assert [chat["title"], chat["members"]] == [None, sorted([cast.ann.id, cast.bob.id])]
    assert chat["unread_count"] == 1
    assert len(await rest.whole_history(cast.bob, cast.dialog)) == 1
    assert len((await rest.get("/users", cast.ann, query="ann")).json()) == 1
