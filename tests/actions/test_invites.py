"""Invitations: who makes them, and what they are good for (docs/protocol.md section 1)."""

import asyncio
import dataclasses

import pytest

from actions import accounts, invites, sessions
from actions.actor import Actor
from protocol.commands import CreateInvite, InvitePage, Register
from protocol.entities import Invite, NewInvite, Registered
from protocol.errors import Refused
from storage import Transaction
from tests.support.store import House, refusal


class Plain:
    """Passwords that cost nothing."""

    async def hash(self, password: str) -> str:
        """The password itself, a moment later."""
        await asyncio.sleep(0)
        return password

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Never asked for."""
        raise NotImplementedError


@pytest.fixture
async def admin(house: House) -> Actor:
    """The admin of a server that takes registrations by invitation."""
    anna = await house.person("anna")

    def unit(tx: Transaction) -> None:
        tx.execute("UPDATE users SET is_admin = 1")

    await house.write(unit)
    house.rules = dataclasses.replace(house.rules, registration="invite")
    return anna


async def invite(house: House, admin: Actor, uses: int = 1, expires_in: int | None = None) -> NewInvite:
    """`invites.create`."""
    return await invites.create(house.store, admin, CreateInvite(uses=uses, expires_in=expires_in))


async def listed(house: House, page: InvitePage | None = None) -> list[Invite]:
    """`invites.listed`."""
    return await house.read(lambda snapshot: invites.listed(snapshot, page or InvitePage()))


async def register(house: House, name: str, code: str | None) -> Registered:
    """`accounts.register`."""
    command = Register(email=f"{name}@example.org", username=name, password="password", invite=code)
    return await accounts.register(house.store, house.rules, Plain(), command, "192.0.2.1")


async def refused(house: House, code: str | None) -> None:
    """A registration must be refused for want of an invitation, in the words in which all are."""
    error = await refusal(register(house, "zoe", code))
    assert (error.code, error.status) == ("invite_required", 403)
    assert error.detail == "Registering here takes the code of an invitation that is still good."


async def test_an_invitation_is_good_for_its_uses(house: House, admin: Actor) -> None:
    made = await invite(house, admin, uses=2)
    assert made == {
        "id": 1,
        "code": made["code"],
        "uses_left": 2,
        "expires_at": None,
        "created_at": "2026-09-21T14:13:20.000Z",
        "created_by": admin.user_id,
    }
    await register(house, "bruno", made["code"])
    (left,) = await listed(house)
    assert left == {key: value for key, value in {**made, "uses_left": 1}.items() if key != "code"}
    await register(house, "cleo", made["code"])
    assert await listed(house) == []
    await refused(house, made["code"])


@pytest.mark.parametrize("code", [None, "", "wrong", "x" * 128, "ü\0"])
async def test_without_a_good_code_nobody_registers(house: House, admin: Actor, code: str | None) -> None:
    await invite(house, admin)
    await refused(house, code)


async def test_an_expired_and_a_revoked_invitation_are_as_if_they_had_never_been(
    house: House, admin: Actor
) -> None:
    short, revoked = await invite(house, admin, expires_in=60), await invite(house, admin)
    assert short["expires_at"] == "2026-09-21T14:14:20.000Z"
    await house.write(lambda tx: invites.revoke(tx, revoked["id"]))
    await refused(house, revoked["code"])
    house.clock.advance(59)
    assert [one["id"] for one in await listed(house)] == [short["id"]]
    house.clock.advance(1)
    await refused(house, short["code"])
    assert await listed(house) == []
    for invite_id in (short["id"], revoked["id"], 99):
        error = await refusal(house.write(lambda tx, at=invite_id: invites.revoke(tx, at)))  # type: ignore[misc]
        assert error.code == "not_found"


async def test_a_registration_that_fails_spends_no_use(house: House, admin: Actor) -> None:
    made = await invite(house, admin)
    assert (await refusal(register(house, "anna", made["code"]))).code == "email_taken"
    assert (await refusal(register(house, "an", made["code"]))).code == "invalid"
    await register(house, "bruno", made["code"])


async def test_who_has_no_invitation_does_not_learn_what_is_taken(house: House, admin: Actor) -> None:
    assert (await refusal(register(house, "anna", "wrong"))).code == "invite_required"


async def test_of_two_registrations_with_the_last_use_one_succeeds(house: House, admin: Actor) -> None:
    made = await invite(house, admin)
    attempts = [register(house, name, made["code"]) for name in ("bruno", "cleo", "dora")]
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    codes = [answer.code for answer in answers if isinstance(answer, Refused)]
    assert codes == ["invite_required"] * 2
    assert await house.read(lambda snapshot: snapshot.value("SELECT count(*) FROM users")) == 2


async def test_of_two_first_registrations_one_needs_no_invitation(house: House) -> None:
    house.rules = dataclasses.replace(house.rules, registration="invite")
    answers = await asyncio.gather(
        register(house, "anna", None), register(house, "bruno", None), return_exceptions=True
    )
    (error,) = [answer for answer in answers if isinstance(answer, Refused)]
    assert error.code == "invite_required"
    assert await house.read(lambda snapshot: snapshot.rows("SELECT is_admin FROM users")) == [(1,)]


async def test_an_open_server_asks_for_no_invitation_and_spends_none(house: House, admin: Actor) -> None:
    made = await invite(house, admin)
    house.rules = dataclasses.replace(house.rules, registration="open")
    await register(house, "bruno", made["code"])
    await register(house, "cleo", "wrong")
    assert [one["uses_left"] for one in await listed(house)] == [1]


async def test_invitations_are_listed_newest_first_page_by_page(house: House, admin: Actor) -> None:
    ids = [(await invite(house, admin))["id"] for _ in range(3)]
    assert [one["id"] for one in await listed(house)] == ids[::-1]
    assert [one["id"] for one in await listed(house, InvitePage(limit=2))] == [ids[2], ids[1]]
    assert [one["id"] for one in await listed(house, InvitePage(before=ids[1]))] == [ids[0]]


async def test_the_database_holds_no_code(house: House, admin: Actor) -> None:
    made = await invite(house, admin)
    stored = await house.read(lambda snapshot: repr(snapshot.rows("SELECT * FROM invites")))
    assert len(made["code"]) > 20
    assert made["code"] not in stored


async def test_only_an_admin_in_a_session_that_goes_on_is_one(house: House, admin: Actor) -> None:
    bruno = await house.person("bruno")
    for actor in (bruno, Actor(admin.user_id, bruno.session_id), Actor(99, 99)):
        assert (await refusal(invite(house, actor))).code == "not_found"
    await invite(house, admin)
    await house.write(lambda tx: sessions.logout(tx, admin))
    assert (await refusal(invite(house, admin))).code == "not_found"
    assert len(await listed(house)) == 1


async def test_the_id_of_a_revoked_invitation_is_never_given_again(house: House, admin: Actor) -> None:
    first = await invite(house, admin)
    await house.write(lambda tx: invites.revoke(tx, first["id"]))
    assert (await invite(house, admin))["id"] > first["id"]
