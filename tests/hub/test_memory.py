"""What one socket leaves in memory, while it is open and after its end, with no help of the garbage collector."""

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from types import FrameType, FunctionType, ModuleType
from typing import Any

import pytest
from websockets.server import ServerProtocol

from hub import Connection
from tests.support.hub import House
from tests.support.raw import KEY, RawSocket
from tests.support.rest import Person


@pytest.fixture(autouse=True)
def no_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> tuple[int, int]:
    """How many connections and protocols there are, garbage included."""
    kinds = [type(thing) for thing in gc.get_objects()]
    return kinds.count(Connection), kinds.count(ServerProtocol)


async def leave(house: House, client: RawSocket) -> None:
    """End a connection, and wait until the server has let go of it."""
    client.close()
    await house.until(lambda: not house.state.connections)
    # What the store told is kept by the house for its tests; and its threads keep the last unit that they ran.
    house.commits.clear()
    await house.store.write(lambda tx: None)
    await house.store.read(lambda snapshot: None)
    house.commits.clear()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while alive() != (0, 0):
                await asyncio.sleep(0.02)


async def test_a_socket_that_is_gone_is_gone_from_memory(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    client = await house.raw(ann)
    assert alive() == (1, 1), "the handshake's protocol is another one"
    await client.send_json(
        {"type": "send_message", "conversation_id": dialog, "text": "hello", "temp_id": "1"},
        {"type": "typing_start", "conversation_id": dialog},
    )
    await client.text("message_sent")
    await leave(house, client)
    assert alive() == (0, 0)


async def test_a_socket_that_was_closed_leaves_nothing_either(house: House) -> None:
    ann = await house.person()
    client = await house.raw(ann)
    await client.send_close()
    await client.until_close()
    await leave(house, client)
    assert alive() == (0, 0)


async def test_a_socket_that_resumed_leaves_nothing_either(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    await house.post(bob, await house.dialog(ann, bob), "hello")
    client = await house.dial()
    assert (await client.upgrade(f"/ws?token={ann.token}&since=0")).status == 101
    await client.text("resumed")
    await leave(house, client)
    assert alive() == (0, 0)


@pytest.mark.parametrize("query", ["", "?token=eyJ.a.b", "?token=ticket"])
async def test_an_upgrade_that_was_refused_leaves_nothing(house: House, query: str) -> None:
    client = await house.dial()
    assert (await client.upgrade("/ws" + query)).status == 401
    await leave(house, client)
    assert alive() == (0, 0)


async def test_an_open_socket_keeps_neither_its_request_nor_its_token(house: House) -> None:
    ann = await house.person()
    client = await house.raw(ann)
    assert not kept(house.connection(ann), ann)
    await leave(house, client)


async def test_what_a_socket_keeps_would_be_found(house: House) -> None:
    ann = await house.person()
    client = await house.raw(ann)
    protocol = ServerProtocol()
    protocol.receive_data(f"GET /ws?token={ann.token} HTTP/1.1\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode())
    house.connection(ann)._protocol = protocol
    assert kept(house.connection(ann), ann)
    client.close()
    await house.until(lambda: not house.state.connections)
    protocol.parser.close()


def kept(connection: Connection, person: Person) -> list[Any]:
    """All that the connection holds, and that holds some of the handshake."""
    shared = {
        id(connection.hub),
        id(connection._timers),
        id(connection._connections),
        id(connection._settings),
    }
    seen, found, waiting = set(shared), [], [connection._protocol, connection._response, connection._early]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type | ModuleType | FunctionType | FrameType):
            continue
        seen.add(id(thing))
        if isinstance(thing, str | bytes | bytearray):
            text = thing if isinstance(thing, str) else thing.decode("latin-1")
            if person.token[:20] in text or KEY in text:
                found.append(thing)
        waiting += gc.get_referents(thing)
    return found
