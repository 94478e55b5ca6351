"""The server stops: what was begun is finished, and everyone is told to come back."""

import asyncio

import pytest

from actions import users
from tests.hub.conftest import MakeHouse
from tests.support.hub import House


async def test_everyone_is_closed_with_1012(house: House) -> None:
    people = await house.people("ann", "bob")
    sockets = [await house.connect(person) for person in people for _ in range(2)]
    house.hub.stop_reading()
    await house.hub.close_all()
    assert [await socket.closed() for socket in sockets] == [1012] * 4
    assert not house.state.connections


async def test_what_was_sent_before_is_acknowledged_before_the_close(make_house: MakeHouse) -> None:
    house = await make_house(close_seconds=0.2)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client, reader = await house.raw(ann), await house.connect(bob)
    connection = house.connection(ann)
    async with house.held():
        await client.send_json(
            *(
                {"type": "send_message", "temp_id": str(number), "conversation_id": dialog, "text": "hello"}
                for number in range(50)
            )
        )
        await house.until(lambda: connection.in_flight == 50)
        house.hub.stop_reading()
    await house.store.idle()
    await house.hub.close_all()
    assert (await client.until_close()).close_code == 1012
    told = [frame.json for frame in client.passed if frame.opcode == 1]
    acks = [frame["temp_id"] for frame in told if frame["type"] == "message_sent"]
    assert acks == [str(number) for number in range(50)]
    assert await reader.closed() == 1012
    assert len(reader.take("new_message")) == 50


async def test_frames_that_come_while_it_stops_are_not_read(make_house: MakeHouse) -> None:
    house = await make_house(close_seconds=0.2)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(ann)
    house.hub.stop_reading()
    await client.send_json(
        {"type": "send_message", "temp_id": "1", "conversation_id": dialog, "text": "late"}
    )
    await asyncio.sleep(0.05)
    await house.store.idle()
    await house.hub.close_all()
    assert (await client.until_close()).close_code == 1012
    assert client.passed == []
    rows = await house.store.read(lambda snapshot: snapshot.rows("SELECT id FROM messages"))
    assert rows == []


async def test_a_hung_client_is_let_go_of(make_house: MakeHouse) -> None:
    house = await make_house(close_seconds=0.2)
    await house.raw(await house.person())
    begin = house.hub.timers.time()
    house.hub.stop_reading()
    await house.hub.close_all()
    assert house.hub.timers.time() - begin > 0.15
    await house.until(lambda: not house.state.connections)


async def test_when_everyone_was_last_seen_is_kept(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    await house.connect(ann)
    house.hub.stop_reading()
    await house.hub.close_all()
    await house.store.idle()
    for person, is_known in ((ann, True), (bob, False)):
        user_id = person.id
        seen = await house.store.read(
            lambda snapshot, user_id=user_id: users.own(snapshot, user_id, online=False)["last_seen_at"]  # type: ignore[misc]
        )
        assert (seen is not None) is is_known


async def test_uvicorns_own_shutdown_closes_sockets_and_breaks_off_handshakes(house: House) -> None:
    ann = await house.person()
    socket, waiting = await house.connect(ann), await house.dial()
    async with house.held():
        await waiting.send_upgrade(ann)
        await house.until(lambda: house.hub.admission.under_way)
        for connection in list(house.state.connections):
            connection.shutdown()
    assert await socket.closed() == 1012
    await waiting.broken()
    await house.until(lambda: not house.state.connections)
    await house.gone(ann)


async def test_presence_that_lingers_as_it_stops_touches_the_store_no_more(
    make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await make_house(linger_seconds=0.1)
    async with await house.connect(await house.person()):
        pass
    await house.until(lambda: not house.state.connections)
    house.hub.stop_reading()
    await house.hub.close_all()
    await house.store.idle()
    touched: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr(house.store, "submit", lambda *unit: touched.append(unit))
        await asyncio.sleep(0.15)
    assert touched == []
