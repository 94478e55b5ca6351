"""No file descriptors are left: who is there goes on, who comes is not let in, and nothing spins."""

import asyncio
import contextlib
import os
import resource
import time
from pathlib import Path

import pytest

from tests.faults.conftest import MakeScene
from tests.support.files import PNG, presign
from tests.support.fixtures import Connect, StartServer
from tests.support.raw import RawSocket
from tests.support.rest import Rest, refused, succeeded
from tests.support.server import ServerProcess

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")

SPARE = 10
WINDOW_SECONDS = 1.5


def open_files(server: ServerProcess) -> int:
    """How many file descriptors the process has."""
    return sum(1 for _ in Path(f"/proc/{server.pid}/fd").iterdir())


def cpu_seconds(server: ServerProcess) -> float:
    """The processor time that the process has used."""
    fields = Path(f"/proc/{server.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def is_let_in(server: ServerProcess) -> RawSocket | None:
    """A new connection that was answered; None where it was closed instead."""
    raw = await RawSocket.open(server.base_url)
    try:
        await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await raw.answer()
    except (ConnectionError, AssertionError):
        raw.close()
        return None
    assert answer.status == 200
    return raw


async def test_without_descriptors_open_sockets_go_on_and_nothing_spins_and_it_recovers(
    make_scene: MakeScene, connect: Connect
) -> None:
    scene = make_scene(2, [[0, 1]])
    server, [ann, bob], [chat] = scene.server.start(), scene.people, scene.chats
    async with Rest(server) as rest:
        sockets = [await connect(ann), await connect(bob)]
        file = await presign(rest, ann)  # and its connection stays open
        limit = open_files(server) + SPARE
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limit))
        with contextlib.ExitStack() as opened:
            hogs = []
            while (hog := await is_let_in(server)) is not None:
                hogs.append(opened.enter_context(hog))
            assert SPARE - 3 <= len(hogs) <= SPARE
            waiting = [opened.enter_context(await RawSocket.open(server.base_url)) for _ in range(20)]

            began, used = time.monotonic(), cpu_seconds(server)
            numbers = 0
            while numbers < 6 or time.monotonic() - began < WINDOW_SECONDS:
                for one, other in (sockets, sockets[::-1]):
                    await one.say(chat, "still here")
                    await other.next("new_message")
                    numbers += 1
                # Connections that are not used are closed after a while, and no new one gets in.
                assert (await rest.get("/healthz")).status_code == 200
                await asyncio.sleep(0.2)
            ratio = (cpu_seconds(server) - used) / (time.monotonic() - began)
            assert ratio < 0.5, "it spins"
            assert await is_let_in(server) is None
            # What needs a file of its own is refused, and what needs none is not.
            refused(await rest.put(file["url"], PNG), 503, "unavailable")
            assert len(await rest.history(bob, chat, limit=200)) == numbers
            for hog in (*hogs, *waiting):
                hog.close()
        async with asyncio.timeout(20):
            while (again := await is_let_in(server)) is None:
                await asyncio.sleep(0.05)
            again.close()
        assert (await rest.put(file["url"], PNG)).status_code == 200
        await connect(ann)
        succeeded(await rest.get("/readyz"))


def test_the_usual_soft_limit_of_open_files_is_raised_as_far_as_it_may_be(start_server: StartServer) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard - 1), hard))
    try:
        server = start_server()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE) == (hard, hard)
