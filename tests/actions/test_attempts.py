"""How often passwords may be tried (docs/protocol.md, Passwords and registrations)."""

import asyncio
import dataclasses

import pytest

from actions import accounts, profile
from actions.actor import Actor
from actions.attempts import Attempts, network_of
from beseda.settings import Auth
from protocol.commands import ChangePassword, Login, Register, UpdateProfile
from protocol.errors import Refused
from tests.actions.test_accounts import Plain
from tests.support.store import House, refusal
from tests.support.timers import FakeTimers

HERE, THERE = "192.0.2.1", "198.51.100.7"
RIGHT = "correct horse"


class Door:
    """Where passwords are tried, under a clock of the test's own and with the default limits."""

    def __init__(self, house: House, settings: Auth) -> None:
        self.store = house.store
        self.timers = FakeTimers()
        self.passwords = Plain()
        attempts = Attempts(
            settings.login_attempts_per_minute,
            settings.address_attempts_per_minute,
            settings.registrations_per_minute,
            self.timers.time,
        )
        self.rules = dataclasses.replace(house.rules, attempts=attempts)

    async def register(self, name: str, address: str = HERE) -> int:
        """A new account, by its id."""
        command = Register(username=name, email=f"{name}@example.org", password=RIGHT)
        return (await accounts.register(self.store, self.rules, self.passwords, command, address))["id"]

    async def login(self, name: str, password: str, address: str = HERE) -> str:
        """The code of what came of it."""
        command = Login(email=f"{name}@example.org", password=password)
        try:
            await accounts.login(
                self.store, self.rules, self.passwords, lambda _: False, command, address, ""
            )
        except Refused as refused:
            return refused.code
        return "in"

    async def logins(self, count: int, name: str, password: str, address: str = HERE) -> list[str]:
        """The same some times, one after the other."""
        return [await self.login(name, password, address) for _ in range(count)]


def door(house: House, **settings: int) -> Door:
    """A door with the defaults, but for `settings`."""
    return Door(house, Auth(**settings))  # type: ignore[arg-type]


async def test_after_ten_wrong_passwords_an_account_waits_and_the_right_one_with_it(house: House) -> None:
    at = door(house)
    await at.register("anna")
    assert await at.logins(11, "anna", "wrong") == ["invalid_credentials"] * 10 + ["rate_limited"]
    assert await at.login("anna", RIGHT) == "rate_limited"
    at.timers.advance(6)
    assert await at.login("anna", RIGHT) == "in"
    assert await at.logins(2, "anna", "wrong") == ["invalid_credentials", "rate_limited"]


async def test_elsewhere_the_account_s_owner_logs_in_as_ever(house: House) -> None:
    at = door(house)
    await at.register("anna")
    await at.logins(20, "anna", "wrong")
    assert await at.login("anna", RIGHT, THERE) == "in"
    assert await at.logins(10, "anna", "wrong", THERE) == ["invalid_credentials"] * 10


async def test_right_passwords_do_not_count(house: House) -> None:
    at = door(house)
    await at.register("anna")
    assert await at.logins(300, "anna", RIGHT) == ["in"] * 300
    assert await at.login("anna", "wrong") == "invalid_credentials"


async def test_an_account_that_is_not_there_is_answered_alike(house: House) -> None:
    at = door(house)
    await at.register("anna")
    assert await at.logins(12, "nobody", "wrong") == await at.logins(12, "anna", "wrong")
    with pytest.raises(Refused) as known:
        command = Login(email="Anna@Example.org", password="wrong")
        await accounts.login(at.store, at.rules, at.passwords, lambda _: False, command, HERE, "")
    with pytest.raises(Refused) as unknown:
        command = Login(email="Nobody@Example.org", password="wrong")
        await accounts.login(at.store, at.rules, at.passwords, lambda _: False, command, HERE, "")
    for refused in (known.value, unknown.value):
        assert (refused.code, refused.retry_after) == ("rate_limited", 6)
        assert refused.detail == "Too many failed logins (auth.login_attempts_per_minute)."


async def test_after_a_hundred_failures_an_address_waits_whatever_it_tries(house: House) -> None:
    at = door(house)
    await at.register("anna")
    for number in range(10):
        assert await at.logins(10, f"nobody{number}", "wrong") == ["invalid_credentials"] * 10
    command = Login(email="anna@example.org", password=RIGHT)
    refused = await refusal(
        accounts.login(at.store, at.rules, at.passwords, lambda _: False, command, HERE, "")
    )
    assert (refused.code, refused.retry_after) == ("rate_limited", 1)
    assert "(auth.address_attempts_per_minute)" in refused.detail
    assert await at.login("anna", RIGHT, THERE) == "in"


async def test_no_password_is_hashed_for_who_has_to_wait(house: House) -> None:
    at = door(house)
    await at.logins(10, "nobody", "wrong")
    before = len(at.passwords.verified)
    assert before == 10
    await at.logins(50, "nobody", "wrong")
    assert len(at.passwords.verified) == before


async def test_many_at_once_are_no_more_than_one_after_the_other(house: House) -> None:
    at = door(house)
    going = asyncio.Event()

    class Slow(Plain):
        async def verify(self, encoded: str | None, password: str) -> bool:
            self.verified.append((encoded, password))
            await going.wait()
            return False

    at.passwords = Slow()
    tries = [asyncio.create_task(at.login("nobody", "wrong")) for _ in range(40)]
    done, _ = await asyncio.wait(tries, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    assert {task.result() for task in done} == {"rate_limited"}
    going.set()
    codes = await asyncio.gather(*tries)
    assert (codes.count("invalid_credentials"), codes.count("rate_limited")) == (10, 30)
    assert len(at.passwords.verified) == 10


async def test_an_attempt_that_the_server_could_not_make_does_not_count(house: House) -> None:
    at = door(house)

    class Busy(Plain):
        async def verify(self, encoded: str | None, password: str) -> bool:
            raise Refused("unavailable", retry_after=2)

    at.passwords = Busy()
    assert await at.logins(30, "nobody", "wrong") == ["unavailable"] * 30
    at.passwords = Plain()
    assert await at.logins(11, "nobody", "wrong") == ["invalid_credentials"] * 10 + ["rate_limited"]


async def test_a_broken_off_attempt_does_not_count(house: House) -> None:
    at = door(house, login_attempts_per_minute=1)
    waiting = asyncio.Event()

    class Endless(Plain):
        async def verify(self, encoded: str | None, password: str) -> bool:
            waiting.set()
            await asyncio.Event().wait()
            return False

    at.passwords = Endless()
    attempt = asyncio.create_task(at.login("nobody", "wrong"))
    await asyncio.wait_for(waiting.wait(), 20)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    at.passwords = Plain()
    assert await at.login("nobody", "wrong") == "invalid_credentials"


async def test_a_wrong_current_password_counts_as_a_failed_login(house: House) -> None:
    at = door(house)
    user_id = await at.register("anna")
    command = Login(email="anna@example.org", password=RIGHT)
    tokens = await accounts.login(at.store, at.rules, at.passwords, lambda _: False, command, HERE, "")
    claims = at.rules.tokens.read(tokens["access_token"], "access")
    anna = Actor(user_id, claims.session_id)
    change = ChangePassword(current_password="wrong", new_password="another one")
    rename = UpdateProfile(email="else@example.org", current_password="wrong")

    async def change_password() -> str:
        attempt = accounts.change_password(at.store, at.rules, at.passwords, anna, change, HERE)
        return (await refusal(attempt)).code

    async def change_email() -> str:
        attempt = profile.update(at.store, at.rules, at.passwords, lambda _: True, anna, rename, HERE)
        return (await refusal(attempt)).code

    assert [await change_password() for _ in range(4)] == ["invalid_credentials"] * 4
    assert [await change_email() for _ in range(4)] == ["invalid_credentials"] * 4
    assert await at.logins(3, "anna", "wrong") == ["invalid_credentials"] * 2 + ["rate_limited"]
    assert await change_password() == await change_email() == "rate_limited"


async def test_after_ten_registrations_an_address_waits(house: House) -> None:
    at = door(house)
    for number in range(10):
        await at.register(f"person{number}")
    refused = await refusal(at.register("last"))
    assert (refused.code, refused.retry_after) == ("rate_limited", 6)
    assert "(auth.registrations_per_minute)" in refused.detail
    assert len(at.passwords.hashed) == 10
    await at.register("last", THERE)
    at.timers.advance(6)
    await at.register("later")


async def test_registrations_that_fail_count_too(house: House) -> None:
    at = door(house)
    await at.register("anna")
    for _ in range(9):
        assert (await refusal(at.register("anna"))).code == "email_taken"
    assert (await refusal(at.register("anna"))).code == "rate_limited"


@pytest.mark.parametrize(
    "setting", ["login_attempts_per_minute", "address_attempts_per_minute", "registrations_per_minute"]
)
async def test_zero_is_no_limit(house: House, setting: str) -> None:
    at = door(house, **{setting: 0})
    if setting == "registrations_per_minute":
        for number in range(30):
            await at.register(f"person{number}")
    elif setting == "login_attempts_per_minute":
        assert await at.logins(101, "nobody", "wrong") == ["invalid_credentials"] * 100 + ["rate_limited"]
    else:
        for number in range(150):
            assert await at.login(f"nobody{number}", "wrong") == "invalid_credentials"


def test_a_network_is_an_address_or_the_half_of_an_ipv6_one() -> None:
    assert network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2:ffff::1")
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")
    assert network_of("") == ""


def test_what_is_refused_for_the_address_counts_for_no_account() -> None:
    timers = FakeTimers()
    attempts = Attempts(logins=1, of_an_address=60, clock=timers.time)
    for number in range(60):
        with pytest.raises(Refused, match="invalid_credentials"), attempts.at_password(number, HERE):
            raise Refused("invalid_credentials")
    with pytest.raises(Refused, match="rate_limited"), attempts.at_password("anna", HERE):
        pass
    timers.advance(1)
    with attempts.at_password("anna", HERE):
        pass
