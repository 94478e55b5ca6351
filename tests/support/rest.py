"""REST for our own tests: people who are registered and logged in, and requests in their name."""

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import httpx

from tests.support import described, secrets
from tests.support.server import ServerProcess

PASSWORD = "correct horse battery"
TIMEOUT = 20.0
AT_ONCE = 8
"""Registrations under way together: each costs 0.1 s of a core and 64 MiB, and the server's queue is bounded."""

Json = dict[str, Any]

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who is registered and logged in."""

    server: ServerProcess
    id: int
    username: str
    email: str
    password: str
    token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        """What authenticates a request in this person's name."""
        return {"Authorization": f"Bearer {self.token}"}


class Rest:
    """A client of one server. Any answer 500 is a failure: nothing a client sends may make one.

    So is every answer that is not as `/openapi.json` describes it.
    """

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.http = httpx.AsyncClient(
            timeout=TIMEOUT,
            limits=httpx.Limits(max_connections=100),
            trust_env=False,
            verify=server.trust or True,
        )
        self._registering = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        by: Person | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Any request; `path` may be a whole URL. `by` authenticates it, `more` is httpx's."""
        url = path if "://" in path else self.server.base_url + path
        secrets.note(json, self.server.secrets)
        sent = {**(by.headers if by else {}), **(headers or {})}
        response = await self.http.request(method, url, json=json, headers=sent, **more)
        assert response.status_code != 500, f"{method} {path} answered 500: {response.text}"
        if response.headers.get("content-type") == "application/json" and response.content:
            secrets.note(response.json(), self.server.secrets)
        if url.startswith(self.server.base_url):  # a bucket's answers are its own
            described.check_response(response)
        return response

    async def get(self, path: str, by: Person | None = None, **query: Any) -> httpx.Response:
        """GET, with `query` as the URL's query."""
        return await self.request("GET", path, by=by, params=query or None)

    async def post(self, path: str, body: Any = None, by: Person | None = None) -> httpx.Response:
        """POST with a JSON body."""
        return await self.request("POST", path, by=by, json=body)

    async def patch(self, path: str, body: Any, by: Person | None = None) -> httpx.Response:
        """PATCH with a JSON body."""
        return await self.request("PATCH", path, by=by, json=body)

    async def put(self, path: str, content: bytes, by: Person | None = None) -> httpx.Response:
        """PUT of bytes."""
        return await self.request("PUT", path, by=by, content=content)

    async def delete(self, path: str, by: Person | None = None) -> httpx.Response:
        """DELETE."""
        return await self.request("DELETE", path, by=by)

    async def register(self, name: str = "ann", password: str = PASSWORD) -> Person:
        """A new person, logged in; the name gets a number, so that it is new on any server."""
        username = f"{name}.{next(_numbers)}"
        email = f"{username}@example.org"
        async with self._registering:
            body = {"email": email, "password": password, "username": username}
            registered = succeeded(await self.post("/auth/register", body))
            logged_in = succeeded(await self.post("/auth/login", {"email": email, "password": password}))
        assert logged_in["user"]["id"] == registered["id"]
        tokens = (logged_in["access_token"], logged_in["refresh_token"])
        return Person(self.server, registered["id"], username, email, password, *tokens)

    async def login(self, person: Person) -> Person:
        """The same person with a new session of its own."""
        credentials = {"email": person.email, "password": person.password}
        answer = succeeded(await self.post("/auth/login", credentials))
        tokens = (answer["access_token"], answer["refresh_token"])
        return Person(person.server, person.id, person.username, person.email, person.password, *tokens)

    async def people(self, *names: str) -> list[Person]:
        """New people, registered concurrently: `ann, bob = await rest.people("ann", "bob")`."""
        return await asyncio.gather(*(self.register(name) for name in names))

    async def dialog(self, one: Person, other: Person) -> int:
        """The dialog of two, by its id."""
        body = {"type": "dialog", "title": None, "members": [other.id]}
        return cast(int, succeeded(await self.post("/chats", body, one))["id"])

    async def group(self, owner: Person, *members: Person, title: str | None = "Team") -> int:
        """A new group, by its id."""
        body = {"type": "group", "title": title, "members": [member.id for member in members]}
        return cast(int, succeeded(await self.post("/chats", body, owner))["id"])

    async def send(self, by: Person, conversation_id: int, text: str, **more: Any) -> Json:
        """A message sent over REST."""
        return succeeded(await self.post(f"/chats/{conversation_id}/messages", {"text": text, **more}, by))

    async def history(self, by: Person, conversation_id: int, **query: Any) -> list[Json]:
        """One page of history, newest first."""
        response = await self.get(f"/chats/{conversation_id}/messages", by, **query)
        assert response.status_code == 200, response.text
        return cast(list[Json], response.json())

    async def whole_history(self, by: Person, conversation_id: int) -> list[Json]:
        """Every message of a conversation, oldest first, read page by page."""
        messages: list[Json] = []
        query: dict[str, int] = {"limit": 200}
        while page := await self.history(by, conversation_id, **query):
            messages += page
            assert page[-1]["id"] < query.get("before_id", 2**53), "the page does not lie before its bound"
            query["before_id"] = page[-1]["id"]
        return messages[::-1]


def lasting(response: httpx.Response) -> dict[str, str]:
    """The headers of an answer but for those that every answer has anew."""
    return {name: value for name, value in response.headers.items() if name not in ("date", "x-request-id")}


def succeeded(response: httpx.Response) -> Json:
    """The JSON object of an answer that must be a success."""
    assert response.is_success, (
        f"{response.request.url.path} answered {response.status_code}: {response.text}"
    )
    value = response.json()
    assert isinstance(value, dict), value
    return value


def refused(response: httpx.Response, status: int, code: str) -> Json:
    """The problem of an answer that must be this refusal (docs/protocol.md section 0)."""
    assert response.status_code == status, f"{response.status_code}: {response.text}"
    assert response.headers["content-type"].startswith("application/problem+json"), response.headers
    problem = response.json()
    assert problem["status"] == status, problem
    assert problem["code"] == code, problem
    assert isinstance(problem["type"], str), problem
    assert isinstance(problem["title"], str), problem
    assert isinstance(problem["detail"], str), problem
    assert bool(problem.get("errors")) == (status == 422), problem
    for due, name in ((401, "www-authenticate"), (405, "allow"), (429, "retry-after"), (503, "retry-after")):
        assert status != due or name in response.headers, f"a {status} without {name}"
    return cast(Json, problem)
