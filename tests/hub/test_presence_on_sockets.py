"""Who is told that someone is there (docs/protocol.md section 6, Presence)."""

import re
from typing import Any

from actions import users
from tests.hub.conftest import MakeHouse
from tests.support.hub import House
from tests.support.rest import Person
from tests.support.socket import Socket

MOMENT = 1_800_000_000_123


def online(person: Person) -> dict[str, Any]:
    return {"type": "online_status", "user_id": person.id, "online": True}


async def statuses(socket: Socket) -> list[dict[str, Any]]:
    """All `online_status` that have come and were not taken yet."""
    await socket.settle()
    return socket.take("online_status")


async def test_contacts_hear_of_the_first_socket_and_of_the_last_ones_end_after_the_linger(
    make_house: MakeHouse,
) -> None:
    house = await make_house(clock=lambda: MOMENT, linger_seconds=0.1)
    ann, bob = await house.people("ann", "bob")
    await house.dialog(ann, bob)
    witness = await house.connect(bob)
    first, second = await house.connect(ann), await house.connect(ann)
    assert await statuses(witness) == [online(ann)]
    await first.close()
    await house.until(lambda: len(house.hub._registry.peers[ann.id].connections) == 1)
    assert await statuses(witness) == []
    before = house.hub.timers.time()
    await second.close()
    offline = await witness.next("online_status")
    assert house.hub.timers.time() - before >= 0.1
    assert offline == {
        "type": "online_status",
        "user_id": ann.id,
        "online": False,
        "last_seen_at": "2027-01-15T08:00:00.123Z",
    }
    assert not house.hub.online(ann.id)


async def test_when_a_user_was_last_seen_is_kept(house: House) -> None:
    ann = await house.person()
    async with await house.connect(ann):
        me = await house.store.read(lambda snapshot: users.own(snapshot, ann.id, online=True))
        assert me["last_seen_at"] is None
    await house.gone(ann)
    await house.store.idle()
    me = await house.store.read(lambda snapshot: users.own(snapshot, ann.id, online=False))
    assert me["last_seen_at"] is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", me["last_seen_at"])


async def test_a_reconnect_within_the_linger_is_told_to_nobody(make_house: MakeHouse) -> None:
    house = await make_house(linger_seconds=30)
    ann, bob = await house.people("ann", "bob")
    await house.dialog(ann, bob)
    witness = await house.connect(bob)
    for _ in range(3):
        async with await house.connect(ann):
            pass
        await house.until(lambda: not house.hub._registry.peers[ann.id].connections)
        assert house.hub.online(ann.id)
    await house.connect(ann)
    assert await statuses(witness) == [online(ann)]


async def test_who_lingers_is_online_to_those_who_come_meanwhile(make_house: MakeHouse) -> None:
    house = await make_house(linger_seconds=30)
    ann, bob = await house.people("ann", "bob")
    await house.dialog(ann, bob)
    async with await house.connect(ann):
        pass
    assert await statuses(await house.connect(bob)) == [online(ann)]


async def test_strangers_hear_nothing(house: House) -> None:
    ann, bob, eve = await house.people("ann", "bob", "eve")
    await house.dialog(ann, bob)
    stranger = await house.connect(eve)
    async with await house.connect(ann):
        pass
    await house.gone(ann)
    assert await statuses(stranger) == []


async def test_nobody_hears_of_oneself(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    await house.dialog(ann, bob)
    first, second = await house.connect(ann), await house.connect(ann)
    assert await statuses(first) == await statuses(second) == []


async def test_two_who_become_contacts_hear_of_each_other_at_once(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    one, other, third = await house.connect(ann), await house.connect(bob), await house.connect(cat)
    await house.dialog(ann, bob)
    assert await statuses(one) == [online(bob)]
    assert await statuses(other) == [online(ann)]
    group = await house.group(ann)
    await house.add(ann, group, cat)
    assert await statuses(third) == [online(ann)]
    assert await statuses(one) == [online(cat)]
    assert await statuses(other) == []


async def test_those_who_were_contacts_already_hear_nothing_new(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    await house.dialog(ann, bob)
    one, other = await house.connect(ann), await house.connect(bob)
    assert await statuses(one) == [online(bob)]
    assert await statuses(other) == [online(ann)]
    group = await house.group(ann, bob)
    await house.remove(ann, group, bob)
    assert await statuses(one) == await statuses(other) == []


async def test_who_ceases_to_be_a_contact_is_told_as_offline_to_both(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    one, other, third = await house.connect(ann), await house.connect(bob), await house.connect(cat)
    for socket in (one, other, third):
        await statuses(socket)
    await house.remove(ann, group, bob)
    gone = {"type": "online_status", "online": False, "last_seen_at": None}
    assert await statuses(one) == [{**gone, "user_id": bob.id}]
    assert await statuses(third) == [{**gone, "user_id": bob.id}]
    assert sorted(frame["user_id"] for frame in await statuses(other)) == [ann.id, cat.id]
    await other.close()
    await house.gone(bob)
    assert await statuses(one) == []


async def test_large_conversations_make_no_contacts(make_house: MakeHouse) -> None:
    house = await make_house(live_members=2)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    one, other = await house.connect(ann), await house.connect(bob)
    assert await statuses(one) == await statuses(other) == []
    await house.remove(ann, group, cat)  # and then it is small enough
    assert await statuses(one) == [online(bob)]
    await house.add(ann, group, cat)
    assert [frame["online"] for frame in await statuses(other)] == [True, False]


async def test_the_linger_goes_on_counting_for_each_user_alone(house: House) -> None:
    people = await house.people("ann", "bob", "cat")
    await house.group(*people)
    witness = await house.connect(people[0])
    for person in people[1:]:
        async with await house.connect(person):
            pass
    gone = {
        (await witness.next("online_status", where=lambda frame: not frame["online"]))["user_id"]
        for _ in "bc"
    }
    assert gone == {person.id for person in people[1:]}


async def test_all_sockets_of_two_who_become_and_cease_to_be_contacts_are_told_once(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    sockets = {person.id: [await house.connect(person), await house.connect(person)] for person in (ann, bob)}
    gone = {"type": "online_status", "online": False, "last_seen_at": None}
    group = await house.group(ann, bob)
    await house.group(ann, bob)  # a second one makes no more of contacts
    for one, other in ((ann, bob), (bob, ann)):
        for socket in sockets[one.id]:
            assert await statuses(socket) == [online(other)]
    for last in (False, True):
        await house.remove(bob, group if last else group + 1, bob)
        for one, other in ((ann, bob), (bob, ann)):
            for socket in sockets[one.id]:
                assert await statuses(socket) == ([{**gone, "user_id": other.id}] if last else [])


async def test_who_lingers_is_a_contact_gained_and_lost_as_one_who_is_there(make_house: MakeHouse) -> None:
    house = await make_house(linger_seconds=30)
    ann, bob = await house.people("ann", "bob")
    witness = await house.connect(bob)
    async with await house.connect(ann):
        pass
    await house.until(lambda: not house.hub._registry.peers[ann.id].connections)
    group = await house.group(ann, bob)
    assert await statuses(witness) == [online(ann)]
    await house.remove(bob, group, bob)
    assert [frame["online"] for frame in await statuses(witness)] == [False]


async def test_a_group_that_grows_too_large_takes_no_contact_from_those_who_share_another_one(
    make_house: MakeHouse,
) -> None:
    house = await make_house(live_members=3)
    ann, bob, cat, dan = await house.people("ann", "bob", "cat", "dan")
    group = await house.group(ann, bob, cat)
    await house.dialog(ann, bob)
    one, other, third, new = [await house.connect(person) for person in (ann, bob, cat, dan)]
    for socket in (one, other, third):
        assert {frame["online"] for frame in await statuses(socket)} == {True}
    for change, is_large in ((house.add, True), (house.remove, False)):
        await change(ann, group, dan)
        for socket, lost in ((one, [cat]), (other, [cat]), (third, [ann, bob]), (new, [])):
            told = await statuses(socket)
            assert {frame["user_id"] for frame in told} == {person.id for person in lost}
            assert len(told) == len(lost)
            assert all(frame["online"] is not is_large for frame in told)
