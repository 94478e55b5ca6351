"""Changing one's own name and email (docs/protocol.md section 2)."""

import asyncio
import dataclasses
from typing import Any

import pytest

from actions import profile, sessions
from actions.actor import Actor
from protocol.commands import UpdateProfile
from protocol.entities import OwnUser
from protocol.errors import Refused
from protocol.events import UserUpdated
from storage import Transaction
from tests.support.store import House, refusal


class Plain:
    """Passwords that cost nothing; those of a house are all `no hash`."""

    def __init__(self) -> None:
        self.verified: list[str] = []

    async def hash(self, password: str) -> str:
        """Never asked for."""
        raise NotImplementedError

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether it is the same."""
        self.verified.append(password)
        return encoded == password


async def update(
    house: House, actor: Actor, *, passwords: Plain | None = None, online: bool = False, **changes: Any
) -> OwnUser:
    """`profile.update`."""
    command = UpdateProfile(**changes)
    return await profile.update(
        house.store, house.rules, passwords or Plain(), lambda user_id: online, actor, command, "192.0.2.1"
    )


async def test_another_username_is_an_event_for_those_in_ones_conversations(house: House) -> None:
    anna, bruno, cleo = [await house.person(name) for name in ("anna", "bruno", "cleo")]
    dialog, group = await house.dialog(anna, bruno), await house.group(cleo, anna, bruno)
    await house.group(bruno, cleo)
    sent = await house.send(bruno, dialog)
    house.news()
    me = await update(house, anna, username="Annie", online=True)
    assert (me["username"], me["email"], me["online"]) == ("Annie", "anna@example.org", True)
    assert house.news() == [
        UserUpdated(
            event_id=sent["id"] + 1,
            user_id=anna.user_id,
            username="Annie",
            last_seen_at=None,
            conversations=(dialog, group),
        )
    ]
    sql = "SELECT id, event_id FROM users WHERE event_id > 0"
    assert await house.read(lambda snapshot: snapshot.rows(sql)) == [(anna.user_id, sent["id"] + 1)]


async def test_large_conversations_do_not_hear_of_it(house: House) -> None:
    anna, bruno, cleo = await house.people(3)
    dialog, _ = await house.dialog(anna, bruno), await house.group(cleo, anna, bruno)
    house.rules = dataclasses.replace(house.rules, live_members=2)
    house.news()
    await update(house, anna, username="Annie")
    (fact,) = house.news()
    assert isinstance(fact, UserUpdated)
    assert fact.conversations == (dialog,)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"username": "anna"},
        {"email": "anna@example.org"},
        {"email": "anna@EXAMPLE.org", "username": "ａnna"},
        {"username": None, "email": None, "current_password": "wrong"},
    ],
)
async def test_nothing_changed_is_no_event_and_needs_no_password(
    house: House, changes: dict[str, Any]
) -> None:
    anna, passwords = await house.person("anna"), Plain()
    house.news()
    me = await update(house, anna, passwords=passwords, **changes)
    assert (me["username"], me["email"]) == ("anna", "anna@example.org")
    assert house.news() == []
    assert passwords.verified == []


async def test_another_email_wants_the_password_and_is_nobody_elses_business(house: House) -> None:
    anna = await house.person("anna")
    house.news()
    for given in (None, "wrong", ""):
        changes: Any = {"email": "annie@example.org", "username": "Annie", "current_password": given}
        refused = await refusal(update(house, anna, **changes))
        assert (refused.code, refused.status) == ("invalid_credentials", 403)
    me = await update(house, anna, email="annie@example.org", current_password="no hash")
    assert (me["username"], me["email"]) == ("anna", "annie@example.org")
    assert house.news() == []
    # The old one is free again.
    bruno = await house.person("bruno")
    await update(house, bruno, email="ANNA@example.org", current_password="no hash")


async def test_the_case_of_ones_own_name_and_email_may_change(house: House) -> None:
    anna = await house.person("anna")
    me = await update(house, anna, username="ANNA", email="Anna@example.org", current_password="no hash")
    assert (me["username"], me["email"]) == ("ANNA", "Anna@example.org")


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"username": "Bruno"}, "username_taken"),
        ({"username": "ＢＲＵＮＯ"}, "username_taken"),
        ({"email": "Bruno@Example.org", "current_password": "no hash"}, "email_taken"),
        ({"email": "bruno@example.org", "current_password": "wrong"}, "invalid_credentials"),
        ({"username": "bruno", "email": "a@example.org", "current_password": "no hash"}, "username_taken"),
        ({"username": "an"}, "invalid"),
        ({"username": ""}, "invalid"),
        ({"email": ""}, "invalid"),
        ({"email": "no email", "current_password": "no hash"}, "invalid"),
    ],
)
async def test_what_is_taken_or_invalid_changes_nothing(
    house: House, changes: dict[str, Any], code: str
) -> None:
    anna, _ = await house.person("anna"), await house.person("bruno")
    house.news()
    assert (await refusal(update(house, anna, **changes))).code == code
    assert house.news() == []
    me = await update(house, anna)
    assert (me["username"], me["email"]) == ("anna", "anna@example.org")


async def test_a_race_for_one_name_has_one_winner(house: House) -> None:
    people = await house.people(5)
    attempts = [update(house, person, username="Annie") for person in people]
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert [answer.code for answer in refused] == ["username_taken"] * 4


async def test_an_email_does_not_change_by_a_password_that_was_changed_meanwhile(house: House) -> None:
    anna = await house.person("anna")

    class Slow(Plain):
        async def verify(self, encoded: str | None, password: str) -> bool:
            """The password is changed meanwhile."""

            def unit(tx: Transaction) -> None:
                tx.execute("UPDATE users SET password = 'another'")

            await house.write(unit)
            return await super().verify(encoded, password)

    attempt = update(house, anna, passwords=Slow(), email="annie@example.org", current_password="no hash")
    assert (await refusal(attempt)).code == "invalid_credentials"
    assert (await update(house, anna))["email"] == "anna@example.org"


async def test_an_ended_session_changes_nothing(house: House) -> None:
    anna = await house.person("anna")
    await house.write(lambda tx: sessions.logout(tx, anna))
    attempts: list[dict[str, Any]] = [
        {"username": "Annie"},
        {"email": "annie@example.org", "current_password": "no hash"},
    ]
    for changes in attempts:
        assert (await refusal(update(house, anna, **changes))).code == "unauthorized"
