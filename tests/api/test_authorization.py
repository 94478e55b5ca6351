"""Who may do what over REST: every route, by everyone. A stranger's answer is the answer for what does not exist."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import httpx
import jwt
import pytest
from starlette.routing import Route

from api.app import build
from api.services import Services
from tests.api.conftest import Cast
from tests.support.rest import Person, Rest, refused, succeeded

OPEN = {
    "POST /auth/register",
    "POST /auth/login",
    "POST /auth/refresh",
    "GET /server",
    "GET /healthz",
    "GET /readyz",
    "GET /openapi.json",
    "GET /asyncapi.json",
    "GET /ws",
    "PUT /files/{id}",
    "GET /files/{id}",
}
"""What needs no access token: it makes or renews one, tells of nobody, or carries a signature."""

OF_A_GROUP: dict[str, Any] = {
    "GET /chats/{id}": None,
    "PATCH /chats/{id}": {"title": "x"},
    "GET /chats/{id}/members": None,
    "POST /chats/{id}/members": {"members": [1]},
    "PATCH /chats/{id}/members/{user_id}": {"role": "owner"},
    "DELETE /chats/{id}/members/{user_id}": None,
    "GET /chats/{id}/messages": None,
    "POST /chats/{id}/messages": {"text": "x"},
    "POST /chats/{id}/read": {"message_id": 1},
}
"""What is done in a conversation, with a valid body."""

OWNERS_ONLY = {
    "PATCH /chats/{id}",
    "POST /chats/{id}/members",
    "PATCH /chats/{id}/members/{user_id}",
    "DELETE /chats/{id}/members/{user_id}",
}

ELSEWHERE = {
    "POST /auth/logout",
    "POST /auth/password",
    "POST /auth/ticket",
    "GET /auth/sessions",
    "DELETE /auth/sessions/{id}",
    "GET /users",
    "GET /users/me",
    "PATCH /users/me",
    "GET /users/{id}",
    "GET /chats",
    "POST /chats",
    "POST /attachments/presign",
    "GET /attachments/{id}",
}


ADMINS_ONLY = {
    "GET /admin/invites",
    "POST /admin/invites",
    "DELETE /admin/invites/{id}",
}
"""What does not exist for anybody else."""


def every_route() -> set[str]:
    application = build(cast(Services, SimpleNamespace(store=None, origins=())))
    return {
        f"{method} {route.path}"
        for route in application.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }


def test_the_lists_here_leave_no_route_out() -> None:
    assert OPEN | set(OF_A_GROUP) | ELSEWHERE | ADMINS_ONLY == every_route()
    assert set(OF_A_GROUP) > OWNERS_ONLY


async def ask(
    rest: Rest, route: str, by: Person | None, conversation_id: object, user_id: int
) -> httpx.Response:
    method, _, path = route.partition(" ")
    url = path.replace("{id}", str(conversation_id)).replace("{user_id}", str(user_id))
    return await rest.request(method, url, by=by, json=OF_A_GROUP.get(route))


# Tokens.


Forge = Callable[[Person], str]


def resigned(key: str) -> Forge:
    def forge(person: Person) -> str:
        payload = jwt.decode(person.token, options={"verify_signature": False})
        return jwt.encode(payload, key, "HS256")

    return forge


def unsigned(person: Person) -> str:
    payload = jwt.decode(person.token, options={"verify_signature": False})
    return jwt.encode(payload, "", "none")


FORGED: dict[str, Forge] = {
    "none": lambda person: "",
    "garbage": lambda person: "x",
    "no signature": lambda person: person.token.rpartition(".")[0] + ".",
    "another signature": lambda person: person.token[:-5] + "AAAAA",
    "another's signature": resigned("another key of 32 characters...."),
    "the algorithm none": unsigned,
    "a refresh token": lambda person: person.refresh_token,
    "a ticket": lambda person: httpx.post(
        f"{person.server.base_url}/auth/ticket", headers=person.headers, trust_env=False
    ).json()["ticket"],
    "two tokens": lambda person: f"{person.token} {person.token}",
    "a comma": lambda person: f"{person.token}, Bearer {person.token}",
    "20,000 characters": lambda person: "x" * 20_000,
    "dots": lambda person: "." * 100,
    "no ASCII": lambda person: "\xff\xfe.\xfd",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
async def test_every_route_wants_a_genuine_access_token(rest: Rest, cast: Cast, forge: Forge) -> None:
    header = f"Bearer {forge(cast.ann)}".strip().encode("latin-1")
    for route in sorted(every_route() - OPEN - ADMINS_ONLY):
        method, _, path = route.partition(" ")
        url = rest.server.base_url + path.replace("{id}", "1").replace("{user_id}", "1")
        response = await rest.http.request(method, url, headers=[(b"Authorization", header)])
        refused(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "forge", [*FORGED.values(), lambda person: person.token], ids=[*FORGED.keys(), "a good token"]
)
async def test_who_is_no_admin_finds_nothing_under_admin(rest: Rest, cast: Cast, forge: Forge) -> None:
    (nobody,) = [person for person in (cast.bob, cast.eve) if not await is_admin(rest, person)][:1]
    header = f"Bearer {forge(nobody)}".strip().encode("latin-1")
    paths = [route.replace("{id}", "1").split() for route in sorted(ADMINS_ONLY)]
    others = [(method, "/admin/invites") for method in ("PUT", "PATCH", "OPTIONS", "HEAD")]
    for method, path in [*paths, *others, ("GET", "/admin/invites/1"), ("GET", "/admin")]:
        real, nothing = [
            await rest.http.request(
                method, rest.server.base_url + url, headers=[(b"Authorization", header)], content=b"no JSON"
            )
            for url in (path, "/nothing")
        ]
        assert (real.status_code, real.content) == (404, nothing.content), f"{method} {path}"
        assert dict(real.headers, date="") == dict(nothing.headers, date="")


async def is_admin(rest: Rest, person: Person) -> bool:
    """Who registered first is."""
    return bool(succeeded(await rest.get("/users/me", person))["is_admin"])


@pytest.mark.parametrize(
    "header", ["Basic {token}", "Token {token}", "{token}", "Bearer{token}", "Bearer: {token}"]
)
async def test_only_the_bearer_scheme_counts(rest: Rest, cast: Cast, header: str) -> None:
    headers = {"Authorization": header.format(token=cast.ann.token)}
    refused(await rest.request("GET", "/users/me", headers=headers), 401, "unauthorized")


@pytest.mark.parametrize("header", ["bearer {token}", "BEARER {token}", "Bearer   {token}"])
async def test_the_scheme_has_no_case(rest: Rest, cast: Cast, header: str) -> None:
    headers = {"Authorization": header.format(token=cast.ann.token)}
    assert (await rest.request("GET", "/users/me", headers=headers)).status_code == 200


async def test_an_access_token_refreshes_nothing(rest: Rest, cast: Cast) -> None:
    refused(await rest.post("/auth/refresh", {"refresh_token": cast.ann.token}), 401, "unauthorized")


async def test_an_ended_session_is_dead_everywhere_at_once(rest: Rest, cast: Cast) -> None:
    ended = await rest.login(cast.ann)
    assert (await rest.post("/auth/logout", None, ended)).status_code == 204
    for route in sorted(
        set(OF_A_GROUP) | {"GET /users/me", "GET /auth/sessions", "POST /auth/logout", "GET /chats"}
    ):
        refused(await ask(rest, route, ended, cast.group, cast.bob.id), 401, "unauthorized")
    refused(await rest.post("/auth/refresh", {"refresh_token": ended.refresh_token}), 401, "unauthorized")
    assert (await rest.get("/users/me", cast.ann)).status_code == 200, (
        "the other session is none of its business"
    )


# Conversations.


@pytest.mark.parametrize("route", OF_A_GROUP)
async def test_a_stranger_gets_the_answer_for_what_does_not_exist(rest: Rest, cast: Cast, route: str) -> None:
    real = await ask(rest, route, cast.eve, cast.group, cast.bob.id)
    refused(real, 404, "not_found")
    for nothing in (999_999, 2**53 - 1, 2**53, 0, -1, "x", "01", "1.0"):
        answer = await ask(rest, route, cast.eve, nothing, cast.bob.id)
        assert (answer.status_code, answer.content) == (404, real.content), nothing
        assert dict(answer.headers, date="") == dict(real.headers, date="")


@pytest.mark.parametrize("route", OF_A_GROUP)
async def test_a_removed_member_is_a_stranger_from_then_on(rest: Rest, cast: Cast, route: str) -> None:
    group = await rest.group(cast.ann, cast.bob, cast.eve)
    await rest.send(cast.ann, group, "hello")
    if route not in OWNERS_ONLY and route != "POST /chats/{id}/read":
        assert (await ask(rest, route, cast.eve, group, cast.bob.id)).is_success
    assert (await rest.delete(f"/chats/{group}/members/{cast.eve.id}", cast.ann)).status_code == 204
    nothing = await ask(rest, route, cast.eve, 999_999, cast.bob.id)
    answer = await ask(rest, route, cast.eve, group, cast.bob.id)
    assert (answer.status_code, answer.content) == (404, nothing.content)


@pytest.mark.parametrize("route", sorted(OWNERS_ONLY))
async def test_what_owners_do_is_forbidden_to_members_and_to_all_in_a_dialog(
    rest: Rest, cast: Cast, route: str
) -> None:
    refused(await ask(rest, route, cast.bob, cast.group, cast.ann.id), 403, "forbidden")
    for person in (cast.ann, cast.bob):
        refused(await ask(rest, route, person, cast.dialog, cast.bob.id), 403, "forbidden")


async def test_the_server_s_admin_has_no_rights_where_it_is_not(rest: Rest, cast: Cast) -> None:
    people = [cast.ann, cast.bob, cast.eve]
    (admin,) = [person for person in people if await is_admin(rest, person)]
    first, second = [person for person in people if person is not admin]
    group = await rest.group(first, second)
    for route in OF_A_GROUP:
        refused(await ask(rest, route, admin, group, second.id), 404, "not_found")


async def test_nobody_ends_another_s_session(rest: Rest, cast: Cast) -> None:
    (session,) = [one for one in (await rest.get("/auth/sessions", cast.bob)).json() if one["current"]]
    for number in (session["id"], 999_999, 0, "x"):
        refused(await rest.delete(f"/auth/sessions/{number}", cast.eve), 404, "not_found")
    assert (await rest.get("/users/me", cast.bob)).status_code == 200


async def test_of_twenty_equal_registrations_one_succeeds(rest: Rest) -> None:
    def attempt() -> Awaitable[httpx.Response]:
        body = {"email": "race@x.org", "username": "race", "password": "12345678"}
        return rest.post("/auth/register", body)

    answers = await asyncio.gather(*(attempt() for _ in range(20)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] + [409] * 19
