"""What counts as an access token over REST, and what does not (`tests/test_authorization.py` has who may do what)."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import jwt
import pytest

from protocol import operations
from tests.api.conftest import Cast
from tests.support.rest import Person, Rest, lasting, refused, succeeded

WANTS_A_TOKEN = [operation for operation in operations.every() if operation.access == "bearer"]
ADMINS_ONLY = [operation for operation in operations.every() if operation.access == "admin"]


Forge = Callable[[Person], str]


def example(path: str) -> str:
    return path.format(id=1, user_id=1, session_id=1)


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
    for operation in WANTS_A_TOKEN:
        url = rest.server.base_url + example(operation.path)
        response = await rest.http.request(operation.method, url, headers=[(b"Authorization", header)])
        refused(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "forge", [*FORGED.values(), lambda person: person.token], ids=[*FORGED.keys(), "a good token"]
)
async def test_who_is_no_admin_finds_nothing_under_admin(rest: Rest, cast: Cast, forge: Forge) -> None:
    (nobody,) = [person for person in (cast.bob, cast.eve) if not await is_admin(rest, person)][:1]
    header = f"Bearer {forge(nobody)}".strip().encode("latin-1")
    paths = [(operation.method, example(operation.path)) for operation in ADMINS_ONLY]
    others = [(method, "/admin/invites") for method in ("PUT", "PATCH", "OPTIONS", "HEAD")]
    for method, path in [*paths, *others, ("GET", "/admin/invites/1"), ("GET", "/admin")]:
        real, nothing = [
            await rest.http.request(
                method, rest.server.base_url + url, headers=[(b"Authorization", header)], content=b"no JSON"
            )
            for url in (path, "/nothing")
        ]
        assert (real.status_code, real.content) == (404, nothing.content), f"{method} {path}"
        assert lasting(real) == lasting(nothing)


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


async def test_of_twenty_equal_registrations_one_succeeds(rest: Rest) -> None:
    def attempt() -> Awaitable[httpx.Response]:
        body = {"email": "race@x.org", "username": "race", "password": "12345678"}
        return rest.post("/auth/register", body)

    answers = await asyncio.gather(*(attempt() for _ in range(20)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] + [409] * 19
