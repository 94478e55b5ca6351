"""A disk that fails to sync: the server stops before it tells anybody what may not be there (fail-stop)."""

import asyncio
import contextlib

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from beseda.server import FAIL_STOP
from tests.faults.conftest import MakeScene
from tests.support.faults import Faults
from tests.support.fixtures import Connect
from tests.support.load import Outbox, check_stored, repeat_all
from tests.support.rest import Rest

pytestmark = pytest.mark.gate


async def test_when_the_disk_fails_to_sync_nobody_is_told_anything_and_the_server_stops(
    make_scene: MakeScene, connect: Connect, faults: Faults
) -> None:
    scene = make_scene(3, [[0, 1, 2]], faults=faults)
    server, [chat] = scene.server.start(), scene.chats
    outboxes = [Outbox(person, chat) for person in scene.people]
    author, caller, _ = outboxes
    async with Rest(server) as rest:
        sockets = [await connect(person) for person in scene.people]
        first = author.write()
        author.settle(first, await sockets[0].say(chat, author.sent[first], temp_id=first))
        await sockets[2].next("new_message")

        faults.fail_syncs()
        with contextlib.suppress(ConnectionClosed):
            for _ in range(20):
                temp_id = author.write()
                await sockets[0].send_message(chat, author.sent[temp_id], temp_id=temp_id)
        temp_id = caller.write()
        body = {"text": caller.sent[temp_id], "temp_id": temp_id}
        with contextlib.suppress(httpx.TransportError):
            answer = await rest.post(f"/chats/{chat}/messages", body, caller.person)
            assert answer.status_code == 503, answer.text
        assert await asyncio.to_thread(server.wait) == FAIL_STOP
        for socket in sockets:
            assert await socket.closed() not in (1000, 1012)
            assert socket.take("message_sent") == []
        assert [len(socket.take("new_message")) for socket in sockets] == [0, 1, 0]
        assert faults.failed > 0
        [line] = [line for line in server.output().splitlines() if " ERROR " in line or " CRITICAL " in line]
        assert line.endswith(
            " CRITICAL beseda.server: The database's disk failed, and the server stops: disk I/O error"
        )

        # On a disk that works it starts as ever, and what is sent again is there once.
        faults.fail_syncs(False)
        server.start()
        check_stored(server, outboxes)
        await repeat_all(outboxes, rest)
        rows = check_stored(server, outboxes, all_acked=True)
        assert len(rows) == len(author.sent) + len(caller.sent) > 2
