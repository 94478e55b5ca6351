"""What pongs of one turn of the loop prove is stored together."""

from typing import Any

import pytest

from actions import members
from hub import proofs
from tests.support.hub import House
from tests.support.rest import Person


async def settled(house: House) -> None:
    """Wait until what was proved is stored."""
    house.hub.proofs.submit()
    await house.store.idle()


async def cursors(house: House, people: list[Person], conversation_id: int) -> list[int]:
    """Each one's delivered cursor."""
    actor = house.actor(people[0])
    listed = await house.store.read(lambda snapshot: members.listed(snapshot, actor, conversation_id))
    found = {member["user_id"]: member["delivered_id"] for member in listed}
    return [found[person.id] for person in people]


@pytest.fixture
def units(house: House, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """All units of work that are submitted from now on."""
    submitted: list[Any] = []
    submit = house.store.submit

    def note(unit: Any, done: Any, by: Any = None) -> None:
        submitted.append(unit)
        submit(unit, done, by)

    monkeypatch.setattr(house.store, "submit", note)
    return submitted


async def test_proofs_of_one_turn_are_one_unit_of_work(house: House, units: list[Any]) -> None:
    people = await house.people("ann", "bob", "cid", "dan")
    group = await house.group(*people)
    message = await house.post(people[0], group, "hello")
    units.clear()
    for person in people[1:]:
        house.hub.proofs.add(house.actor(person), {group: message})
    assert units == []
    await settled(house)
    assert len(units) == 1
    assert await cursors(house, people, group) == [message] * 4
    await settled(house)
    assert len(units) == 1, "nothing was proved since"


async def test_one_unit_takes_so_many_proofs_and_no_more(
    house: House, units: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "MOST_AT_ONCE", 2)
    people = await house.people("ann", "bob", "cid", "dan")
    group = await house.group(*people)
    message = await house.post(people[0], group, "hello")
    units.clear()
    for person in people[1:]:
        house.hub.proofs.add(house.actor(person), {group: message})
    assert len(units) == 1
    await settled(house)
    assert len(units) == 2
    assert await cursors(house, people, group) == [message] * 4


async def test_who_has_logged_out_since_proves_nothing_and_hinders_nobody(house: House) -> None:
    people = await house.people("ann", "bob", "cid")
    group = await house.group(*people)
    message = await house.post(people[0], group, "hello")
    actors = [house.actor(person) for person in people]
    await house.logout(people[1])
    for actor in actors[1:]:
        house.hub.proofs.add(actor, {group: message})
    await settled(house)
    assert await cursors(house, people, group) == [message, 0, message]
