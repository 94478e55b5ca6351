"""What admins do with accounts over REST; `tests/test_authorization.py` has what others find."""

import re
from typing import Any

import pytest
import pytest_asyncio

from tests.support.files import presign, uploaded
from tests.support.fixtures import Connect, StartServer
from tests.support.rest import PASSWORD, Person, Rest, refused, succeeded
from tests.support.server import ServerProcess


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(server: ServerProcess) -> Person:
    """The first to register."""
    async with Rest(server) as rest:
        return await rest.register("admin")


def login(person: Person, password: str = PASSWORD) -> dict[str, str]:
    """The body of a login."""
    return {"email": f"{person.username}@example.org", "password": password}


async def test_an_admin_makes_an_account_that_logs_in(rest: Rest, admin: Person) -> None:
    body = {"email": "Made@example.org", "username": "made", "password": "correct horse"}
    response = await rest.post("/admin/users", body, admin)
    assert response.status_code == 201
    made = response.json()
    assert made == {
        **made,
        "email": "Made@example.org",
        "username": "made",
        "is_admin": False,
        "disabled_at": None,
        "last_seen_at": None,
        "sessions": 0,
    }
    succeeded(await rest.post("/auth/login", {"email": "made@example.org", "password": "correct horse"}))
    assert (await rest.get(f"/admin/users/{made['id']}", admin)).json() == {**made, "sessions": 1}
    refused(await rest.post("/admin/users", body, admin), 409, "email_taken")
    body["email"] = "other@example.org"
    refused(await rest.post("/admin/users", body, admin), 409, "username_taken")
    for name, wrong in (("email", "x"), ("username", "a b"), ("password", "short"), ("is_admin", 1)):
        problem = refused(await rest.post("/admin/users", {**body, name: wrong}, admin), 422, "invalid")
        assert [error["field"] for error in problem["errors"]] == [name]


async def test_accounts_are_looked_for_page_by_page(rest: Rest, admin: Person) -> None:
    found = [await rest.register(f"pager{number}") for number in range(3)]
    ids = [person.id for person in found][::-1]
    query: dict[str, Any] = {"query": "PAGER"}
    assert [one["id"] for one in (await rest.get("/admin/users", admin, **query)).json()] == ids
    page = (await rest.get("/admin/users", admin, **query, limit=2)).json()
    assert [one["id"] for one in page] == ids[:2]
    rest_of_it = (await rest.get("/admin/users", admin, **query, limit=2, before=ids[1])).json()
    assert [one["id"] for one in rest_of_it] == ids[2:]
    for wrong in ({"limit": 0}, {"limit": 201}, {"before": "x"}, {"query": "x" * 321}):
        problem = refused(await rest.get("/admin/users", admin, **wrong), 422, "invalid")
        assert [error["field"] for error in problem["errors"]] == list(wrong)


async def test_a_disabled_user_is_out_at_once_and_in_again_when_enabled(
    rest: Rest, admin: Person, connect: Connect
) -> None:
    user = await rest.register("disabled")
    socket = await connect(user)
    answer = await rest.patch(f"/admin/users/{user.id}", {"disabled": True}, admin)
    assert (answer.status_code, answer.json()["sessions"]) == (200, 0)
    assert answer.json()["disabled_at"] is not None
    assert await socket.closed() == 4501
    refused(await rest.get("/users/me", user), 401, "unauthorized")
    problem = refused(await rest.post("/auth/login", login(user)), 403, "forbidden")
    assert "disabled" in problem["detail"]
    refused(await rest.post("/auth/login", login(user, "wrong password")), 401, "invalid_credentials")
    assert (await rest.get(f"/users/{user.id}", admin)).json()["username"] == user.username
    again = (await rest.patch(f"/admin/users/{user.id}", {"disabled": False}, admin)).json()
    assert again["disabled_at"] is None
    await rest.login(user)


async def test_a_reset_password_is_the_one_that_counts(rest: Rest, admin: Person, connect: Connect) -> None:
    user = await rest.register("forgetful")
    socket = await connect(user)
    succeeded(await rest.patch(f"/admin/users/{user.id}", {"password": "battery staple"}, admin))
    assert await socket.closed() == 4501
    refused(await rest.post("/auth/login", login(user)), 401, "invalid_credentials")
    succeeded(await rest.post("/auth/login", login(user, "battery staple")))
    refused(await rest.patch(f"/admin/users/{user.id}", {"password": "short"}, admin), 422, "invalid")


async def test_sessions_are_seen_and_ended(rest: Rest, admin: Person) -> None:
    user = await rest.register("roamer")
    again = await rest.login(user)
    path = f"/admin/users/{user.id}/sessions"
    newest, oldest = (await rest.get(path, admin)).json()
    own = (await rest.get("/auth/sessions", user)).json()
    assert [{**session, "current": False} for session in (newest, oldest)] == [
        {**session, "current": False} for session in own
    ]
    assert "current" not in newest
    assert (await rest.delete(f"{path}/{newest['id']}", admin)).status_code == 204
    refused(await rest.get("/users/me", again), 401, "unauthorized")
    assert (await rest.get("/users/me", user)).is_success
    refused(await rest.delete(f"{path}/{newest['id']}", admin), 404, "not_found")
    (of_admin,) = (await rest.get(f"/admin/users/{admin.id}/sessions", admin)).json()
    refused(await rest.delete(f"{path}/{of_admin['id']}", admin), 404, "not_found")
    assert (await rest.delete(path, admin)).status_code == 204
    refused(await rest.get("/users/me", user), 401, "unauthorized")
    assert (await rest.get(path, admin)).json() == []


async def test_a_deleted_user_is_gone_for_good_and_its_messages_are_not(
    rest: Rest, server: ServerProcess, admin: Person, connect: Connect
) -> None:
    user, other = await rest.people("leaving", "staying")
    dialog, group = await rest.dialog(user, other), await rest.group(user, other)
    sent = await rest.send(user, dialog, "so long", attachments=[await uploaded(rest, user)])
    await uploaded(rest, user)
    await presign(rest, user)
    files = server.data_dir / "attachments"
    before = len([path for path in files.rglob("*") if path.is_file()])
    socket = await connect(user)
    assert (await rest.delete(f"/admin/users/{user.id}", admin)).status_code == 204
    assert await socket.closed() == 4501
    assert len([path for path in files.rglob("*") if path.is_file()]) == before - 1
    refused(await rest.post("/auth/login", login(user)), 401, "invalid_credentials")
    for method, path in (
        ("GET", f"/admin/users/{user.id}"),
        ("PATCH", f"/admin/users/{user.id}"),
        ("DELETE", f"/admin/users/{user.id}"),
        ("GET", f"/admin/users/{user.id}/sessions"),
        ("DELETE", f"/admin/users/{user.id}/sessions"),
    ):
        body = {"disabled": False} if method == "PATCH" else None
        refused(await rest.request(method, path, by=admin, json=body), 404, "not_found")
    assert (await rest.history(other, dialog))[0]["id"] == sent["id"]
    assert (await rest.get(f"/users/{user.id}", other)).json()["username"] == f"deleted:{user.id}"
    (left,) = (await rest.get(f"/chats/{group}/members", other)).json()
    assert (left["user_id"], left["role"]) == (other.id, "owner")
    refused(await rest.post(f"/chats/{group}/members", {"members": [user.id]}, other), 422, "invalid")
    assert (await rest.register("leaving")).id != user.id


async def test_one_admin_always_stays(start_server: StartServer) -> None:
    async with Rest(start_server()) as rest:
        admin, other = await rest.register("admin"), await rest.register("other")
        own, others = f"/admin/users/{admin.id}", f"/admin/users/{other.id}"
        attempts: list[tuple[str, Any]] = [
            ("PATCH", {"disabled": True}),
            ("PATCH", {"is_admin": False}),
            ("PATCH", {"password": "battery staple", "is_admin": False}),
            ("DELETE", None),
        ]
        for method, body in attempts:
            refused(await rest.request(method, own, by=admin, json=body), 409, "last_admin")
        # An admin who can't log in does not count.
        succeeded(await rest.patch(others, {"is_admin": True, "disabled": True}, admin))
        refused(await rest.delete(own, admin), 409, "last_admin")
        assert (await rest.get(own, admin)).json()["sessions"] == 1  # nothing was done by halves
        succeeded(await rest.patch(others, {"disabled": False}, admin))
        other = await rest.login(other)
        succeeded(await rest.patch(own, {"is_admin": False}, admin))
        refused(await rest.get("/admin/stats", admin), 404, "not_found")
        refused(await rest.delete(others, other), 409, "last_admin")
        assert (await rest.delete(own, other)).status_code == 204


async def test_the_statistics_say_what_there_is_and_who_is_connected(
    rest: Rest, admin: Person, connect: Connect
) -> None:
    before = (await rest.get("/admin/stats", admin)).json()
    user = await rest.register("counted")
    await rest.send(user, await rest.dialog(admin, user), "hello")
    await connect(user)
    after = (await rest.get("/admin/stats", admin)).json()
    more = {name: after[name] - before[name] for name in ("users", "sessions", "dialogs", "messages")}
    assert more == {"users": 1, "sessions": 1, "dialogs": 1, "messages": 1}
    assert min(after["connections"], after["online"]) >= 1


async def test_what_admins_do_stands_in_the_audit_trail_and_what_is_refused_does_not(
    rest: Rest, server: ServerProcess, admin: Person
) -> None:
    secret, email = "correct horse battery staple", "watched@example.org"
    body = {"email": email, "username": "watched", "password": secret}
    before = len(server.output())
    user_id = succeeded(await rest.post("/admin/users", body, admin))["id"]
    path = f"/admin/users/{user_id}"
    change = {"password": secret, "disabled": True, "is_admin": True}
    succeeded(await rest.patch(path, change, admin))
    succeeded(await rest.patch(path, {"disabled": False, "is_admin": False}, admin))
    refused(await rest.post("/admin/users", body, admin), 409, "email_taken")
    refused(await rest.delete(f"/admin/users/{admin.id}", admin), 409, "last_admin")
    token = succeeded(await rest.post("/auth/login", {"email": email, "password": secret}))["access_token"]
    (session,) = (await rest.get(f"{path}/sessions", admin)).json()
    assert (await rest.delete(f"{path}/sessions/{session['id']}", admin)).is_success
    assert (await rest.delete(f"{path}/sessions", admin)).is_success
    assert (await rest.delete(path, admin)).is_success
    invite = succeeded(await rest.post("/admin/invites", {}, admin))
    assert (await rest.delete(f"/admin/invites/{invite['id']}", admin)).is_success

    output = server.output()[before:]
    trail = [
        re.sub(r'request_id="\w+" ', "", line.partition(" audit: ")[2])
        for line in output.splitlines()
        if line.endswith(f" by={admin.id}")
    ]
    assert trail == [
        f"user_added user_id={user_id} is_admin=false by={admin.id}",
        f"password_reset user_id={user_id} by={admin.id}",
        f"user_disabled user_id={user_id} by={admin.id}",
        f"admin_granted user_id={user_id} by={admin.id}",
        f"user_enabled user_id={user_id} by={admin.id}",
        f"admin_revoked user_id={user_id} by={admin.id}",
        f"session_ended user_id={user_id} session_id={session['id']} by={admin.id}",
        f"sessions_ended user_id={user_id} by={admin.id}",
        f"user_deleted user_id={user_id} by={admin.id}",
        f"invite_created invite_id={invite['id']} by={admin.id}",
        f"invite_revoked invite_id={invite['id']} by={admin.id}",
    ]
    for word in (secret, email, token, invite["code"]):
        assert word not in output


@pytest.mark.parametrize("body", [{}, {"password": None, "disabled": None, "is_admin": None}])
async def test_what_is_left_out_stays_as_it_is(rest: Rest, admin: Person, body: Any) -> None:
    before = (await rest.get(f"/admin/users/{admin.id}", admin)).json()
    assert succeeded(await rest.patch(f"/admin/users/{admin.id}", body, admin)) == before
