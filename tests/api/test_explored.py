"""Schemathesis explores a real server by `/openapi.json`: with requests as described, and with others.

None is answered with a 5xx, and every one as described. It asks the same every time.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import schemathesis
from schemathesis.specs.openapi import checks

from protocol import operations
from tests.support.described import rest_document
from tests.support.files import fresh_url, presign, uploaded
from tests.support.fuzz import bounded
from tests.support.rest import Person, Rest
from tests.support.server import ServerProcess

EXAMPLES = 12
"""For each operation, beside those that go through the bounds of each field. All of them take half a minute or so."""

NOT_ASKED = [
    # What makes sense in itself is often refused: there is no such user, or the email is taken.
    checks.positive_data_acceptance,
    # test_around.py asks for each; and here `GET /attachments/presign` would be taken for an attachment's.
    checks.unsupported_method,
]

REMOVAL = "DELETE /chats/{id}/members/{user_id}"
LEAVING = frozenset({"POST /auth/logout", "DELETE /auth/sessions/{id}", REMOVAL})
"""What ends what the others need is asked by someone else, who comes back."""

ACCOUNTS = "/admin/users/{id}"
NOBODY = 2**53 - 1

NEVER_GUESSED = frozenset(
    {
        "POST /auth/login",
        "POST /auth/refresh",
        "POST /auth/password",
        "DELETE /auth/sessions/{id}",
        "DELETE /admin/invites/{id}",
        "POST /chats/{id}/messages",
        "POST /chats/{id}/read",
        "GET /ws",
    }
)
"""What may never succeed: nobody guesses a password, a token or an id; and an upgrade needs more than a GET."""

Case = schemathesis.Case[Any]

schema = schemathesis.openapi.from_dict(rest_document())
schema.config.seed = 1
# Tokens are ours to give.
schema.config.generation.update(with_security_parameters=False)


@dataclass
class World:
    """People, and what there is: by the operation or the start of its path, the path's parameters; and signed URLs."""

    server: ServerProcess
    ann: Person
    leaver: Person
    places: Mapping[str, Mapping[str, int]]
    urls: Mapping[str, str]
    needed: frozenset[str]
    """The ids of those without whom nobody could ask, or be asked for."""
    granted: set[str] = field(default_factory=set)
    """Operations that were once answered with a success."""
    logins: int = 20
    """How often the leaver comes back; each costs a tenth of a second."""

    def ask(self, case: Case, *, is_found: bool = False) -> None:
        """Send a request, and check its answer; where it was pointed at what exists, only what is said."""
        is_leaving = case.operation.label in LEAVING
        if not is_found and case.path.startswith(ACCOUNTS) and str(case.path_parameters["id"]) in self.needed:
            # An admin can lock out anyone, and the tests need these.
            case.path_parameters = {**case.path_parameters, "id": NOBODY}
        headers = (self.leaver if is_leaving else self.ann).headers
        response = case.call(base_url=self.server.base_url, headers=headers)
        if response.status_code < 400:
            self.granted.add(case.operation.label)
        not_asked = list(NOT_ASKED)
        if is_found or case.method == "GET":
            # Of a URL, what is unknown is ignored; and what was wrong in a path is not wrong any more.
            not_asked.append(checks.negative_data_rejection)
        if case.path.startswith("/admin/"):
            # Without an admin's token there is nothing there: 404.
            not_asked.append(checks.ignored_auth)
        case.validate_response(response, excluded_checks=not_asked, headers=headers)
        if is_leaving and response.status_code == 204 and case.operation.label != REMOVAL and self.logins:
            self.logins -= 1
            self.leaver = asyncio.run(_login(self.server, self.leaver))

    def find(self, case: Case) -> bool:
        """Point a request at what exists; whether there is such a thing."""
        if not case.path_parameters:
            return False
        if case.operation.label in self.urls:
            url = urlsplit(self.urls[case.operation.label])
            case.path_parameters = {"id": int(url.path.rpartition("/")[2])}
            case.query = dict(parse_qsl(url.query))
            return True
        places = (
            self.places[name]
            for name in self.places
            if name in (case.operation.label, case.path[: len(name)])
        )
        place = next(places, None)
        if place is not None:
            case.path_parameters = {name: place[name] for name in case.path_parameters}
        return place is not None


@pytest.fixture(scope="module")
def world(server: ServerProcess) -> World:
    return asyncio.run(_populate(server))


async def _populate(server: ServerProcess) -> World:
    async with Rest(server) as rest:
        ann = await rest.register("ann")  # the first, and so the admin
        bob, leaver = await rest.people("bob", "leaver")
        spare, roamer, doomed = await rest.people("spare", "roamer", "doomed")
        (session,) = (await rest.get("/auth/sessions", roamer)).json()
        group, team = await rest.group(ann, bob), await rest.group(leaver, bob)
        await rest.send(ann, group, "hello", temp_id="7f3a")
        file, waiting = await uploaded(rest, ann), await presign(rest, ann)
        await rest.send(ann, group, "look", attachments=[file])
        urls = {"GET /files/{id}": await fresh_url(rest, ann, file), "PUT /files/{id}": waiting["url"]}
    places = {
        REMOVAL: {"id": team, "user_id": bob.id},
        "/chats": {"id": group, "user_id": bob.id},
        "/users": {"id": bob.id},
        "/attachments": {"id": file},
        f"DELETE {ACCOUNTS}": {"id": doomed.id},
        f"DELETE {ACCOUNTS}/sessions/{{session_id}}": {"id": roamer.id, "session_id": session["id"]},
        ACCOUNTS: {"id": spare.id, "session_id": session["id"]},
    }
    needed = [person.id for person in (ann, bob, leaver, spare, roamer)]
    return World(server, ann, leaver, places, urls, frozenset(map(str, needed)))


async def _login(server: ServerProcess, person: Person) -> Person:
    async with Rest(server) as rest:
        return await rest.login(person)


# The parameter only gives the test of each operation a name of its own, without which pytest-xdist runs one of them.
@schema.parametrize()
@pytest.mark.parametrize("by", ["ann"])
@bounded(EXAMPLES)
def test_whatever_is_asked_is_answered_as_described(case: Case, world: World, by: str) -> None:
    world.ask(case)
    if world.find(case):
        world.ask(case, is_found=True)


def test_what_was_asked_was_not_all_refused(world: World) -> None:
    if not world.granted:
        pytest.skip("nothing was asked")
    every = {operation.route for operation in operations.every()}
    assert every - world.granted <= NEVER_GUESSED
