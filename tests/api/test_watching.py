"""What the log knows of requests: their ids, and who came in or was kept out (docs/operations.md, Logs)."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from api.watching import request_id
from hub.inbox import BAD_FRAMES
from tests.api.conftest import Cast
from tests.support.raw import RawSocket, upgrade_bytes
from tests.support.rest import Rest, refused
from tests.support.server import ServerProcess, Setting
from tests.support.socket import open_socket
from tests.test_docs import OPERATIONS, section, table

NEW = re.compile(r"[0-9a-f]{16}")


async def test_every_answer_tells_an_id_of_its_own(rest: Rest, cast: Cast) -> None:
    answers = [
        await rest.get("/healthz"),
        await rest.get("/users/me", cast.ann),
        await rest.get("/users/me"),
        await rest.get("/nothing"),
        await rest.request("DELETE", "/healthz"),
        await rest.request("HEAD", "/server"),
    ]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(NEW.fullmatch(number) for number in ids)
    assert len(set(ids)) == len(ids)


async def test_the_id_that_a_trusted_proxy_gives_is_kept(rest: Rest) -> None:
    answer = await rest.request("GET", "/healthz", headers={"X-Request-Id": "a.proxy-s_own1"})
    assert answer.headers["x-request-id"] == "a.proxy-s_own1"
    assert 'request_id="a.proxy-s_own1"' in rest.server.output()


@pytest.mark.parametrize(
    ("given", "client"),
    [
        ("a b", "127.0.0.1"),
        ("x" * 65, "127.0.0.1"),
        ("", "127.0.0.1"),
        ("eyJ.a=", "127.0.0.1"),
        ("fine", "192.0.2.1"),
        ("fine", None),
    ],
)
def test_any_other_id_is_replaced(given: str, client: str | None) -> None:
    scope = {
        "type": "http",
        "headers": [(b"x-request-id", given.encode())],
        "client": client and (client, 1234),
    }
    assert NEW.fullmatch(request_id(scope, ("127.0.0.1",)))


def trail(process: ServerProcess) -> list[dict[str, Any]]:
    """The lines of the audit trail."""
    lines = [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]
    return [line for line in lines if line["logger"] == "audit"]


async def test_the_audit_trail_tells_who_came_in_and_who_was_kept_out_whatever_the_level_is(
    tmp_path: Path,
) -> None:
    settings: dict[str, Setting] = {
        "log.format": "json",
        "log.level": "error",
        "auth.login_attempts_per_minute": 3,
        "metrics.enabled": True,
        "metrics.token": "figures",
    }
    with ServerProcess(tmp_path, settings) as process:
        async with Rest(process.start()) as rest:
            await walk_through_all(rest)
    told: dict[str, list[dict[str, Any]]] = {}
    for line in trail(process):
        assert line.pop("level") == "info"
        assert NEW.fullmatch(line.pop("request_id", "0" * 16))
        told.setdefault(line.pop("message"), []).append(line)
    rows = {row[0]: set(row[1].split(", ")) for row in table(section(OPERATIONS, "The audit trail"))}
    assert told.pop("user_disabled")
    # A token that comes back too late takes a clock: tests/actions/test_rotation.py.
    assert told.keys() | {"token_reused"} == rows.keys()
    for event, lines in told.items():
        assert {frozenset(line) - {"time", "logger"} for line in lines} == {frozenset(rows[event])}, event
        assert all(line["address"] == "127.0.0.1" for line in lines if "address" in line)
    assert {line["user_id"] for line in told["login_failed"]} == {2, None}
    assert {line["user_id"] for line in told["admin_refused"]} == {2, None}
    assert {len(line["user_agent"]) for line in told["login"]} >= {256}
    assert "somebody's password" not in process.output()


async def walk_through_all(rest: Rest) -> None:
    """Do, or try, all that the trail tells of."""
    admin = await rest.register("admin")
    ann = await rest.register("ann")
    long = {"User-Agent": "x" * 1000}
    await rest.request(
        "POST", "/auth/login", json={"email": ann.email, "password": ann.password}, headers=long
    )
    for _ in range(4):
        await rest.post("/auth/login", {"email": ann.email, "password": "somebody's guess"})
    await rest.post("/auth/login", {"email": "somebody's password", "password": "x"})
    bob = await rest.register("bob")
    await rest.patch("/users/me", {"email": "bobby@example.org", "current_password": bob.password}, bob)
    changed = {"current_password": "no", "new_password": bob.password}
    refused(await rest.post("/auth/password", changed, bob), 403, "invalid_credentials")
    await rest.post("/auth/password", changed | {"current_password": bob.password}, bob)
    await rest.get("/admin/invites", ann)
    await rest.get("/admin/invites")
    await rest.http.get(rest.server.base_url + "/metrics", headers=ann.headers)
    socket = await open_socket(ann)
    for _ in range(BAD_FRAMES):
        await socket.send({"type": "read"})
    assert await socket.closed() == 1008
    with await RawSocket.open(rest.server.base_url) as raw:
        await raw.send(upgrade_bytes("/ws", {"Origin": "http://evil.example"}))
        assert (await raw.answer()).status == 403
    again = await rest.login(await rest.register("cid"))
    [_, first] = (await rest.get("/auth/sessions", again)).json()
    await rest.delete(f"/auth/sessions/{first['id']}", again)
    await rest.post("/auth/logout", by=again)
    await rest.patch(f"/admin/users/{again.id}", {"disabled": True}, admin)
    refused(
        await rest.post("/auth/login", {"email": again.email, "password": again.password}), 403, "forbidden"
    )
