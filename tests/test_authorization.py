"""Who may do what: every route and every frame, by everyone who may ask, in one table.

Where the table says 404 or `not_found`, the answer is byte for byte the one for what never existed.
"""

import itertools
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from starlette.routing import Route

from api.app import build
from api.services import Services
from protocol.commands import FRAMES
from tests.support.files import fresh_url, presign, uploaded
from tests.support.fixtures import Connect
from tests.support.raw import RawSocket
from tests.support.rest import Person, Rest, lasting, succeeded
from tests.support.server import ServerProcess
from tests.support.socket import Frame, Socket

ROLES = ("nobody", "stranger", "removed", "admin", "member", "owner")
"""In this order in the table. The server's admin is in none of the conversations, `removed` is no more."""

OUTSIDERS = ROLES[:4]

NEVER = 9_999_999
"""An id that nothing ever had."""

SECRET = "canary"
"""In the group's title, its messages and its files' names: no outsider's answer may hold it."""


@dataclass(frozen=True)
class Row:
    """A request, and what each of `ROLES` gets. `"@group"` stands for the id of what the world calls so.

    `like_nothing`: the statuses with which it must be answered as if what is `named` had never existed (by default
    all that it names).
    """

    route: str
    expected: str
    path: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    query: str = ""
    named: tuple[str, ...] = ()
    like_nothing: tuple[int, ...] = (401, 404)
    is_fresh: bool = False
    """Whether it needs a group of its own, since it changes who is in it."""
    ends_session: bool = False

    def __str__(self) -> str:
        body = f"{self.body}" if self.body else ""
        return " ".join(filter(None, [self.route, *self.path.values(), self.query, body]))


GROUP = {"id": "@group"}
DIALOG = {"id": "@dialog"}
EVERYONE = "{0} {0} {0} {0} {0} {0}".format
LOGGED_IN = "401 {0} {0} {0} {0} {0}".format
MEMBERS = "401 404 404 404 {0} {0}".format
OWNERS = "401 404 404 404 403 {0}".format
ADMINS = "404 404 404 {0} 404 404".format

# fmt: off
REQUESTS = [
    # What makes or renews a token, tells of nobody, or carries a signature: a bearer token changes nothing.
    Row("POST /auth/register", EVERYONE(422), body={}),
    Row("POST /auth/login", EVERYONE(422), body={}),
    Row("POST /auth/refresh", EVERYONE(401), body={"refresh_token": "x"}),
    Row("GET /server", EVERYONE(200)),
    Row("GET /healthz", EVERYONE(200)),
    Row("GET /readyz", EVERYONE(200)),
    Row("GET /openapi.json", EVERYONE(200)),
    Row("GET /asyncapi.json", EVERYONE(200)),
    Row("GET /ws", EVERYONE(426)),
    Row("GET /files/{id}", EVERYONE(403), {"id": "@sent"}, like_nothing=(403,)),
    Row("GET /files/{id}", EVERYONE(200), {"id": "@sent"}, query="@get_signature"),
    Row("PUT /files/{id}", EVERYONE(403), {"id": "@unsent"}, like_nothing=(403,)),
    Row("PUT /files/{id}", EVERYONE(403), {"id": "@unsent"}, query="@get_signature", like_nothing=(403,)),
    Row("PUT /files/{id}", EVERYONE(200), {"id": "@unsent"}, query="@put_signature"),

    # The caller's own.
    Row("POST /auth/logout", LOGGED_IN(204), ends_session=True),
    Row("POST /auth/password", LOGGED_IN(403), body={"current_password": "x", "new_password": "12345678"}),
    Row("POST /auth/ticket", LOGGED_IN(201)),
    Row("GET /auth/sessions", LOGGED_IN(200)),
    Row("DELETE /auth/sessions/{id}", "401 404 404 404 404 204", {"id": "@session"}),
    Row("GET /users", LOGGED_IN(200), query="query=owner"),
    Row("GET /users/me", LOGGED_IN(200)),
    Row("PATCH /users/me", LOGGED_IN(200), body={}),
    Row("GET /users/{id}", LOGGED_IN(200), {"id": "@guest"}),
    Row("GET /users/{id}", LOGGED_IN(404), {"id": "@nothing"}),
    Row("GET /chats", LOGGED_IN(200)),
    Row("POST /chats", LOGGED_IN(201), body={"type": "group", "members": ["@guest"]}),
    Row("POST /attachments/presign", LOGGED_IN(201), body={"filename": "a", "content_type": "a/b"}),

    # Conversations.
    Row("GET /chats/{id}", MEMBERS(200), GROUP),
    Row("GET /chats/{id}", MEMBERS(200), DIALOG),
    Row("PATCH /chats/{id}", OWNERS(200), GROUP, {"title": SECRET}),
    Row("PATCH /chats/{id}", MEMBERS(403), DIALOG, {"title": "x"}),
    Row("GET /chats/{id}/members", MEMBERS(200), GROUP),
    Row("POST /chats/{id}/members", OWNERS(200), GROUP, {"members": ["@guest"]}),
    Row("POST /chats/{id}/members", MEMBERS(403), DIALOG, {"members": ["@guest"]}),
    Row("PATCH /chats/{id}/members/{user_id}", OWNERS(200), GROUP | {"user_id": "@guest"}, {"role": "owner"},
        is_fresh=True),
    Row("PATCH /chats/{id}/members/{user_id}", OWNERS(404), GROUP | {"user_id": "@outsider"}, {"role": "owner"},
        named=("outsider",)),
    Row("PATCH /chats/{id}/members/{user_id}", MEMBERS(403), DIALOG | {"user_id": "@me"}, {"role": "owner"}),
    Row("DELETE /chats/{id}/members/{user_id}", OWNERS(204), GROUP | {"user_id": "@guest"}, is_fresh=True),
    Row("DELETE /chats/{id}/members/{user_id}", OWNERS(404), GROUP | {"user_id": "@outsider"},
        named=("outsider",)),
    Row("DELETE /chats/{id}/members/{user_id}", MEMBERS(204), GROUP | {"user_id": "@me"}, is_fresh=True),
    Row("DELETE /chats/{id}/members/{user_id}", MEMBERS(403), DIALOG | {"user_id": "@me"}),

    # Messages and attachments.
    Row("GET /chats/{id}/messages", MEMBERS(200), GROUP),
    Row("GET /chats/{id}/messages", MEMBERS(200), GROUP, query="after_id=0"),
    Row("POST /chats/{id}/messages", MEMBERS(201), GROUP, {"text": SECRET}),
    Row("POST /chats/{id}/messages", "401 404 404 404 409 201", GROUP, {"attachments": ["@ready"]},
        named=("ready",), like_nothing=(401, 404, 409)),
    Row("POST /chats/{id}/messages", MEMBERS(409), GROUP, {"attachments": ["@sent"]},
        named=("sent",), like_nothing=(401, 404, 409)),
    Row("POST /chats/{id}/read", MEMBERS(204), GROUP, {"message_id": "@message"}),
    Row("POST /chats/{id}/read", MEMBERS(404), GROUP, {"message_id": "@elsewhere"}, named=("elsewhere",)),
    Row("GET /attachments/{id}", MEMBERS(307), {"id": "@sent"}),
    Row("GET /attachments/{id}", "401 404 404 404 404 307", {"id": "@kept"}),
    Row("GET /attachments/{id}", LOGGED_IN(404), {"id": "@waiting"}),

    # To everybody but the admin there is nothing under /admin.
    Row("GET /admin/invites", ADMINS(200)),
    Row("POST /admin/invites", ADMINS(201), body={}),
    Row("DELETE /admin/invites/{id}", ADMINS(204), {"id": "@invite"}),
    Row("GET /admin/users", ADMINS(200)),
    Row("POST /admin/users", ADMINS(422), body={}),
    Row("GET /admin/users/{id}", ADMINS(200), {"id": "@leaver"}),
    Row("PATCH /admin/users/{id}", ADMINS(200), {"id": "@leaver"}, {"disabled": False}),
    Row("GET /admin/users/{id}/sessions", ADMINS(200), {"id": "@leaver"}),
    Row("DELETE /admin/users/{id}/sessions/{session_id}", ADMINS(204), {"id": "@leaver", "session_id": "@left"}),
    Row("DELETE /admin/users/{id}/sessions", ADMINS(204), {"id": "@leaver"}),
    Row("DELETE /admin/users/{id}", ADMINS(204), {"id": "@leaver"}),
    Row("GET /admin/stats", ADMINS(200)),
]

FRAME_OUTSIDERS = "401 not_found not_found not_found {0} {0}".format

FRAME_ROWS = [
    Row("send_message", FRAME_OUTSIDERS("ok"), body={"conversation_id": "@group", "text": SECRET}),
    Row("send_message", FRAME_OUTSIDERS("ok"), body={"conversation_id": "@dialog", "text": SECRET}),
    Row("send_message", FRAME_OUTSIDERS("attachment_unavailable"), named=("sent",),
        body={"conversation_id": "@group", "attachments": ["@sent"]}),
    Row("send_message", "401 not_found not_found not_found attachment_unavailable ok", named=("queued",),
        body={"conversation_id": "@group", "attachments": ["@queued"]}),
    Row("typing_start", FRAME_OUTSIDERS("ok"), body={"conversation_id": "@group"}),
    Row("typing_stop", FRAME_OUTSIDERS("ok"), body={"conversation_id": "@group"}),
    Row("read", FRAME_OUTSIDERS("ok"), body={"conversation_id": "@group", "message_id": "@message"}),
    Row("read", FRAME_OUTSIDERS("not_found"), named=("elsewhere",),
        body={"conversation_id": "@group", "message_id": "@elsewhere"}),
]
# fmt: on


class Things(NamedTuple):
    """What there is to be asked for, by id; and the queries of two signed URLs."""

    group: int
    dialog: int
    guest: int
    outsider: int
    message: int
    elsewhere: int
    sent: int
    kept: int
    ready: int
    queued: int
    unsent: int
    waiting: int
    session: int
    invite: int
    leaver: int
    left: int
    nothing: int
    get_signature: str
    put_signature: str


class World(NamedTuple):
    """Who asks, and for what."""

    people: Mapping[str, Person | None]
    guest: Person
    ended: Person
    """The owner, in a session that is over: nobody."""
    things: Things

    def person(self, role: str) -> Person:
        person = self.people[role]
        assert person is not None
        return person


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(server: ServerProcess) -> AsyncIterator[World]:
    async with Rest(server) as rest:
        admin = await rest.register("admin")  # the first to register is
        names = ("stranger", "removed", "member", "owner", "guest")
        stranger, removed, member, owner, guest = await rest.people(*names)
        people = dict(zip(ROLES, (None, stranger, removed, admin, member, owner), strict=True))
        group = await rest.group(owner, member, guest, removed, title=SECRET)
        dialog = await rest.dialog(owner, member)
        sent, kept, ready, queued = [await uploaded(rest, owner, filename=f"{SECRET}.png") for _ in range(4)]
        message = await rest.send(owner, group, SECRET, attachments=[sent])
        elsewhere = await rest.send(owner, dialog, SECRET)
        assert (await rest.get(f"/chats/{group}/messages", removed)).json()[0]["text"] == SECRET
        assert (await rest.delete(f"/chats/{group}/members/{removed.id}", owner)).is_success
        waiting = await presign(rest, owner)
        other = await rest.login(owner)
        (session,) = [one for one in (await rest.get("/auth/sessions", other)).json() if one["current"]]
        invite = succeeded(await rest.post("/admin/invites", {}, admin))
        put = succeeded(
            await rest.post("/attachments/presign", {"filename": "b", "content_type": "a/b"}, owner)
        )
        leaver = await rest.register("leaver")
        (left,) = (await rest.get("/auth/sessions", leaver)).json()
        ended = await rest.login(owner)
        assert (await rest.post("/auth/logout", None, ended)).status_code == 204
        yield World(
            people,
            guest,
            ended,
            Things(
                group=group,
                dialog=dialog,
                guest=guest.id,
                outsider=stranger.id,
                message=message["id"],
                elsewhere=elsewhere["id"],
                sent=sent,
                kept=kept,
                ready=ready,
                queued=queued,
                unsent=put["id"],
                waiting=waiting["id"],
                session=session["id"],
                invite=invite["id"],
                leaver=leaver.id,
                left=left["id"],
                nothing=NEVER - 1,
                get_signature=urlsplit(await fresh_url(rest, owner, sent)).query,
                put_signature=urlsplit(put["url"]).query,
            ),
        )


def every_route() -> set[str]:
    application = build(cast(Services, SimpleNamespace(store=None, origins=())))
    return {
        f"{method} {route.path}"
        for route in application.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }


def test_the_table_has_every_route_and_every_frame_and_nothing_else() -> None:
    assert {row.route for row in REQUESTS} == every_route()
    assert {row.route for row in FRAME_ROWS} == set(FRAMES)
    assert {len(row.expected.split()) for row in REQUESTS + FRAME_ROWS} == {len(ROLES)}


def fill(template: Any, names: Mapping[str, Any]) -> Any:
    """A template with what its `@names` stand for."""
    if isinstance(template, str):
        return names[template[1:]] if template.startswith("@") else template
    if isinstance(template, list):
        return [fill(item, names) for item in template]
    if isinstance(template, Mapping):
        return {key: fill(value, names) for key, value in template.items()}
    return template


def without(row: Row, names: Mapping[str, Any]) -> dict[str, Any]:
    """The same names, where what the row asks for never existed."""
    named = row.named or [name for name, value in names.items() if isinstance(value, int)]
    return {**names, **dict.fromkeys(named, NEVER)}


async def ask(
    rest: Rest, row: Row, by: Person | None, names: Mapping[str, Any], method: str | None = None
) -> httpx.Response:
    usual, _, path = row.route.partition(" ")
    url = path.format(**{key: fill(value, names) for key, value in row.path.items()})
    if row.query:
        url += "?" + fill(row.query, names)
    content = b"bytes" if path == "/files/{id}" and usual == "PUT" else None
    return await rest.request(method or usual, url, by=by, json=fill(row.body, names), content=content)


def said(text: str) -> str:
    """What is said, but for the id of an attachment: it is the one that was asked for."""
    return re.sub("Attachment [0-9]+", "Attachment", text)


def whole(answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    """All of an answer but for the time."""
    headers = lasting(answer)
    if answer.status_code == 409:
        del headers["content-length"]
    return answer.status_code, headers, said(answer.text)


async def new_group(rest: Rest, world: World) -> int:
    """Another group like the one that there is."""
    people = [world.person(role) for role in ("member", "removed")]
    group = await rest.group(world.person("owner"), *people, world.guest, title=SECRET)
    removal = await rest.delete(f"/chats/{group}/members/{people[1].id}", world.person("owner"))
    assert removal.status_code == 204
    return group


@pytest.mark.parametrize("row", REQUESTS, ids=str)
async def test_every_route_answers_each_as_the_table_says(rest: Rest, world: World, row: Row) -> None:
    things: dict[str, Any] = world.things._asdict()
    if row.is_fresh:
        things["group"] = await new_group(rest, world)
    expected = {role: int(status) for role, status in zip(ROLES, row.expected.split(), strict=True)}
    like_nothing = set()
    # Who succeeds comes last: what was asked for may be gone then.
    for role in sorted(ROLES, key=lambda role: expected[role] < 400):
        person = world.people[role]
        if row.ends_session and person is not None:
            person = await rest.login(person)
        names = {**things, "me": person.id if person is not None else NEVER}
        answer = await ask(rest, row, person, names)
        assert answer.status_code == expected[role], f"{role}: {answer.text}"
        assert role not in OUTSIDERS or SECRET.encode() not in answer.content, role
        if answer.status_code in row.like_nothing:
            nothing = await ask(rest, row, person, without(row, names))
            assert whole(answer) == whole(nothing), role
            like_nothing.add((answer.status_code, said(answer.text)))
        if person is None and expected[role] in (401, 404):
            assert (await ask(rest, row, world.ended, names)).status_code == expected[role]
        if row.route.startswith("GET") and answer.status_code >= 400:
            head = await ask(rest, row, person, names, "HEAD")
            assert whole(head) == (*whole(answer)[:2], ""), role
    assert len(like_nothing) == len({status for status, _ in like_nothing}), "not the same for all"


WITH_IDS = [row for row in REQUESTS if row.path and not row.query and "@me" not in row.path.values()]
NO_IDS = (0, -1, 2**53, 2**63, "x", "01", "1.0", "%30", "١")


@pytest.mark.parametrize(
    "row", [row for row in REQUESTS if row.path and not row.query and "@me" not in row.path.values()], ids=str
)
async def test_what_is_no_id_is_nothing_that_ever_existed(rest: Rest, world: World, row: Row) -> None:
    names = {**world.things._asdict(), "me": NEVER}
    for name in row.path.values():
        nothing = await ask(rest, row, world.people["owner"], {**names, name[1:]: NEVER})
        for value in NO_IDS:
            answer = await ask(rest, row, world.people["owner"], {**names, name[1:]: value})
            assert whole(answer) == whole(nothing), value


async def test_what_outsiders_must_not_see_is_what_members_do(rest: Rest, world: World) -> None:
    """Otherwise the search for it in all answers above would be empty."""
    names = world.things._asdict()
    seen = [
        row for row in REQUESTS if row.path == GROUP and row.expected == MEMBERS(200) and row.body is None
    ]
    answers = [(await ask(rest, row, world.people["member"], names)).text for row in seen]
    assert [SECRET in answer for answer in answers] == [True, False, True, True], [str(row) for row in seen]


# Frames.


async def outcome(socket: Socket, row: Row, names: Mapping[str, Any]) -> Frame | None:
    """The error frame that a frame gets, if it gets one; the id of the conversation aside."""
    sent: Frame = {"type": row.route, **fill(row.body, names)}
    if row.route == "send_message":
        sent = {"text": "", "temp_id": names["temp_id"], **sent}
    await socket.send(sent)
    # Frames are handled in their order, and this one is always answered.
    await socket.send({"type": "read", "conversation_id": NEVER + 1, "message_id": 1})
    while True:
        error = await socket.next("error")
        error["message"] = said(error["message"])
        if error.pop("conversation_id") == NEVER + 1:
            return None
        await socket.next("error", where=lambda frame: frame["conversation_id"] == NEVER + 1)
        return error


_temp_ids = itertools.count(1)


@pytest.mark.parametrize("row", FRAME_ROWS, ids=str)
async def test_every_frame_does_for_each_what_the_table_says(
    rest: Rest, world: World, connect: Connect, row: Row
) -> None:
    owner, removed = world.person("owner"), world.person("removed")
    group = await rest.group(owner, world.person("member"), world.guest, removed, title=SECRET)
    message = await rest.send(owner, group, SECRET)
    things = {**world.things._asdict(), "group": group, "message": message["id"]}
    sockets = {role: await connect(person) for role, person in world.people.items() if person is not None}
    watcher = await connect(world.guest)
    # It was open as its user was removed, and stays so.
    assert (await rest.delete(f"/chats/{group}/members/{removed.id}", owner)).status_code == 204
    await sockets["removed"].next("conversation_removed")
    await watcher.next("conversation_updated")
    for role, expected in list(zip(ROLES, row.expected.split(), strict=True))[1:]:
        for socket in (sockets[role], watcher):
            await socket.settle()
            socket.take()
        names = {**things, "temp_id": f"matrix {next(_temp_ids)}"}
        error = await outcome(sockets[role], row, names)
        assert (error["code"] if error else "ok") == expected, role
        if error is not None:
            assert error == await outcome(sockets[role], row, without(row, names)), role
        if role in OUTSIDERS:
            await watcher.settle()
            assert watcher.take() == [], role


@pytest.mark.parametrize("role", ROLES)
async def test_who_has_a_token_opens_a_socket(server: ServerProcess, world: World, role: str) -> None:
    person = world.people[role]
    with await RawSocket.open(server.base_url) as raw:
        answer = await raw.upgrade(f"/ws?token={person.token if person else ''}")
        assert answer.status == (101 if person else 401)
