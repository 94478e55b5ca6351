"""A crowd that comes at once is let in some at a time, in its order, and whole (docs/protocol.md section 6)."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actions import sessions
from actions.actor import Actor
from hub import handshake
from hub.admission import AT_ONCE
from protocol.errors import Refused
from protocol.events import SocketAdmitted
from storage import Transaction
from tests.hub.conftest import MakeHouse
from tests.support.hub import House
from tests.support.raw import RawSocket
from tests.support.rest import Person

BEHIND = 3
"""So many more come than are under way at once."""


@contextlib.asynccontextmanager
async def crowd(house: House, people: list[Person]) -> AsyncIterator[list[RawSocket]]:
    """All have asked, in this order; within the block nobody is let in."""
    admission = house.hub.admission
    clients = []
    async with house.held():
        for count, person in enumerate(people, 1):
            client = await house.dial()
            await client.send_upgrade(person)
            await house.until(lambda count=count: admission.under_way + len(admission.line) == count)  # type: ignore[misc]
            clients.append(client)
        assert (admission.under_way, len(admission.line)) == (AT_ONCE, BEHIND)
        yield clients
    await house.until(lambda: not admission.under_way and not admission.line)


@pytest.fixture
async def people(house: House) -> list[Person]:
    """As many as come."""
    return [await house.person() for _ in range(AT_ONCE + BEHIND)]


def admitted(house: House) -> list[list[int]]:
    """Who was let in, commit by commit."""
    commits = [
        [fact.user_id for fact in facts if isinstance(fact, SocketAdmitted)] for facts in house.commits
    ]
    return [users for users in commits if users]


async def test_no_commit_lets_in_more_than_some_and_all_get_in_in_their_order(
    house: House, people: list[Person]
) -> None:
    async with crowd(house, people) as clients:
        pass
    ids = [person.id for person in people]
    assert admitted(house) == [ids[:AT_ONCE], ids[AT_ONCE:]]
    for client, person in zip(clients, people, strict=True):
        assert (await client.answer()).status == 101
        assert (await client.text("hello"))["user_id"] == person.id


async def test_who_has_left_the_line_is_not_let_in(house: House, people: list[Person]) -> None:
    async with crowd(house, people) as clients:
        count = len(house.state.connections)
        clients[AT_ONCE].reset()
        clients[AT_ONCE + 1].close()
        await house.until(lambda: len(house.state.connections) == count - 2)
    ids = [person.id for person in people]
    assert admitted(house) == [ids[:AT_ONCE], ids[AT_ONCE + 2 :]]


async def test_who_was_broken_off_in_the_line_is_not_let_in(house: House, people: list[Person]) -> None:
    async with crowd(house, people) as clients:
        for each in list(house.state.connections):
            each.shutdown()
    assert admitted(house) == [[person.id for person in people[:AT_ONCE]]]
    for client in clients:
        await client.broken()


async def test_a_bug_in_one_handshake_breaks_off_that_one_and_the_next_get_in(
    house: House, people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = handshake.accept

    def broken(request: bytes, *more: Any) -> Any:
        if people[AT_ONCE].token.encode() in request:
            raise ZeroDivisionError
        return accept(request, *more)

    async with crowd(house, people) as clients:
        monkeypatch.setattr(handshake, "accept", broken)
    await clients[AT_ONCE].broken()
    ids = [person.id for person in people]
    assert admitted(house) == [ids[:AT_ONCE], ids[AT_ONCE + 1 :]]


async def test_who_stands_in_the_line_as_the_server_stops_is_told_to_come_back(
    house: House, people: list[Person]
) -> None:
    async with crowd(house, people) as clients:
        house.hub.stop_reading()
    for client in clients:
        answer = await client.answer()
        assert (answer.status, answer.problem["code"]) == (503, "unavailable")


async def test_the_line_is_no_longer_than_there_may_be_sockets(make_house: MakeHouse) -> None:
    house = await make_house(sockets=BEHIND)
    people = [await house.person() for _ in range(AT_ONCE + BEHIND)]
    house.hub.require_room = lambda: None  # type: ignore[method-assign]
    async with crowd(house, people):
        client = await house.dial()
        await client.send_upgrade(people[0])
        answer = await client.answer()
        assert (answer.status, answer.problem["code"]) == (503, "unavailable")
        assert "(limits.sockets)" in answer.problem["detail"]


async def test_when_the_store_fails_nobody_in_the_line_waits_for_it_anew(
    house: House, people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fail(tx: Transaction, actor: Actor) -> None:
        asked.append(actor.user_id)
        raise Refused("unavailable")

    monkeypatch.setattr(sessions, "admit", fail)
    async with crowd(house, people) as clients:
        pass
    for client in clients:
        assert (await client.answer()).status == 503
    assert asked == [person.id for person in people[:AT_ONCE]]
