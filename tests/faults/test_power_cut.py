"""What was told is on the disk: an fsync of the write-ahead log goes before every word of a message (docs/protocol.md
section 4, "Durability").

What the server writes and syncs is recorded where it calls libc, in its order.
"""

import asyncio

import pytest

from tests.faults.conftest import MakeScene, Scene
from tests.support.faults import Faults, Record
from tests.support.load import Outbox, acknowledged, send_over_rest, send_over_socket
from tests.support.rest import Rest
from tests.support.socket import open_socket

pytestmark = pytest.mark.gate

SERIAL = 10


async def traced(scene: Scene, faults: Faults) -> tuple[list[Record], set[bytes]]:
    """What a server did while messages came one by one and many at once; and the texts of all acknowledged ones."""
    server = scene.server.start()
    outboxes = [Outbox(person, chat) for person, chat in zip(scene.people, [*scene.chats] * 2, strict=True)]
    one, other = outboxes[0], outboxes[1]
    async with Rest(server) as rest:
        sockets = [await open_socket(person) for person in scene.people[:3]]
        for _ in range(SERIAL):
            temp_id = one.write()
            one.settle(temp_id, await sockets[0].say(one.chat, one.sent[temp_id], temp_id=temp_id))
            temp_id = other.write()
            text = other.sent[temp_id]
            other.settle(temp_id, await rest.send(other.person, other.chat, text, temp_id=temp_id))
        async with asyncio.TaskGroup() as tasks:
            for outbox, socket in zip(outboxes, sockets, strict=False):
                tasks.create_task(send_over_socket(outbox, socket))
            tasks.create_task(send_over_rest(outboxes[3], rest))
            await acknowledged(outboxes, 200)
            server.kill()
    return faults.trace(), {outbox.sent[temp_id].encode() for outbox in outboxes for temp_id in outbox.acked}


def told_too_early(trace: list[Record], texts: set[bytes]) -> set[bytes]:
    """The texts that went to a client before the log that holds them was synced."""
    early = set()
    for text in texts:
        marked = [
            number for number, record in enumerate(trace) if f'"{text.decode()}"'.encode() in record.data
        ]
        told = next(number for number in marked if trace[number].kind == "N")
        written = next(
            number for number, record in enumerate(trace) if record.kind == "W" and text in record.data
        )
        if not any(record.kind == "S" for record in trace[written:told]):
            early.add(text)
    return early


async def test_the_log_is_synced_before_anybody_is_told_of_a_message(
    make_scene: MakeScene, faults: Faults
) -> None:
    trace, texts = await traced(make_scene(4, [[0, 1, 2], [1, 2, 3]], faults=faults), faults)
    assert len(texts) >= 200 + 2 * SERIAL
    syncs = [record.kind for record in trace].count("S")
    assert 2 * SERIAL < syncs < len(texts), "the messages shared no commits, or had none"
    assert told_too_early(trace, texts) == set()
    # And had it not synced, the record would show it.
    assert told_too_early([record for record in trace if record.kind != "S"], texts) == texts
