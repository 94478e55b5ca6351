"""A socket ends with its session (docs/protocol.md sections 1 and 6, 4501)."""

import asyncio

import pytest

from actions import sessions
from protocol.commands import Refresh
from protocol.errors import Refused
from tests.hub.conftest import MakeHouse
from tests.support.hub import DAY, House
from tests.support.raw import CLOSE, text_bytes

MESSAGE = {"type": "send_message", "temp_id": "t1", "text": "hello"}


async def test_an_ended_session_closes_all_its_sockets_with_4501_and_no_others(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    again = await house.login(ann)
    ended = [await house.connect(ann), await house.connect(ann)]
    others = [await house.connect(again), await house.connect(bob)]
    await house.logout(ann)
    assert [await socket.closed() for socket in ended] == [4501, 4501]
    for socket in others:
        await socket.settle()


async def test_ending_a_session_from_another_closes_its_sockets(house: House) -> None:
    ann = await house.person()
    again = await house.login(ann)
    ended, other = await house.connect(ann), await house.connect(again)
    actor, session_id = house.actor(again), house.actor(ann).session_id
    await house.store.write(lambda tx: sessions.end(tx, actor, session_id))
    assert await ended.closed() == 4501
    await other.settle()


async def test_the_return_of_a_replaced_refresh_token_closes_the_sessions_sockets(
    make_house: MakeHouse,
) -> None:
    now = [1_800_000_000_000]
    house = await make_house(clock=lambda: now[0])
    ann = await house.person()
    again = await house.login(ann)
    ended, other = await house.connect(ann), await house.connect(again)
    first = house.rules.tokens.issue_refresh(ann.id, house.actor(ann).session_id, "")
    store, rules = house.store, house.rules
    second = (await sessions.refresh(store, rules, Refresh(refresh_token=first, rotate=True)))[
        "refresh_token"
    ]
    await sessions.refresh(store, rules, Refresh(refresh_token=second))
    now[0] += sessions.REUSE_MILLISECONDS + 1
    with pytest.raises(Refused):
        await sessions.refresh(store, rules, Refresh(refresh_token=first))
    assert await ended.closed() == 4501
    await other.settle()


async def test_frames_after_the_sessions_end_do_nothing_in_the_same_commit_too(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    number = await house.post(bob, dialog, "hello")
    client, other = await house.raw(ann), await house.connect(bob)
    connection = house.connection(ann)
    message = {**MESSAGE, "conversation_id": dialog}

    async def frames() -> None:
        connection.data_received(
            text_bytes(message)
            + text_bytes({"type": "read", "conversation_id": dialog, "message_id": number})
        )

    await house.together(house.logout(ann), frames())
    assert (await client.until_close()).close_code == 4501
    assert {frame.json["type"] for frame in client.passed} == {"online_status"}
    await client.send_close(4501)
    await client.ended()
    await other.settle()
    assert [
        frame["type"] for frame in other.received if frame["type"] not in ("hello", "online_status")
    ] == []


async def test_frames_before_the_sessions_end_in_the_same_commit_are_acknowledged(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client, other = await house.raw(ann), await house.connect(bob)
    connection = house.connection(ann)

    async def frames() -> None:
        connection.data_received(text_bytes({**MESSAGE, "conversation_id": dialog}))

    await house.together(frames(), house.logout(ann))
    assert (await client.text("message_sent"))["temp_id"] == "t1"
    assert (await client.frame()).opcode == CLOSE
    await other.next("new_message")


async def test_what_a_commit_brings_after_the_sessions_end_reaches_the_socket_no_more(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(ann)
    await house.together(
        house.post(bob, dialog, "before"), house.logout(ann), house.post(bob, dialog, "after")
    )
    assert (await client.until_close()).close_code == 4501
    texts = [frame.json["message"]["text"] for frame in client.passed if frame.opcode == 1]
    assert texts == ["before"]


@pytest.mark.parametrize("ends_first", [True, False])
async def test_a_session_that_ends_while_its_socket_is_admitted_leaves_no_socket(
    house: House, ends_first: bool
) -> None:
    ann = await house.person()
    client = await house.dial()
    async with house.held():
        if ends_first:
            ending = asyncio.ensure_future(house.logout(ann))
            await asyncio.sleep(0)
        await client.send_upgrade(ann)
        await house.until(lambda: house.hub.admission.under_way)
        if not ends_first:
            ending = asyncio.ensure_future(house.logout(ann))
            await asyncio.sleep(0)
    await ending
    answer = await client.answer()
    assert answer.status == (401 if ends_first else 101)
    if not ends_first:
        assert (await client.until_close()).close_code == 4501
    client.close()
    await house.until(lambda: not house.state.connections)


async def test_an_expired_session_closes_its_socket_with_the_next_frame(make_house: MakeHouse) -> None:
    now = [1_800_000_000_000]
    house = await make_house(clock=lambda: now[0])
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(ann)
    now[0] += DAY
    await client.send_json({**MESSAGE, "conversation_id": dialog})
    assert (await client.until_close()).close_code == 4501
    assert client.passed == []


async def test_sessions_that_are_cleared_away_close_their_sockets(make_house: MakeHouse) -> None:
    now = [1_800_000_000_000]
    house = await make_house(clock=lambda: now[0])
    ann = await house.person()
    socket = await house.connect(ann)
    now[0] += DAY
    assert await house.store.write(sessions.end_expired) == 1
    assert await socket.closed() == 4501


async def test_who_loses_all_sockets_with_a_session_goes_offline_to_the_contacts(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    await house.dialog(ann, bob)
    witness = await house.connect(bob)
    again = await house.login(ann)
    first, second = await house.connect(ann), await house.connect(again)
    assert (await witness.next("online_status"))["online"] is True
    await house.logout(ann)
    assert await first.closed() == 4501
    await witness.expect_nothing(2 * house.hub.settings.linger_seconds, "online_status")
    await house.logout(again)
    assert await second.closed() == 4501
    offline = await witness.next("online_status")
    assert (offline["user_id"], offline["online"]) == (ann.id, False)
