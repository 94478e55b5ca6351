"""Sockets that are opened with tickets (docs/protocol.md section 6)."""

import asyncio

from tests.hub.conftest import MakeHouse
from tests.support.hub import House
from tests.support.rest import Person


def ticket(house: House, person: Person) -> str:
    """One for the person's session."""
    actor = house.actor(person)
    return house.rules.tickets.issue(actor.user_id, actor.session_id)


async def upgrade(house: House, token: str) -> int:
    """The status that answers an upgrade with this in its URL."""
    return (await (await house.dial()).upgrade(f"/ws?token={token}")).status


async def test_a_ticket_opens_one_socket_of_its_session(house: House) -> None:
    ann = await house.person()
    token = ticket(house, ann)
    socket = await house.connect(ann, token=token)
    assert socket.hello["user_id"] == ann.id
    assert await upgrade(house, token) == 401
    await house.logout(ann)
    assert await socket.closed() == 4501


async def test_a_ticket_that_has_expired_opens_nothing(make_house: MakeHouse) -> None:
    now = [1_800_000_000_000]
    house = await make_house(clock=lambda: now[0])
    ann = await house.person()
    token = ticket(house, ann)
    now[0] += 30_000
    assert await upgrade(house, token) == 401


async def test_a_ticket_of_a_session_that_has_ended_opens_nothing(house: House) -> None:
    ann = await house.person()
    token = ticket(house, ann)
    await house.logout(ann)
    assert await upgrade(house, token) == 401


async def test_a_session_that_ends_while_its_ticket_is_redeemed_gets_no_socket(house: House) -> None:
    ann = await house.person()
    token = ticket(house, ann)
    async with house.held():
        ending = asyncio.ensure_future(house.logout(ann))
        await asyncio.sleep(0)
        opening = asyncio.ensure_future(upgrade(house, token))
        await house.until(lambda: house.hub.admission.under_way)
    await ending
    assert await opening == 401


async def test_of_two_sockets_with_one_ticket_one_opens(house: House) -> None:
    token = ticket(house, await house.person())
    statuses = await asyncio.gather(upgrade(house, token), upgrade(house, token))
    assert sorted(statuses) == [101, 401]
