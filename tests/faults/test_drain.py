"""SIGTERM under load: what was acknowledged is there, what was under way is answered or can be repeated, and everyone
is told to come back, whoever hangs (docs/operations.md).
"""

import asyncio
import time

from tests.faults.conftest import MakeScene
from tests.support.load import (
    Outbox,
    acknowledged,
    check_stored,
    repeat_all,
    send_over_rest,
    send_over_socket,
)
from tests.support.raw import RawSocket, text_bytes
from tests.support.rest import Person, Rest
from tests.support.socket import open_socket

SENDERS, CALLERS, WINDOW = 200, 4, 2
STOPS_WITHIN = 10.0


async def hang(person: Person, chat: int) -> RawSocket:
    """A client that sends much, and reads nothing: neither what it is told, nor that it should go."""
    hung = await RawSocket.open(person.server.base_url, receive_buffer=4096)
    assert (await hung.upgrade(f"/ws?token={person.token}")).status == 101
    for number in range(200):
        frame = {
            "type": "send_message",
            "temp_id": f"hung {number}",
            "conversation_id": chat,
            "text": "x" * 5000,
        }
        await hung.send(text_bytes(frame))
    return hung


async def test_sigterm_under_load_tells_all_sockets_and_loses_nothing_with_a_hung_client_among_them(
    make_scene: MakeScene,
) -> None:
    pairs = [[number, number + 1] for number in range(0, SENDERS, 2)]
    scene = make_scene(SENDERS + CALLERS + 2, [*pairs, range(SENDERS, SENDERS + CALLERS), [-1, -2]])
    server = scene.server.start()
    *people, _, hanging = scene.people
    *dialogs, group, ward = scene.chats
    outboxes = [Outbox(person, dialogs[number // 2]) for number, person in enumerate(people[:SENDERS])]
    outboxes += [Outbox(person, group) for person in people[SENDERS:]]
    async with Rest(server) as rest:
        sockets = await asyncio.gather(*(open_socket(person) for person in people[:SENDERS]))
        with await hang(hanging, ward):
            async with asyncio.TaskGroup() as tasks:
                for outbox, socket in zip(outboxes, sockets, strict=False):
                    tasks.create_task(send_over_socket(outbox, socket, WINDOW))
                for outbox in outboxes[SENDERS:]:
                    tasks.create_task(send_over_rest(outbox, rest))
                await acknowledged(outboxes, 2 * SENDERS)
                began = time.monotonic()
                assert await asyncio.to_thread(server.stop) == 0
                took = time.monotonic() - began
        assert took < STOPS_WITHIN
        assert {socket.close_code for socket in sockets} == {1012}
        assert not (server.data_dir / "beseda.db-wal").exists(), "the write-ahead log was not folded in"
        # The drain finishes what it has begun and hands out the ACKs: who reads knows of all that is stored.
        known = {(outbox.person.id, temp_id) for outbox in outboxes for temp_id in outbox.acked}
        own = {(row.sender_id, row.temp_id) for row in check_stored(server, outboxes, beside=ward)}
        assert own == known
        under_way = sum(len(outbox.unacknowledged) for outbox in outboxes)
        print(f"{under_way} messages of {SENDERS} senders were under way, and it took {took:.1f} s")  # noqa: T201
        assert under_way > 0

        server.start()
        await repeat_all(outboxes, rest)
    check_stored(server, outboxes, beside=ward, all_acked=True)
