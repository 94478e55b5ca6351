"""Refresh tokens that replace each other, and what becomes of one that was replaced (docs/protocol.md section 1)."""

import asyncio
import dataclasses
from typing import NamedTuple

import jwt
import pytest

from actions import sessions
from actions.actor import Actor
from protocol.commands import Refresh
from protocol.events import SessionEnded
from tests.support.secrets import overhearing
from tests.support.store import House, refusal

DAY = 86_400


class Login(NamedTuple):
    """Who is logged in, and the login's refresh token."""

    actor: Actor
    token: str


@pytest.fixture
async def login(house: House) -> Login:
    """Anna, a moment ago."""
    anna = await house.person("anna")
    jti = await house.read(lambda snapshot: snapshot.value("SELECT jti FROM refresh_tokens"))
    house.news()
    return Login(anna, house.rules.tokens.issue_refresh(anna.user_id, anna.session_id, jti))


async def rotate(house: House, token: str) -> str:
    """The token that replaces this one; the access token that comes with it is good."""
    answer = await sessions.refresh(house.store, house.rules, Refresh(refresh_token=token, rotate=True))
    house.rules.tokens.read(answer["access_token"], "access")
    return answer["refresh_token"]


async def use(house: House, token: str) -> None:
    """Refresh without rotating."""
    answer = await sessions.refresh(house.store, house.rules, Refresh(refresh_token=token))
    assert set(answer) == {"access_token"}


async def is_over(house: House, login: Login) -> bool:
    """Whether the session has ended; its sockets were told, once."""
    live = await house.read(lambda snapshot: sessions.listed(snapshot, login.actor))
    ended = [fact for fact in house.facts if isinstance(fact, SessionEnded)]
    assert ended == ([] if live else [SessionEnded(login.actor.session_id, login.actor.user_id)])
    return not live


async def kept(house: House) -> int:
    """How many tokens the database keeps."""
    count: int = await house.read(lambda snapshot: snapshot.value("SELECT count(*) FROM refresh_tokens"))
    return count


async def test_who_never_rotates_keeps_one_token_for_all_its_life(house: House, login: Login) -> None:
    for _ in range(5):
        house.clock.advance(5 * DAY)
        await use(house, login.token)
    house.clock.advance(5 * DAY)
    assert (await refusal(use(house, login.token))).code == "unauthorized"
    assert await kept(house) == 1


async def test_the_new_token_lasts_thirty_new_days_and_the_session_with_it(
    house: House, login: Login
) -> None:
    house.clock.advance(29 * DAY)
    second = await rotate(house, login.token)
    claims = jwt.decode(second, options={"verify_signature": False})
    assert claims["iat"] == house.clock.now // 1000
    assert claims["exp"] == claims["iat"] + 30 * DAY
    house.clock.advance(30 * DAY - 1)
    assert not await is_over(house, login)
    await use(house, second)
    house.clock.advance(1)
    assert (await refusal(use(house, second))).code == "unauthorized"
    assert await house.read(lambda snapshot: sessions.listed(snapshot, login.actor)) == []


async def test_a_replaced_token_answers_with_the_same_successor_until_that_was_used(
    house: House, login: Login
) -> None:
    second = await rotate(house, login.token)
    house.clock.advance(DAY)
    # Even if other settings hold by now.
    house.rules = dataclasses.replace(house.rules, refresh_seconds=DAY)
    assert await rotate(house, login.token) == second
    await use(house, login.token)
    await use(house, second)
    house.clock.advance(10)
    assert await rotate(house, login.token) == second
    assert not await is_over(house, login)
    house.clock.advance(0.001)
    assert (await refusal(rotate(house, login.token))).code == "unauthorized"
    assert await is_over(house, login)
    assert (await refusal(use(house, second))).code == "unauthorized"


async def test_the_return_of_a_replaced_token_ends_the_session_without_rotating_too(
    house: House, login: Login
) -> None:
    second = await rotate(house, login.token)
    await use(house, second)
    house.clock.advance(11)
    with overhearing() as heard:
        assert (await refusal(use(house, login.token))).code == "unauthorized"
        assert (await refusal(use(house, login.token))).code == "unauthorized"
    assert await is_over(house, login)
    [told] = [line for line in heard.lines if " audit: " in line]
    user_id, session_id = login.actor.user_id, login.actor.session_id
    assert told.endswith(f'token_reused user_id={user_id} session_id={session_id} address=""'), "once"
    assert await kept(house) == 0


async def test_the_successors_first_use_counts_however_often_it_is_used_later(
    house: House, login: Login
) -> None:
    second = await rotate(house, login.token)
    await use(house, second)
    house.clock.advance(6)
    await use(house, second)
    house.clock.advance(6)
    assert (await refusal(use(house, login.token))).code == "unauthorized"


async def test_a_token_that_was_replaced_twice_still_gets_its_own_successor_for_ten_seconds(
    house: House, login: Login
) -> None:
    second = await rotate(house, login.token)
    third = await rotate(house, second)
    house.clock.advance(10)
    assert await rotate(house, login.token) == second
    # Who gets it goes on from there.
    assert await rotate(house, second) == third
    await use(house, third)
    house.clock.advance(1)
    assert await rotate(house, second) == third
    assert (await refusal(rotate(house, login.token))).code == "unauthorized"
    assert await is_over(house, login)


async def test_rotations_at_once_get_one_successor(house: House, login: Login) -> None:
    tokens = await asyncio.gather(*(rotate(house, login.token) for _ in range(8)))
    assert len(set(tokens)) == 1
    assert tokens[0] != login.token
    assert await kept(house) == 2


async def test_a_session_keeps_few_tokens_however_often_it_rotates(house: House, login: Login) -> None:
    token = login.token
    for _ in range(20):
        house.clock.advance(60)
        token = await rotate(house, token)
        assert await kept(house) <= 3
    await use(house, token)


@pytest.mark.parametrize("generations", [1, 2, 5])
async def test_a_token_that_is_not_known_any_more_ends_the_session_as_well(
    house: House, login: Login, generations: int
) -> None:
    token = login.token
    for _ in range(generations):
        token = await rotate(house, token)
        await use(house, token)
        house.clock.advance(60)
    assert (await refusal(use(house, login.token))).code == "unauthorized"
    assert await is_over(house, login)


async def test_another_login_of_the_same_user_goes_on(house: House, login: Login) -> None:
    other = await house.log_in(login.actor)
    await use(house, await rotate(house, login.token))
    house.clock.advance(11)
    await refusal(use(house, login.token))
    (left,) = await house.read(lambda snapshot: sessions.listed(snapshot, other))
    assert left["id"] == other.session_id
    assert await kept(house) == 1


async def test_what_is_no_genuine_token_of_the_session_ends_nothing(house: House, login: Login) -> None:
    stranger = await house.person()
    tokens, anna = house.rules.tokens, login.actor
    house.news()
    for forged in (
        login.token + "x",
        tokens.issue_access(anna.user_id, anna.session_id),
        tokens.issue_refresh(stranger.user_id, anna.session_id, "jti"),
        tokens.issue_refresh(anna.user_id, 99, "jti"),
    ):
        assert (await refusal(rotate(house, forged))).code == "unauthorized"
    assert not await is_over(house, login)


async def test_a_clock_that_was_stepped_back_ends_nothing(house: House, login: Login) -> None:
    second = await rotate(house, login.token)
    third = await rotate(house, second)
    house.clock.advance(-20)
    assert await rotate(house, second) == third
    assert await rotate(house, login.token) == second
    assert not await is_over(house, login)
