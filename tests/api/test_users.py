"""Users over REST (docs/protocol.md section 2)."""

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
