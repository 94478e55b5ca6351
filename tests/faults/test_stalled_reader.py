"""A client that stops reading: it costs the server a bounded backlog, and others nothing (docs/protocol.md section 6).

It is closed with 4008, and has all that it missed when it is back.
"""

import statistics
import time
from pathlib import Path

import pytest

from storage.database import CACHE_KIB
from tests.faults.conftest import MakeScene
from tests.support.fixtures import Connect
from tests.support.rest import Rest
from tests.support.server import ServerProcess
from tests.support.socket import Socket, open_socket
from tests.support.wire import wired

TEXT = "🐌" * 10_000
SIZE = len(TEXT.encode())
USUAL, MESSAGES = 20, 150
"""Six megabytes: what the system's buffers take, and the backlog many times."""

BACKLOG_BYTES = 256 * 1024


def resident_bytes(server: ServerProcess) -> int:
    """The memory that the process has."""
    status = Path(f"/proc/{server.pid}/status").read_text("ascii")
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


async def latencies(author: Socket, reader: Socket, chat: int, count: int) -> list[float]:
    """Seconds from a message's sending to its reader, one after the other."""
    seconds = []
    for _ in range(count):
        began = time.monotonic()
        sent = await author.say(chat, TEXT)
        assert (await reader.next("new_message"))["message"]["id"] == sent["id"]
        seconds.append(time.monotonic() - began)
    return seconds


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
async def test_a_reader_that_stalls_costs_a_bounded_backlog_and_others_nothing(
    make_scene: MakeScene, connect: Connect
) -> None:
    settings = {"limits.backlog_bytes": BACKLOG_BYTES, "presence.linger_seconds": 0.1}
    scene = make_scene(3, [[0, 1, 2]], settings)
    server, [ann, bob, cat], [chat] = scene.server.start(), scene.people, scene.chats
    async with Rest(server) as rest, wired(server) as wire:
        author, reader = await connect(ann), await connect(bob)
        stalled = await open_socket(cat, ws_url=wire.ws_url)
        before = await latencies(author, reader, chat, USUAL)
        await stalled.settle()
        memory = resident_bytes(server)
        wire.stall()
        during = await latencies(author, reader, chat, MESSAGES)
        offline = await author.next("online_status", where=lambda frame: not frame["online"])
        assert offline["user_id"] == cat.id, "it was not let go of"
        kinds = [frame["type"] for frame in author.received[: author.received.index(offline)]]
        patience = kinds.count("message_sent") - USUAL
        # SQLite's cache grows, too; but not by as much as would wait for one who reads nothing.
        grown = resident_bytes(server) - memory
        assert grown < CACHE_KIB * 1024 + 2 * BACKLOG_BYTES
        usual, meanwhile = (statistics.median(seconds) * 1000 for seconds in (before, during))
        print(  # noqa: T201 - figures
            f"let go of after {patience} messages of 40 kB; a message takes {usual:.1f} ms before and"
            f" {meanwhile:.1f} ms meanwhile; memory +{grown // 1024} KiB"
        )
        assert BACKLOG_BYTES < patience * SIZE < MESSAGES * SIZE
        assert meanwhile < 3 * usual + 50

        wire.flow()
        assert await stalled.closed() in (4008, 1006)
        # Back again, it has everything once.
        returned = await connect(cat)
        history = await rest.whole_history(cat, chat)
        assert [message["seq"] for message in history] == list(range(1, USUAL + MESSAGES + 1))
        told = [frame["message"]["id"] for frame in stalled.received if frame["type"] == "new_message"]
        assert told == [message["id"] for message in history][: len(told)]
        assert len(told) < USUAL + MESSAGES
        message = await author.say(chat, "welcome back")
        assert (await returned.next("new_message"))["message"]["id"] == message["id"]
