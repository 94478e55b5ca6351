"""Accounts and sessions over REST (docs/protocol.md section 1)."""

import asyncio
from urllib.parse import quote

import pytest

from tests.api.conftest import Cast
from tests.support.fixtures import Connect, StartServer
from tests.support.rest import PASSWORD, Rest, refused, succeeded


async def test_a_registration_answers_with_what_the_contract_names(rest: Rest) -> None:
    body = {"email": "Zoe@Example.org", "username": "Zoë", "password": PASSWORD}
    response = await rest.post("/auth/register", body)
    assert response.status_code == 201
    answer = response.json()
    assert set(answer) == {"id", "email", "username"}
    assert answer["username"] == "Zoë"
    for other in ({"username": "zoe2"}, {"email": "zoe2@example.org"}):
        again = await rest.post("/auth/register", {**body, **other})
        refused(again, 409, "email_taken" if "username" in other else "username_taken")


async def test_a_login_answers_with_tokens_and_the_user_as_it_sees_itself(rest: Rest, cast: Cast) -> None:
    body = {"email": cast.ann.email.upper(), "password": PASSWORD}
    answer = succeeded(await rest.post("/auth/login", body))
    assert set(answer) == {"access_token", "refresh_token", "user"}
    me = succeeded(
        await rest.request("GET", "/users/me", headers={"Authorization": f"Bearer {answer['access_token']}"})
    )
    assert answer["user"] == me
    assert set(me) == {"id", "username", "online", "last_seen_at", "email", "is_admin", "created_at"}


async def test_a_wrong_email_and_a_wrong_password_get_the_same_answer(rest: Rest, cast: Cast) -> None:
    answers = [
        await rest.post("/auth/login", {"email": cast.ann.email, "password": "wrong"}),
        await rest.post("/auth/login", {"email": "nobody@example.org", "password": PASSWORD}),
        await rest.post("/auth/login", {"email": "no email\0", "password": "\0"}),
    ]
    for answer in answers:
        refused(answer, 401, "invalid_credentials")
        assert answer.content == answers[0].content


async def test_a_refresh_gives_an_access_token_as_good_as_the_first(rest: Rest, cast: Cast) -> None:
    answer = succeeded(await rest.post("/auth/refresh", {"refresh_token": cast.bob.refresh_token}))
    assert set(answer) == {"access_token"}
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    assert (await rest.request("GET", "/users/me", headers=headers)).json()["id"] == cast.bob.id


async def test_a_rotation_brings_a_new_refresh_token_and_the_same_to_who_asks_again(rest: Rest) -> None:
    ann = await rest.register()
    body = {"refresh_token": ann.refresh_token, "rotate": True}
    answers = [
        succeeded(answer)
        for answer in await asyncio.gather(*(rest.post("/auth/refresh", body) for _ in range(2)))
    ]
    assert set(answers[0]) == {"access_token", "refresh_token"}
    assert answers[0]["refresh_token"] == answers[1]["refresh_token"] != ann.refresh_token
    again = succeeded(await rest.post("/auth/refresh", {"refresh_token": answers[0]["refresh_token"]}))
    headers = {"Authorization": f"Bearer {again['access_token']}"}
    assert (await rest.request("GET", "/users/me", headers=headers)).json()["id"] == ann.id


async def test_sessions_are_listed_and_ended_one_by_one(rest: Rest, cast: Cast) -> None:
    phone, laptop = await rest.login(cast.eve), await rest.login(cast.eve)
    listed = (await rest.get("/auth/sessions", phone)).json()
    assert len(listed) == 3
    assert set(listed[0]) == {"id", "created_at", "last_used_at", "address", "user_agent", "current"}
    assert [session["current"] for session in listed] == [False, True, False], "newest first"
    assert listed[0]["address"] == "127.0.0.1"
    assert listed[0]["user_agent"].startswith("python-httpx")
    ended = await rest.delete(f"/auth/sessions/{listed[0]['id']}", phone)
    assert (ended.status_code, ended.content) == (204, b"")
    refused(await rest.get("/users/me", laptop), 401, "unauthorized")
    refused(await rest.delete(f"/auth/sessions/{listed[0]['id']}", phone), 404, "not_found")
    assert (await rest.post("/auth/logout", None, phone)).status_code == 204
    assert len((await rest.get("/auth/sessions", cast.eve)).json()) == 1


async def test_a_new_password_closes_the_sockets_of_the_other_sessions(rest: Rest, connect: Connect) -> None:
    ann = await rest.register()
    phone = await rest.login(ann)
    own, other = await connect(ann), await connect(phone)
    body = {"current_password": "wrong horse", "new_password": "battery staple"}
    refused(await rest.post("/auth/password", body, ann), 403, "invalid_credentials")
    answer = await rest.post("/auth/password", {**body, "current_password": ann.password}, ann)
    assert (answer.status_code, answer.content) == (204, b"")
    assert await other.closed() == 4501
    await own.settle()
    refused(await rest.get("/users/me", phone), 401, "unauthorized")
    again = {"email": ann.email, "password": "battery staple"}
    succeeded(await rest.post("/auth/login", again))


@pytest.mark.parametrize("new", ["1234567", "x" * 1025, None, 12345678])
async def test_a_new_password_has_the_bounds_of_the_first_one(rest: Rest, cast: Cast, new: object) -> None:
    body = {"current_password": PASSWORD, "new_password": new}
    problem = refused(await rest.post("/auth/password", body, cast.ann), 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["new_password"]


@pytest.mark.parametrize(
    ("proxies", "address"),
    [(["127.0.0.1"], "198.51.100.7"), ([], "127.0.0.1"), (["10.0.0.0/8"], "127.0.0.1")],
)
async def test_a_session_has_the_address_that_a_trusted_proxy_tells(
    start_server: StartServer, proxies: list[str], address: str
) -> None:
    process = start_server({"server.trusted_proxies": proxies})
    async with Rest(process) as rest:
        ann = await rest.register()
        headers = {"X-Forwarded-For": "203.0.113.1, 198.51.100.7", "User-Agent": "x" * 1000}
        body = {"email": ann.email, "password": ann.password}
        succeeded(await rest.request("POST", "/auth/login", json=body, headers=headers))
        newest = (await rest.get("/auth/sessions", ann)).json()[0]
    assert newest["address"] == address
    assert newest["user_agent"] == "x" * 256


@pytest.mark.genuine
async def test_a_crowd_that_logs_in_is_told_to_come_back_rather_than_to_wait(
    start_server: StartServer,
) -> None:
    process = start_server({"auth.hash_concurrency": 1})
    async with Rest(process) as rest:
        body = {"email": "nobody@example.org", "password": PASSWORD}
        # The last of those who wait has more than thirty hashes before it, on a machine that may be slow.
        answers = await asyncio.gather(
            *(rest.request("POST", "/auth/login", json=body, timeout=150) for _ in range(100))
        )
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {401, 503}
        assert statuses.count(401) >= 33
        for answer in answers:
            if answer.status_code == 503:
                refused(answer, 503, "unavailable")
                assert int(answer.headers["retry-after"]) >= 1
        refused(await rest.post("/auth/login", body), 401, "invalid_credentials")


async def test_a_closed_server_takes_no_registration(start_server: StartServer) -> None:
    process = start_server({"auth.registration": "closed"})
    async with Rest(process) as rest:
        body = {"email": "zoe@example.org", "username": "zoe", "password": PASSWORD}
        refused(await rest.post("/auth/register", body), 403, "registration_closed")


@pytest.mark.parametrize("password", ["пароль 8", "\U0001f600" * 1024])
async def test_a_password_has_8_to_1024_characters_and_every_one_of_them_counts(
    rest: Rest, password: str
) -> None:
    person = await rest.register("long", password)
    for other in (password[:-1], password[:-1] + "x"):
        answer = await rest.post("/auth/login", {"email": person.email, "password": other})
        refused(answer, 401, "invalid_credentials")


async def test_a_ticket_opens_a_socket_and_no_door_of_rest(rest: Rest, cast: Cast, connect: Connect) -> None:
    response = await rest.post("/auth/ticket", None, cast.eve)
    assert response.status_code == 201
    answer = succeeded(response)
    assert set(answer) == {"ticket", "expires_in"}
    assert answer["expires_in"] == 30
    assert quote(answer["ticket"], safe="") == answer["ticket"], "it stands in a URL as it is"
    refused(await rest.post("/auth/refresh", {"refresh_token": answer["ticket"]}), 401, "unauthorized")
    socket = await connect(cast.eve, token=answer["ticket"])
    assert socket.hello["user_id"] == cast.eve.id
