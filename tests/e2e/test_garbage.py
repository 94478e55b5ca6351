"""What hostile clients leave behind in a server: nothing, however often they come."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.support.fuzz import TIMES
from tests.support.raw import CLOSE, CONT, PING, TEXT, RawSocket, frame_bytes, upgrade_bytes
from tests.support.rest import Person, Rest
from tests.support.server import ServerProcess

MIB = 1024 * 1024
ROUNDS = 3 * TIMES
EACH = 4
"""How often each of them comes in a round."""

POST = b"POST /auth/refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

ON_SOCKETS = [
    b"",
    b"\xff" * 100,
    frame_bytes(TEXT, b"{}", declared=65_000),
    frame_bytes(TEXT, b"{}", length=64, declared=2**62),
    frame_bytes(TEXT, b"x" * 60_000, fin=False),
    frame_bytes(TEXT, b"[", fin=False) + frame_bytes(CONT, b"x", fin=False) * 500,
    frame_bytes(TEXT, b"[" * 60_000) * 20,
    frame_bytes(TEXT, b'{"type": "typing_start", "conversation_id": 999999}') * 100,
    frame_bytes(TEXT, b'{"type": "read", "conversation_id": 999999, "message_id": 1}') * 100,
    frame_bytes(TEXT, b'{"type": "send_message", "conversation_id": 999999, "temp_id": "x", "text": "x"}')
    * 100,
    frame_bytes(TEXT, b'{"type": "x", "temp_id": "' + b"x" * 60_000 + b'"}') * 10,
    frame_bytes(PING, b"x" * 125) * 15,
    frame_bytes(CLOSE, b"\x03\xe8") + frame_bytes(TEXT, b"x" * 60_000),
]
ON_HTTP = [
    b"\0" * 3000,
    b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000,
    b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n",
    POST + b"Content-Length: 1000000\r\n\r\n" + b"x" * 500_000,
    POST + b"Content-Length: 99999999\r\n\r\n" + b"x" * 50_000,
    POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 2000 + b"x",
    POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 60_000,
    POST + b"Content-Length: 30000\r\n\r\n" + b"[" * 30_000,
    b"GET /server HTTP/1.1\r\nHost: x\r\n\r\n" * 50 + b"garbage\r\n\r\n",
    upgrade_bytes("/ws?token=" + "x" * 5000),
    upgrade_bytes("/ws?token=x", {"Sec-WebSocket-Key": "x" * 5000}),
    upgrade_bytes("/ws?token=x&since=x&log=%00") + b"x" * 1000,
]


async def come(server: ServerProcess, data: bytes, *, resets: bool) -> None:
    """Send all this, read for a while, and go."""
    with await RawSocket.open(server.base_url) as client:
        with contextlib.suppress(OSError):
            await client.send(data)
            if resets:
                client.reset()
                return
            client.shut_down()
        await client.all()


async def one_round(server: ServerProcess, person: Person) -> None:
    upgrade = upgrade_bytes(f"/ws?token={person.token}")
    for number in range(EACH):
        await asyncio.gather(
            *(come(server, upgrade + data, resets=number % 3 == 0) for data in ON_SOCKETS),
            *(come(server, data, resets=number % 3 == 1) for data in ON_HTTP),
        )


def resident(server: ServerProcess) -> float:
    """What the server has in memory, in MiB."""
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * 4096 / MIB


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell")
async def test_the_servers_memory_is_flat_however_often_garbage_comes(
    server: ServerProcess, rest: Rest
) -> None:
    eve = await rest.register("eve")
    await one_round(server, eve)
    warm = resident(server)
    for _ in range(ROUNDS):
        await one_round(server, eve)
    assert (await rest.get("/users/me", eve)).status_code == 200
    # Three hundred clients more, many with 60 KB or more. The tests of fuzzing count the small things.
    assert resident(server) < warm * 1.05 + 4
