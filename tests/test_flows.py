"""The example flows of `docs/protocol.md`, played against a real server.

A flow's lines are `Who → what` and `Who ← what`. The page's ids are those of a story: the first time one is met, it is
bound to the id that the server has given, and from then on it must stand for that one.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.fixtures import Connect
from tests.support.rest import PASSWORD, Person, Rest, succeeded
from tests.support.server import ServerProcess
from tests.support.socket import Socket

PAGE = (Path(__file__).parent.parent / "docs/protocol.md").read_text("utf-8")
SECTION = PAGE.partition("## Example flows\n")[2].partition("\n## ")[0]
FLOWS = dict(re.findall(r"^### (.+)\n((?:(?!^### ).*\n?)*)", SECTION, re.MULTILINE))
PLAYED = [name for name, text in FLOWS.items() if " → " in text]

_LINE = re.compile(r"(?P<who>[A-Z][a-z]+)(?:'s \w+)? (?P<way>[→←]) (?P<what>.+)")
_KINDS = {
    "user_id": "user",
    "sender_id": "user",
    "created_by": "user",
    "members": "user",
    "conversation_id": "event",
    "event_id": "event",
    "message_id": "event",
    "read_id": "event",
    "attachments": "attachment",
}
"""What an id is of, by its field. A conversation's and a message's are those of events."""


pytestmark = pytest.mark.genuine


class Line(NamedTuple):
    """One line: which client (`Ann's phone`), whose (`Ann`), and what it sends or gets."""

    client: str
    who: str
    is_sent: bool
    what: str


def lines(text: str) -> Iterator[Line]:
    """A flow's lines, each with what it goes on with on deeper indented ones."""
    for line in re.sub(r"\n {8,}", " ", text).splitlines():
        if line.startswith("    "):
            match = _LINE.fullmatch(line.strip())
            assert match, f"not a line of a flow: {line}"
            yield Line(
                line.strip().split(" " + match["way"])[0], match["who"], match["way"] == "→", match["what"]
            )


def parsed(text: str) -> Any:
    """JSON with `...`; whatever the server tells beyond the page's fields is let be."""
    return json.loads(re.sub(r", \.\.\.(?=[]}])", "", text))


class Stage:
    """A server with its people, and the story's ids."""

    def __init__(self, rest: Rest, connect: Connect) -> None:
        self.rest = rest
        self.connect = connect
        self.people: dict[str, Person] = {}
        self.sockets: dict[str, Socket] = {}
        self.answers: dict[str, httpx.Response] = {}
        self.bound: dict[tuple[str, Any], Any] = {}

    async def play(self, line: Line) -> None:
        """Do what a line says, or wait for it."""
        if not line.is_sent:
            if line.what.startswith("{"):
                expected = parsed(line.what)
                socket = self.sockets[line.client]
                frame = socket.hello if expected["type"] == "hello" else await socket.next(expected["type"])
                self.unify(expected, frame)
                return
            status, _, body = line.what.partition(" ")
            answer = self.answers.pop(line.client)
            assert answer.status_code == int(status), answer.text
            if body:
                self.unify(parsed(body), answer.json())
                await self.take_login(line, answer)
            return
        assert line.client not in self.answers, f"the page tells no answer before: {line}"
        if line.what == "connect":
            self.sockets[line.client] = await self.connect(self.people[line.who])
        elif line.what.startswith("connect since "):
            since = self.bound["event", int(line.what.split()[2])]
            self.sockets[line.client] = await self.connect(self.people[line.who], since=since)
        elif line.what == "close":
            await self.sockets.pop(line.client).close()
        elif line.what.startswith("{"):
            await self.sockets[line.client].send(self.translated(parsed(line.what)))
        else:
            method, target, body = [*line.what.split(" ", 2), ""][:3]
            self.answers[line.client] = await self.request(line, method, target, body)

    async def request(self, line: Line, method: str, target: str, body: str) -> httpx.Response:
        kinds = {"members": "user", "attachments": "attachment"}
        parts = target.split("/")
        for place, part in enumerate(parts):
            if part.isdecimal():
                parts[place] = str(self.bound[kinds.get(parts[place - 1], "event"), int(part)])
        url = self.bound.get(("url", target), "/".join(parts))
        more: dict[str, Any] = {"content": b"bytes"} if method == "PUT" else {}
        if body:
            more["json"] = self.translated(parsed(body))
        is_signed = target.startswith("<")
        # Who follows no redirect asks for JSON.
        headers = {"Accept": "application/json"} if "/attachments/" in target else {}
        by = None if is_signed else self.people.get(line.who)
        return await self.rest.request(method, url, by=by, headers=headers, **more)

    async def take_login(self, line: Line, answer: httpx.Response) -> None:
        """Who logs in within the flow acts with these tokens from then on."""
        body = answer.json()
        if "refresh_token" in body:
            user = body["user"]
            tokens = (body["access_token"], body["refresh_token"])
            person = Person(self.rest.server, user["id"], user["username"], user["email"], PASSWORD, *tokens)
            self.people[line.who] = person

    def unify(self, expected: Any, actual: Any, kind: str = "") -> None:
        """Whether the server says what the page says; ids are bound where they are met for the first time."""
        if expected == "...":
            return
        if isinstance(expected, dict):
            for name, value in expected.items():
                assert name in actual, f"{name} is not in {actual}"
                self.unify(value, actual[name], _kind(name, actual, kind))
        elif kind == "user" and isinstance(expected, list):
            # By id, and the first start's Ann is registered after Bob.
            assert sorted(self.translated(expected, kind)) == actual
        elif isinstance(expected, list):
            assert len(expected) == len(actual), f"{actual} instead of {expected}"
            for one, other in zip(expected, actual, strict=True):
                self.unify(one, other, kind)
        elif kind and expected != 0 and expected is not None:
            assert self.bound.setdefault((kind, expected), actual) == actual, f"{kind} {expected} is {actual}"
        else:
            assert expected == actual

    def translated(self, value: Any, kind: str = "") -> Any:
        """What the page sends, with the server's ids."""
        if isinstance(value, dict):
            return {name: self.translated(item, _KINDS.get(name, "")) for name, item in value.items()}
        if isinstance(value, list):
            return [self.translated(item, kind) for item in value]
        return self.bound[kind, value] if kind else value


def _kind(name: str, parent: dict[str, Any], kind: str) -> str:
    """What a field's number is the id of; empty where it is a number like any other."""
    if name == "id":
        if kind == "attachment" or "method" in parent:
            return "attachment"
        return "user" if "username" in parent else "event"
    if name == "url" and isinstance(parent[name], str):
        return "url"
    return _KINDS.get(name, "")


@pytest.mark.parametrize("name", PLAYED)
async def test_a_flow_of_the_page_goes_as_the_page_says(
    name: str, fresh_server: ServerProcess, connect: Connect
) -> None:
    async with Rest(fresh_server) as rest:
        stage = Stage(rest, connect)
        is_first = name == "First start"
        for person in ["Bob"] if is_first else ["Ann", "Bob"]:
            await stage_person(stage, person)
        if not is_first:
            ann, bob = stage.people["Ann"], stage.people["Bob"]
            dialog = await rest.dialog(ann, bob)
            stage.bound |= {("user", 1): ann.id, ("user", 2): bob.id, ("event", 7): dialog}
        else:
            stage.bound[("user", 2)] = stage.people["Bob"].id
        flow = list(lines(FLOWS[name]))
        assert len(flow) > 5
        for line in flow:
            async with asyncio.timeout(20):
                await stage.play(line)
        assert not stage.answers, "an answer was not told"


async def stage_person(stage: Stage, who: str) -> None:
    name = who.lower()
    account = {"email": f"{name}@example.org", "password": PASSWORD, "username": name}
    succeeded(await stage.rest.post("/auth/register", account))
    login = succeeded(await stage.rest.post("/auth/login", account))
    tokens = (login["access_token"], login["refresh_token"])
    person = Person(stage.rest.server, login["user"]["id"], name, account["email"], PASSWORD, *tokens)
    stage.people[who] = person


def test_the_page_has_the_flows_that_a_client_must_get_right() -> None:
    assert {
        "First start",
        "Sending while offline",
        "Back after a break",
        "Two devices",
        "Being removed",
    } <= set(PLAYED)
