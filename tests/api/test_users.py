"""Users over REST (docs/protocol.md section 2)."""

import pytest

from tests.api.conftest import Cast
from tests.support.fixtures import Connect
from tests.support.rest import Rest, refused, succeeded


async def test_a_new_name_is_answered_and_reaches_contacts_at_once(rest: Rest, connect: Connect) -> None:
    ann, bob = await rest.people("ann", "bob")
    await rest.dialog(ann, bob)
    socket = await connect(bob)
    answer = succeeded(await rest.patch("/users/me", {"username": "Annabel"}, ann))
    assert answer == (await rest.get("/users/me", ann)).json()
    assert answer["username"] == "Annabel"
    told = (await socket.next("user_updated"))["user"]
    assert told == (await rest.get(f"/users/{ann.id}", bob)).json()


async def test_a_new_email_is_what_one_logs_in_with(rest: Rest) -> None:
    ann = await rest.register()
    body = {"email": f"new.{ann.email}"}
    refused(await rest.patch("/users/me", body, ann), 403, "invalid_credentials")
    body["current_password"] = ann.password
    assert succeeded(await rest.patch("/users/me", body, ann))["email"] == body["email"]
    login = {"email": ann.email, "password": ann.password}
    refused(await rest.post("/auth/login", login), 401, "invalid_credentials")
    succeeded(await rest.post("/auth/login", {**login, "email": body["email"]}))


async def test_a_name_or_an_email_that_is_taken_is_a_conflict(rest: Rest) -> None:
    ann, bob = await rest.people("ann", "bob")
    refused(await rest.patch("/users/me", {"username": bob.username.upper()}, ann), 409, "username_taken")
    body = {"email": bob.email, "current_password": ann.password}
    refused(await rest.patch("/users/me", body, ann), 409, "email_taken")
    problem = refused(await rest.patch("/users/me", {"username": 7, "email": []}, ann), 422, "invalid")
    assert {error["field"] for error in problem["errors"]} == {"username", "email"}


async def test_users_are_found_by_their_ids_in_the_order_asked_for(rest: Rest) -> None:
    ann, bob, eve = await rest.people("ann", "bob", "eve")
    await rest.dialog(ann, bob)
    ids = f"{eve.id},999999,{ann.id},{bob.id},{eve.id},{2**53 - 1}"
    answer = (await rest.get("/users", ann, ids=ids)).json()
    assert [user["id"] for user in answer] == [eve.id, ann.id, bob.id]
    assert answer == [(await rest.get(f"/users/{number}", ann)).json() for number in (eve.id, ann.id, bob.id)]
    repeated = await rest.request("GET", f"/users?ids={bob.id}&ids={ann.id},{eve.id}", by=ann)
    assert [user["id"] for user in repeated.json()] == [bob.id, ann.id, eve.id]
    assert (await rest.get("/users", ann, ids="999999")).json() == []
    assert len((await rest.get("/users", ann, ids=",".join(map(str, range(1, 201))))).json()) >= 3


@pytest.mark.parametrize(
    "ids", ["", ",", "1,", "1,,2", "1, 2", "x", "1;2", "-1", "01", str(2**53), "0", ",".join(["1"] * 201)]
)
async def test_ids_that_are_none_or_too_many_are_named(rest: Rest, cast: Cast, ids: str) -> None:
    problem = refused(await rest.get("/users", cast.ann, ids=ids), 422, "invalid")
    assert [error["field"].partition(".")[0] for error in problem["errors"]] == ["ids"]


async def test_one_asks_by_name_or_by_ids(rest: Rest, cast: Cast) -> None:
    problem = refused(await rest.get("/users", cast.ann, ids="1", query="a"), 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["query"]
