"""Registering and logging in, with passwords that cost nothing (docs/protocol.md section 1)."""

import asyncio
import dataclasses

import pytest

from actions import accounts, sessions, users
from actions.actor import Actor
from protocol.commands import ChangePassword, Login, Register
from protocol.entities import Registered, TokenPair
from protocol.errors import Refused
from protocol.events import SessionEnded
from tests.support.store import House, refusal

WAIT = 20


class Plain:
    """Passwords that are kept as they are; remembers what was asked of it."""

    def __init__(self) -> None:
        self.hashed: list[str] = []
        self.verified: list[tuple[str | None, str]] = []

    async def hash(self, password: str) -> str:
        """The password, marked."""
        self.hashed.append(password)
        await asyncio.sleep(0)
        return f"hash of {password}"

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether it is the same."""
        self.verified.append((encoded, password))
        return encoded == f"hash of {password}"


async def register(
    house: House, username: str = "Anna", email: str = "anna@example.org", *, passwords: Plain | None = None
) -> Registered:
    """`accounts.register`."""
    command = Register(username=username, email=email, password="correct horse")
    return await accounts.register(house.store, house.rules, passwords or Plain(), command, "192.0.2.1")


async def login(
    house: House,
    email: str = "anna@example.org",
    password: str = "correct horse",
    *,
    user_agent: str = "curl",
    passwords: Plain | None = None,
) -> TokenPair:
    """`accounts.login`."""
    command = Login(email=email, password=password)
    return await accounts.login(
        house.store, house.rules, passwords or Plain(), lambda user_id: True, command, "192.0.2.1", user_agent
    )


async def test_who_registers_can_log_in(house: House) -> None:
    assert await register(house) == {"id": 1, "email": "anna@example.org", "username": "Anna"}
    tokens = await login(house)
    claims = house.rules.tokens.read(tokens["access_token"], "access")
    assert house.rules.tokens.read(tokens["refresh_token"], "refresh").refresh_id
    anna = Actor(claims.user_id, claims.session_id)
    assert tokens["user"] == await house.read(lambda snapshot: users.me(snapshot, anna, lambda user_id: True))
    (session,) = await house.read(lambda snapshot: sessions.listed(snapshot, anna))
    assert (session["address"], session["user_agent"], session["current"]) == ("192.0.2.1", "curl", True)


async def test_the_first_account_alone_is_the_servers_admin(house: House) -> None:
    for name in ("anna", "bruno", "cleo"):
        await register(house, name, f"{name}@example.org")
    admins = await house.read(lambda snapshot: snapshot.rows("SELECT username FROM users WHERE is_admin = 1"))
    assert admins == [("anna",)]


@pytest.mark.parametrize(
    "username, email, code",
    [
        ("bruno", "anna@example.org", "email_taken"),
        ("bruno", "ANNA@Example.ORG", "email_taken"),
        ("bruno", "ａnna@example.org", "email_taken"),
        ("anna", "bruno@example.org", "username_taken"),
        ("ＡＮＮＡ", "bruno@example.org", "username_taken"),
        ("anna", "anna@example.org", "email_taken"),
        ("an", "bruno@example.org", "invalid"),
        ("bruno", "no email", "invalid"),
    ],
)
async def test_what_is_taken_or_invalid_is_refused_before_anything_dear_is_done(
    house: House, username: str, email: str, code: str
) -> None:
    await register(house)
    passwords = Plain()
    assert (await refusal(register(house, username, email, passwords=passwords))).code == code
    assert passwords.hashed == []
    assert await house.read(lambda snapshot: snapshot.value("SELECT count(*) FROM users")) == 1


@pytest.mark.parametrize("same", ["email", "username", "both"])
async def test_a_race_of_equal_registrations_makes_one_account(house: House, same: str) -> None:
    attempts = [
        register(
            house,
            f"anna{number}" if same == "email" else ("ANNA", "anna")[number % 2],
            f"anna{number}@example.org"
            if same == "username"
            else ("anna@example.org", "ANNA@example.org")[number % 2],
        )
        for number in range(20)
    ]
    async with asyncio.timeout(WAIT):
        answers = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(refused) == 19
    assert {answer.code for answer in refused} == {"username_taken" if same == "username" else "email_taken"}
    assert await house.read(lambda snapshot: snapshot.value("SELECT count(*) FROM users")) == 1


async def test_a_closed_server_takes_no_registrations_but_logins(house: House) -> None:
    await register(house)
    house.rules = dataclasses.replace(house.rules, registration="closed")
    assert (await refusal(register(house, "bruno", "bruno@example.org"))).code == "registration_closed"
    assert await login(house)


async def test_a_wrong_email_and_a_wrong_password_are_refused_alike_and_after_the_same_work(
    house: House,
) -> None:
    await register(house)
    passwords = Plain()
    nobody = await refusal(login(house, "nobody@example.org", passwords=passwords))
    wrong = await refusal(login(house, password="wrong horse", passwords=passwords))
    assert (nobody.code, nobody.detail) == (wrong.code, wrong.detail) == ("invalid_credentials", wrong.detail)
    assert passwords.verified == [(None, "correct horse"), ("hash of correct horse", "wrong horse")]
    for email in ("", "no email", "@", "anna@example.org\0", "x" * 1024):
        assert (await refusal(login(house, email))).code == "invalid_credentials"
    assert await house.read(lambda snapshot: snapshot.value("SELECT count(*) FROM sessions")) == 0


@pytest.mark.parametrize(
    "registered, typed",
    [
        ("anna@example.org", "ANNA@EXAMPLE.ORG"),
        ("Anna@Example.org", "anna@example.org"),
        ("anna@xn--bcher-kva.example", "anna@xn--bcher-kva.example"),
        ("anna@xn--bcher-kva.example", "anna@bücher.example"),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("ａnna@example.org", "anna@example.org"),
    ],
)
async def test_an_email_is_known_again_however_it_is_typed(house: House, registered: str, typed: str) -> None:
    await register(house, email=registered)
    assert (await login(house, typed))["user"]["id"] == 1


async def test_each_login_is_a_session_of_its_own(house: House) -> None:
    await register(house)
    pairs = [await login(house, user_agent="x" * 10_000) for _ in range(2)]
    claims = [house.rules.tokens.read(pair["refresh_token"], "refresh") for pair in pairs]
    assert claims[0].session_id != claims[1].session_id
    assert claims[0].refresh_id != claims[1].refresh_id
    stored = await house.read(
        lambda snapshot: snapshot.rows(
            "SELECT jti, length(user_agent) FROM sessions JOIN refresh_tokens ON session_id = id"
        )
    )
    assert sorted(stored) == sorted((claim.refresh_id, 256) for claim in claims)


async def logged_in(house: House, email: str = "anna@example.org", password: str = "correct horse") -> Actor:
    """Who acts in a new session."""
    claims = house.rules.tokens.read((await login(house, email, password))["access_token"], "access")
    return Actor(claims.user_id, claims.session_id)


async def change_password(
    house: House, actor: Actor, current: str, new: str, passwords: Plain | None = None
) -> None:
    """`accounts.change_password`."""
    command = ChangePassword(current_password=current, new_password=new)
    await accounts.change_password(
        house.store, house.rules, passwords or Plain(), actor, command, "192.0.2.1"
    )


async def test_a_new_password_replaces_the_old_one_and_ends_all_other_sessions(house: House) -> None:
    await register(house)
    await register(house, "bruno", "bruno@example.org")
    anna, other, third = [await logged_in(house) for _ in range(3)]
    bruno = await logged_in(house, "bruno@example.org")
    house.news()
    await change_password(house, anna, "correct horse", "battery staple")
    ended = sorted((other, third), key=lambda actor: actor.session_id, reverse=True)
    assert house.news() == [SessionEnded(actor.session_id, anna.user_id) for actor in ended]
    await house.read(lambda snapshot: sessions.require(snapshot, anna))
    await house.read(lambda snapshot: sessions.require(snapshot, bruno))
    assert (await refusal(login(house))).code == "invalid_credentials"
    assert await login(house, password="battery staple")


async def test_a_wrong_current_password_changes_nothing_and_is_forbidden(house: House) -> None:
    await register(house)
    anna, other = await logged_in(house), await logged_in(house)
    passwords = Plain()
    refused = await refusal(change_password(house, anna, "wrong horse", "battery staple", passwords))
    assert (refused.code, refused.status) == ("invalid_credentials", 403)
    assert passwords.hashed == []
    await house.read(lambda snapshot: sessions.require(snapshot, other))
    assert await login(house)


async def test_of_two_changes_at_once_one_succeeds(house: House) -> None:
    await register(house)
    anna = await logged_in(house)
    new = ["battery staple", "staple battery"]
    attempts = [change_password(house, anna, "correct horse", password) for password in new]
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    (refused,) = [answer for answer in answers if isinstance(answer, Refused)]
    assert (refused.code, refused.status) == ("invalid_credentials", 403)
    assert await login(house, password=new[answers.index(None)])


async def test_a_session_that_has_ended_changes_no_password(house: House) -> None:
    await register(house)
    anna = await logged_in(house)

    class Slow(Plain):
        async def hash(self, password: str) -> str:
            """The session ends meanwhile."""
            await house.write(lambda tx: sessions.logout(tx, anna))
            return await super().hash(password)

    changing = change_password(house, anna, "correct horse", "battery staple", Slow())
    assert (await refusal(changing)).code == "unauthorized"
    again = change_password(house, anna, "correct horse", "battery staple")
    assert (await refusal(again)).code == "unauthorized"
    assert await login(house)


async def test_a_login_with_a_password_that_is_changed_meanwhile_makes_no_session(house: House) -> None:
    await register(house)
    anna = await logged_in(house)

    class Slow(Plain):
        async def verify(self, encoded: str | None, password: str) -> bool:
            """The password is changed meanwhile."""
            await change_password(house, anna, "correct horse", "battery staple")
            return await super().verify(encoded, password)

    assert (await refusal(login(house, passwords=Slow()))).code == "invalid_credentials"
    assert len(await house.read(lambda snapshot: sessions.listed(snapshot, anna))) == 1
