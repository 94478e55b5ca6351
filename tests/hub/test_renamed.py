"""A user's new name, told to contacts (docs/protocol.md section 6, The log)."""

from typing import Any

from actions import profile
from protocol.commands import UpdateProfile
from tests.hub.conftest import MakeHouse
from tests.support.hub import House
from tests.support.rest import Person


async def rename(house: House, person: Person, username: str) -> None:
    """As over REST."""
    passwords: Any = None
    actor, command = house.actor(person), UpdateProfile(username=username)
    await profile.update(house.store, house.rules, passwords, house.hub.online, actor, command, "")


async def test_contacts_and_ones_own_sockets_hear_of_a_new_name_and_nobody_else(house: House) -> None:
    ann, bob, cat, eve = await house.people("ann", "bob", "cat", "eve")
    await house.dialog(ann, bob)
    await house.group(cat, ann, bob)
    own, contacts = (
        [await house.connect(ann), await house.connect(ann)],
        [await house.connect(bob), await house.connect(cat)],
    )
    stranger = await house.connect(eve)
    await rename(house, ann, "Annie")
    for socket in (*own, *contacts):
        told = await socket.next("user_updated")
        assert told["user"] == {"id": ann.id, "username": "Annie", "online": True, "last_seen_at": None}
        assert told["event_id"] > socket.hello["event_id"]
        assert set(told) == {"type", "event_id", "user"}
        await socket.settle()
        assert socket.take("user_updated") == [], "once, however many conversations they share"
    await stranger.settle()
    assert stranger.take("user_updated") == []


async def test_who_is_offline_is_renamed_as_offline(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    await house.dialog(ann, bob)
    socket = await house.connect(ann)
    await socket.close()
    await house.gone(ann)
    await house.store.idle()
    contact = await house.connect(bob)
    await rename(house, ann, "Annie")
    user = (await contact.next("user_updated"))["user"]
    assert user["online"] is False
    assert user["last_seen_at"] is not None


async def test_large_conversations_make_no_contacts_here_either(make_house: MakeHouse) -> None:
    house = await make_house(live_members=2)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    await house.group(ann, bob, cat)
    own, other = await house.connect(ann), await house.connect(bob)
    await rename(house, ann, "Annie")
    await own.next("user_updated")
    await other.settle()
    assert other.take("user_updated") == []


async def test_a_new_name_stands_in_its_place_among_the_events(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket = await house.connect(bob)
    await house.post(ann, dialog, "before")
    await rename(house, ann, "Annie")
    await house.post(ann, dialog, "after")
    await socket.next("new_message", where=lambda frame: frame["message"]["text"] == "after")
    events = [frame for frame in socket.received if "event_id" in frame and frame["type"] != "hello"]
    assert [frame["type"] for frame in events] == ["new_message", "user_updated", "new_message"]


async def test_who_has_left_hears_no_more_of_it(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    group = await house.group(ann, bob)
    socket = await house.connect(bob)
    await house.remove(ann, group, bob)
    await rename(house, ann, "Annie")
    await socket.next("conversation_removed")
    await socket.settle()
    assert socket.take("user_updated") == []
