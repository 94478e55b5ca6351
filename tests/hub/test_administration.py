"""What sockets see of an admin's doings (docs/protocol.md section 1)."""

from collections.abc import Callable

import pytest

from actions import administration
from storage import Transaction
from tests.support.hub import House

LIVE = 256


@pytest.mark.parametrize(
    "act",
    [
        administration.disable,
        administration.end_sessions,
        lambda tx, user_id: administration.reset_password(tx, user_id, "x"),
        lambda tx, user_id: administration.delete(tx, user_id, live_members=LIVE),
    ],
    ids=["disabled", "sessions ended", "password reset", "deleted"],
)
async def test_all_sockets_of_the_account_close_with_4501_and_no_others(
    house: House, act: Callable[[Transaction, int], object]
) -> None:
    ann, bob = await house.people("ann", "bob")
    again = await house.login(ann)
    closing = [await house.connect(ann), await house.connect(again)]
    other = await house.connect(bob)
    await house.store.write(lambda tx: act(tx, ann.id))
    assert [await socket.closed() for socket in closing] == [4501, 4501]
    await other.settle()
    await house.gone(ann)
    assert house.hub.connected() == (1, 1)


async def test_contacts_hear_of_a_deletion_as_of_a_renaming_and_of_a_leaving(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    await house.dialog(ann, bob)
    group = await house.group(ann, bob)
    socket, watcher = await house.connect(ann), await house.connect(bob)
    await house.store.write(lambda tx: administration.delete(tx, ann.id, live_members=LIVE))
    assert await socket.closed() == 4501
    renamed = await watcher.next("user_updated")
    assert renamed["user"] == {**renamed["user"], "id": ann.id, "username": f"deleted:{ann.id}"}
    updated = await watcher.next("conversation_updated")
    assert updated["event_id"] > renamed["event_id"]
    assert (updated["conversation_id"], updated["conversation"]["members"]) == (group, [bob.id])
    await watcher.next("online_status", where=lambda frame: not frame["online"])
    # And who was away is told the same.
    late = await house.connect(bob, since=renamed["event_id"] - 1, log=watcher.hello["log"])
    assert (await late.next("user_updated"))["user"]["username"] == f"deleted:{ann.id}"
    assert (await late.next("conversation_updated"))["conversation_id"] == group
