"""Who is a contact of whom, as memberships change."""

import random

import pytest

from hub.registry import Changes, Peer, Registry

Pairs = set[tuple[int, int]]


def pairs(changes: dict[Peer[str], set[Peer[str]]]) -> Pairs:
    """Who is to be told of whom: `(of, told)`."""
    return {(other.user_id, peer.user_id) for other, peers in changes.items() for peer in peers}


def both(*of: tuple[int, int]) -> Pairs:
    """Each pair in both directions."""
    return {*of, *((other, one) for one, other in of)}


def contacts(registry: Registry[str], user_id: int) -> set[int]:
    return {peer.user_id for peer in registry.peers[user_id].contacts()}


@pytest.fixture
def registry() -> Registry[str]:
    """Ann (1) and Bob (2) are online, and share 7; Cat (3) is in 8 alone. Four members still live."""
    registry = Registry[str](live_members=4)
    registry.enter(1, [(7, 2)])
    registry.enter(2, [(7, 2)])
    registry.enter(3, [(8, 1)])
    return registry


def test_contacts_are_all_who_share_a_live_room_and_never_oneself(registry: Registry[str]) -> None:
    assert contacts(registry, 1) == {2}
    assert contacts(registry, 2) == {1}
    assert contacts(registry, 3) == set()


def test_who_is_in_the_registry_has_a_place_in_each_of_its_rooms(registry: Registry[str]) -> None:
    assert set(registry.rooms[7].peers) == {1, 2}
    assert registry.peers[1].rooms == registry.peers[2].rooms == [registry.rooms[7]]


def test_who_is_added_to_a_room_twice_has_one_place_there(registry: Registry[str]) -> None:
    registry.change(7, 2, added=[1], removed=[])
    registry.enter(4, [(7, 3), (7, 3)])
    assert registry.peers[1].rooms == registry.peers[4].rooms == [registry.rooms[7]]
    registry.change(7, 1, added=[], removed=[1, 4])
    assert registry.peers[1].rooms == registry.peers[4].rooms == []


def test_a_user_who_leaves_has_no_place_anywhere_and_empty_rooms_are_gone(registry: Registry[str]) -> None:
    registry.leave(registry.peers[3])
    assert 3 not in registry.peers
    assert 8 not in registry.rooms
    registry.leave(registry.peers[1])
    assert set(registry.rooms[7].peers) == {2}
    assert contacts(registry, 2) == set()


def test_those_who_come_to_share_a_room_gain_each_other(registry: Registry[str]) -> None:
    changes = registry.change(7, 3, added=[3], removed=[])
    assert pairs(changes.gained) == both((1, 3), (2, 3))
    assert changes.lost == {}
    assert contacts(registry, 3) == {1, 2}


def test_a_new_room_makes_contacts_of_all_who_are_online(registry: Registry[str]) -> None:
    changes = registry.change(9, 4, added=[1, 2, 3, 99], removed=[])
    assert pairs(changes.gained) == both((1, 3), (2, 3))  # Ann and Bob had each other already
    assert set(registry.rooms[9].peers) == {1, 2, 3}


def test_those_who_share_no_room_any_more_lose_each_other(registry: Registry[str]) -> None:
    registry.change(7, 3, added=[3], removed=[])
    changes = registry.change(7, 2, added=[], removed=[2])
    assert pairs(changes.lost) == both((1, 2), (2, 3))
    assert changes.gained == {}
    assert contacts(registry, 2) == set()
    assert registry.peers[2].rooms == []


def test_those_who_still_share_another_room_lose_nobody(registry: Registry[str]) -> None:
    registry.change(9, 2, added=[1, 2], removed=[])
    changes = registry.change(7, 1, added=[], removed=[2])
    assert changes.lost == {}
    assert contacts(registry, 1) == {2}


def test_a_change_of_no_member_changes_no_contacts(registry: Registry[str]) -> None:
    changes = registry.change(7, 2, added=[], removed=[])
    assert changes.gained == changes.lost == {}


def test_changes_of_users_who_are_offline_touch_nobody(registry: Registry[str]) -> None:
    changes = registry.change(7, 3, added=[99], removed=[])
    assert changes.gained == changes.lost == {}
    changes = registry.change(70, 2, added=[98, 99], removed=[])
    assert changes.gained == changes.lost == {}
    assert 70 not in registry.rooms


def test_a_room_that_grows_too_large_makes_no_contacts_any_more(registry: Registry[str]) -> None:
    registry.change(7, 4, added=[3, 98], removed=[])
    assert contacts(registry, 1) == {2, 3}
    changes = registry.change(7, 5, added=[99], removed=[])
    assert pairs(changes.lost) == both((1, 2), (1, 3), (2, 3))
    assert not registry.rooms[7].is_live
    assert contacts(registry, 1) == set()


def test_a_room_that_shrinks_makes_contacts_again(registry: Registry[str]) -> None:
    registry.change(7, 5, added=[3, 98, 99], removed=[])
    changes = registry.change(7, 4, added=[], removed=[99])
    assert pairs(changes.gained) == both((1, 2), (1, 3), (2, 3))
    assert registry.rooms[7].is_live


def test_one_who_leaves_a_large_room_as_it_shrinks_gains_nobody(registry: Registry[str]) -> None:
    registry.change(7, 5, added=[3, 98, 99], removed=[])
    changes = registry.change(7, 4, added=[], removed=[1])
    assert pairs(changes.gained) == both((2, 3))
    assert changes.lost == {}


def test_one_who_enters_a_large_room_has_no_contacts_there(registry: Registry[str]) -> None:
    changes = registry.change(7, 5, added=[3], removed=[])
    assert pairs(changes.gained) == set()
    registry.enter(4, [(7, 6)])
    assert contacts(registry, 4) == set()
    assert set(registry.rooms[7].peers) == {1, 2, 3, 4}


def test_removing_one_who_is_not_there_harms_nothing(registry: Registry[str]) -> None:
    changes = registry.change(7, 2, added=[], removed=[3])
    assert changes.lost == {}
    assert set(registry.rooms[7].peers) == {1, 2}


def test_a_room_empties_with_its_last_peer(registry: Registry[str]) -> None:
    registry.change(8, 0, added=[], removed=[3])
    assert 8 not in registry.rooms


@pytest.mark.parametrize("seed", range(20))
def test_changes_are_always_the_difference_of_contacts_before_and_after(seed: int) -> None:
    chance = random.Random(seed)
    registry = Registry[str](live_members=3)
    members: dict[int, set[int]] = {conversation: set() for conversation in range(1, 5)}
    told = 0
    for _ in range(200):
        user, conversation = chance.randrange(1, 8), chance.randrange(1, 5)
        if user not in registry.peers:
            mine = [(number, len(who)) for number, who in members.items() if user in who]
            registry.enter(user, mine)
        elif chance.random() < 0.2:
            registry.leave(registry.peers[user])
        before = {one: contacts(registry, one) for one in registry.peers}
        added, removed = ([], [user]) if user in members[conversation] else ([user], [])
        members[conversation] ^= {user}
        changes: Changes[str] = registry.change(conversation, len(members[conversation]), added, removed)
        after = {one: contacts(registry, one) for one in registry.peers}
        for one in registry.peers:
            expected = {
                other
                for who in members.values()
                if one in who and len(who) <= 3
                for other in who & set(registry.peers)
            } - {one}
            assert after[one] == expected
        assert pairs(changes.gained) == {(other, one) for one in after for other in after[one] - before[one]}
        assert pairs(changes.lost) == {(other, one) for one in after for other in before[one] - after[one]}
        told += len(changes.gained) + len(changes.lost)
    assert told > 20
