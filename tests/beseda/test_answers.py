"""What stands around every answer, whoever gives it: the application, the HTTP protocol, or the hub."""

import pytest

from beseda.server import Server
from tests.beseda.inside import GET, REFRESH, head
from tests.support.raw import Answer, RawSocket, upgrade_bytes

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTS = (
    "beseda",
    "httptools",
    "llhttp",
    "orjson",
    "pydantic",
    "python",
    "starlette",
    "uvicorn",
    "uvloop",
    "websockets",
)
"""What a banner would name."""

REQUESTS: dict[str, tuple[int, bytes]] = {
    "the application's own": (200, GET),
    "not known": (401, b"GET /users/me HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no such path": (404, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no such method": (405, b"PUT /chats HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a method that nobody knows": (400, b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no JSON": (400, head("/auth/login", "Content-Length: 1") + b"{"),
    "no such file": (403, b"GET /files/1?expires=1&signature=x HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a body too large": (413, head("/auth/login", "Content-Length: 2000000")),
    "a body of no type of ours": (415, b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"),
    "a body that makes no sense": (422, head("/auth/login", "Content-Length: 2") + b"{}"),
    "a socket without an upgrade": (426, b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no HTTP": (400, b"hello\r\n\r\n"),
    "another HTTP": (400, b"GET / HTTP/7.7\r\nHost: x\r\n\r\n"),
    "headers too large": (431, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 3000 + b"\r\n\r\n"),
    "a body in bad chunks": (400, head("/auth/login", "Transfer-Encoding: chunked") + b"zz\r\n"),
    "a proxy's": (400, b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "an upgrade without a token": (401, upgrade_bytes("/ws")),
    "an upgrade elsewhere": (404, upgrade_bytes("/chats")),
    "an upgrade by POST": (405, upgrade_bytes("/ws", method="POST")),
    "an upgrade without a key": (400, upgrade_bytes("/ws", {"Sec-WebSocket-Key": ""})),
    "an upgrade of another version": (426, upgrade_bytes("/ws", {"Sec-WebSocket-Version": "8"})),
    "an upgrade by a strange page": (403, upgrade_bytes("/ws", {"Origin": "https://evil.example"})),
    "an upgrade with a token too large": (431, upgrade_bytes("/ws?token=" + "x" * 3000)),
    "an upgrade to something else": (200, GET[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
}


def has_all_around_it(answer: Answer) -> None:
    """No answer is kept, guessed at or told on, and none tells of what the server is made."""
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not {"server", "x-powered-by", "via"} & set(answer.headers)
    said = f"{answer.headers} {answer.body!r}".lower()
    assert not [part for part in PARTS if part in said]


@pytest.mark.parametrize("name", REQUESTS)
async def test_an_answer_has_the_same_headers_whoever_gives_it(url: str, name: str) -> None:
    status, request = REQUESTS[name]
    with await RawSocket.open(url) as raw:
        await raw.send(request)
        answer = await raw.answer()
    assert answer.status == status
    has_all_around_it(answer)


async def test_so_has_one_to_a_socket_for_which_there_is_no_room(
    running: tuple[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, server = running
    monkeypatch.setattr(server._hub, "is_draining", True)
    with await RawSocket.open(url) as raw:
        answer = await raw.upgrade("/ws")
    assert answer.status == 503
    assert answer.headers["retry-after"]
    has_all_around_it(answer)


async def test_so_has_one_that_a_bug_kept_from_being_given(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ValueError("a secret of the house")

    monkeypatch.setattr("api.auth.sessions.refresh", broken)
    with await RawSocket.open(url) as raw:
        await raw.send(head("/auth/refresh", f"Content-Length: {len(REFRESH)}") + REFRESH)
        answer = await raw.answer()
    assert answer.status == 500
    has_all_around_it(answer)
