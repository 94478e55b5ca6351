"""What systemd is told, over a real socket as it makes one."""

import asyncio
import os
import socket
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from beseda import systemd
from beseda.systemd import Supervision, notify, watchdog_seconds
from storage import Transaction
from tests.support.hub import House, open_house
from tests.support.server import ServerProcess

ABSTRACT = pytest.param(
    "abstract name", marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has them")
)


@pytest.fixture(params=["path", ABSTRACT])
def manager(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """systemd's end: its name in the environment is `name_of(manager)`."""
    with (
        tempfile.TemporaryDirectory(prefix="sd") as folder,  # pytest's own paths may be too long for a socket
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
    ):
        listener.bind(f"{folder}/notify" if request.param == "path" else f"\0beseda-{uuid.uuid4()}")
        listener.settimeout(20)
        yield listener


def name_of(manager: socket.socket) -> str:
    name: str | bytes = manager.getsockname()
    return name if isinstance(name, str) else "@" + name[1:].decode()


def until(manager: socket.socket, line: str) -> list[str]:
    """All that is told, up to this line."""
    told: list[str] = []
    while line not in told:
        told += manager.recv(4096).decode().split("\n")
    return told


def test_systemd_hears_that_the_server_is_ready_that_it_lives_and_that_it_stops(
    tmp_path: Path, manager: socket.socket
) -> None:
    environment = {"NOTIFY_SOCKET": name_of(manager), "WATCHDOG_USEC": "100000"}
    with ServerProcess(tmp_path, environment=environment) as process:
        process.start()
        told = until(manager, "WATCHDOG=1")
        assert told[0] == "READY=1"
        assert "STATUS=0 sockets of 0 users" in told
        until(manager, "WATCHDOG=1")
        assert process.stop() == 0
        until(manager, "STOPPING=1")


def test_nothing_is_told_where_nobody_asked(monkeypatch: pytest.MonkeyPatch, manager: socket.socket) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "vsock:2:1234")
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", name_of(manager))
    notify("STATUS=fine")
    assert manager.recv(100) == b"STATUS=fine"


def test_a_manager_that_is_gone_is_told_of_in_the_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")
    assert "systemd could not be told READY=1" in caplog.text


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getppid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "999999999"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_ours_or_our_parent_s(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], seconds: float | None
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert watchdog_seconds() == seconds


async def test_a_writer_that_is_stuck_is_not_told_to_live_and_one_that_waits_for_its_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manager: socket.socket
) -> None:
    async with open_house(tmp_path) as house:
        await see_a_writer_get_stuck(house, monkeypatch, manager)


async def see_a_writer_get_stuck(
    house: House, monkeypatch: pytest.MonkeyPatch, manager: socket.socket
) -> None:
    store = house.store
    supervision = Supervision(store, house.hub)
    monkeypatch.setenv("NOTIFY_SOCKET", name_of(manager))
    monkeypatch.setattr(systemd, "STUCK_SECONDS", 0.01)
    begun, release = threading.Event(), threading.Event()

    def stuck(tx: Transaction) -> None:
        begun.set()
        release.wait(60)

    assert supervision.is_alive()
    writing = asyncio.create_task(store.write(stuck))
    try:
        assert await asyncio.to_thread(begun.wait, 20)
        while store.committing_seconds < systemd.STUCK_SECONDS:
            await asyncio.sleep(0.01)
        supervision.begin()
        told = until(manager, "STATUS=0 sockets of 0 users; the thread that writes is stuck")
        assert told[0] == "READY=1"
        assert "WATCHDOG=1" not in told
        monkeypatch.setattr(systemd, "_waits_for_disk", lambda thread: thread == store.writer_thread)
        assert supervision.is_alive()
    finally:
        release.set()
        await writing
    assert supervision.is_alive()


def test_a_thread_that_sleeps_does_not_wait_for_its_disk() -> None:
    assert not systemd._waits_for_disk(threading.get_native_id())
    assert not systemd._waits_for_disk(None)
