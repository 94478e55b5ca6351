"""Typing as the other members see it (docs/protocol.md section 6, Typing). The pace itself is tested with a clock."""

import pytest

import hub.typing
from tests.hub.conftest import MakeHouse
from tests.support.hub import House

SOON = 20.0
"""Sooner than typing would expire."""


@pytest.fixture(autouse=True)
def typing_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine, too, what ends typing is what the test is about."""
    monkeypatch.setattr(hub.typing, "EXPIRY_SECONDS", 60.0)


async def test_the_other_members_see_typing_and_its_stop_and_the_typist_does_not(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    typist, own = await house.connect(ann), await house.connect(ann)
    others = [await house.connect(bob), await house.connect(bob), await house.connect(cat)]
    await typist.send({"type": "typing_start", "conversation_id": group})
    for socket in others:
        typing = await socket.next("typing")
        assert typing == {"type": "typing", "conversation_id": group, "user_id": ann.id}
    await typist.send({"type": "typing_stop", "conversation_id": group})
    for socket in others:
        stop = await socket.next("typing_stop", timeout=SOON)
        assert stop == {"type": "typing_stop", "conversation_id": group, "user_id": ann.id}
    for socket in (typist, own):
        await socket.settle()
        assert not {"typing", "typing_stop", "error"} & {frame["type"] for frame in socket.received}


async def test_starts_within_the_pace_are_told_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.typing, "PACE_SECONDS", 60.0)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    typist, other = await house.connect(ann), await house.connect(bob)
    for _ in range(10):
        await typist.send({"type": "typing_start", "conversation_id": dialog})
    await typist.settle()
    await other.settle()
    assert len(other.take("typing")) == 1


async def test_a_stop_that_no_start_went_before_is_told_to_nobody(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    typist, other = await house.connect(ann), await house.connect(bob)
    await typist.send({"type": "typing_stop", "conversation_id": dialog})
    await typist.settle()
    await other.settle()
    assert other.take("typing_stop") == []


async def test_typing_expires_where_no_start_follows(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.typing, "EXPIRY_SECONDS", 0.1)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    typist, other = await house.connect(ann), await house.connect(bob)
    await typist.send({"type": "typing_start", "conversation_id": dialog})
    await other.next("typing")
    await other.next("typing_stop", timeout=SOON)


async def test_a_message_stops_typing_and_the_stop_comes_before_it(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    typist, other = await house.connect(ann), await house.connect(bob)
    await typist.send({"type": "typing_start", "conversation_id": dialog})
    await typist.say(dialog, "done")
    await other.next("new_message")
    kinds = [frame["type"] for frame in other.received]
    assert kinds[-3:] == ["typing", "typing_stop", "new_message"]


async def test_a_message_sent_over_rest_stops_typing_too(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    typist, other = await house.connect(ann), await house.connect(bob)
    await typist.send({"type": "typing_start", "conversation_id": dialog})
    await other.next("typing")
    await house.post(ann, dialog, "done")
    await other.next("typing_stop", timeout=SOON)


async def test_a_start_that_follows_a_message_at_once_is_not_stopped_by_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.typing, "PACE_SECONDS", 0.0)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    typist, other = await house.raw(ann), await house.connect(bob)
    await typist.send_json(
        {"type": "typing_start", "conversation_id": dialog},
        {"type": "send_message", "temp_id": "1", "conversation_id": dialog, "text": "first"},
        {"type": "typing_start", "conversation_id": dialog},
    )
    await other.next("new_message")
    await other.settle()
    kinds = [frame["type"] for frame in other.received if frame["type"].startswith("typing")]
    assert kinds == ["typing", "typing_stop", "typing"]


async def test_a_disconnect_stops_typing(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    typist, other = await house.raw(ann), await house.connect(bob)
    await house.connect(ann)  # she stays online
    await typist.send_json({"type": "typing_start", "conversation_id": dialog})
    await other.next("typing")
    typist.reset()
    await other.next("typing_stop", timeout=SOON)


async def test_typing_in_a_conversation_one_is_not_in_is_not_found(house: House) -> None:
    ann, bob, eve = await house.people("ann", "bob", "eve")
    dialog = await house.dialog(ann, bob)
    socket, other = await house.connect(eve), await house.connect(bob)
    errors = []
    for conversation_id in (dialog, 999_999):
        for kind in ("typing_start", "typing_stop"):
            await socket.send({"type": kind, "conversation_id": conversation_id})
            error = await socket.next("error")
            assert error.pop("conversation_id") == conversation_id
            errors.append(error)
    assert errors[0]["code"] == "not_found"
    assert all(error == errors[0] for error in errors)
    await other.settle()
    assert [frame["type"] for frame in other.received] == ["hello"]


async def test_a_removed_member_types_no_more(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    typist, other = await house.connect(bob), await house.connect(cat)
    await typist.send({"type": "typing_start", "conversation_id": group})
    await other.next("typing")
    await house.remove(ann, group, bob)
    await other.next("typing_stop", timeout=SOON)
    await typist.send({"type": "typing_start", "conversation_id": group})
    assert (await typist.next("error"))["code"] == "not_found"


async def test_large_conversations_have_no_typing(make_house: MakeHouse) -> None:
    house = await make_house(live_members=2)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    typist, other = await house.connect(ann), await house.connect(bob)
    await typist.send({"type": "typing_start", "conversation_id": group})
    await typist.send({"type": "typing_stop", "conversation_id": group})
    await typist.settle()
    assert typist.take("error") == []
    await other.settle()
    assert [frame["type"] for frame in other.received] == ["hello"]


async def test_typing_stops_where_a_conversation_grows_too_large_for_it(make_house: MakeHouse) -> None:
    house = await make_house(live_members=2)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob)
    typist, other = await house.connect(ann), await house.connect(bob)
    await typist.send({"type": "typing_start", "conversation_id": group})
    await other.next("typing")
    await house.add(ann, group, cat)
    assert (await other.next("typing_stop", timeout=SOON))["user_id"] == ann.id


async def test_a_conversation_that_shrinks_to_the_limit_has_typing_again(make_house: MakeHouse) -> None:
    house = await make_house(live_members=2)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(ann, bob, cat)
    typist, other = await house.connect(ann), await house.connect(bob)
    await typist.send({"type": "typing_start", "conversation_id": group})
    await typist.settle()
    await house.remove(ann, group, cat)
    await other.next("conversation_updated")
    assert other.take("typing") == []
    await typist.send({"type": "typing_start", "conversation_id": group})
    assert (await other.next("typing", timeout=SOON))["user_id"] == ann.id
