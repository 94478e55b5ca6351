"""The executable is two processes: signals, exit codes and `kill -9`, whichever of them it hits."""

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest

from beseda.frozen import ECHO_SECONDS
from tests.beseda.test_stopping import begin_login, until_it_takes_no_more
from tests.binary.conftest import StartFile
from tests.support.load import Outbox, acknowledged, check_stored, crowd, repeat_all, send_over_socket
from tests.support.one_file import FILE, OneFileServer
from tests.support.raw import RawSocket
from tests.support.rest import Rest
from tests.support.socket import open_socket

pytestmark = pytest.mark.gate


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_both_as_systemd_and_a_terminal_send_it_is_one_and_ends_it_with_0(
    start_file: StartFile, number: signal.Signals
) -> None:
    server = start_file()
    os.kill(server.inner_pid, number)
    # It may have ended by now.
    with contextlib.suppress(ProcessLookupError):
        server.signal(number)
    assert server.wait() == 0
    assert server.unpacked == []


async def test_who_insists_ends_it_at_once(start_file: StartFile) -> None:
    server = start_file()
    with await RawSocket.open(server.base_url) as hung:
        await begin_login(hung, b"{", 30)
        server.signal(signal.SIGTERM)
        await until_it_takes_no_more(server)
        await asyncio.sleep(ECHO_SECONDS)
        server.signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.wait) == 1


def test_killed_it_serves_no_more_and_the_next_start_removes_what_it_left(start_file: StartFile) -> None:
    server = start_file()
    server.kill()
    [left] = server.unpacked
    server.start()
    [own] = server.unpacked
    assert own != left
    assert server.stop() == 0
    assert server.unpacked == []


def test_two_leave_each_others_folders_alone(start_file: StartFile) -> None:
    server = start_file()
    [own] = server.unpacked
    # Refused, since the data is in use; by then it has looked for what others have left.
    other = OneFileServer(server.temporary.parent)
    other.launch()
    assert other.wait() == 1
    assert "another beseda serves from this folder" in other.output()
    assert server.unpacked == [own]
    other.let_go()


async def test_it_goes_on_where_an_upgrade_puts_another_file_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "beseda"
    shutil.copy(FILE, file)
    with OneFileServer(tmp_path / "server", file=str(file)) as server:
        server.start()
        file.unlink()
        file.write_text("another version")
        # The first time, this loads modules that no start needs.
        async with Rest(server) as rest:
            assert (await rest.get("/openapi.json")).is_success
            await rest.register()


def test_where_the_serving_process_is_killed_the_other_says_so_and_removes_the_folder(
    start_file: StartFile,
) -> None:
    server = start_file()
    os.kill(server.inner_pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    assert server.unpacked == []


async def test_no_acknowledged_message_is_lost_whichever_process_is_killed(tmp_path: Path) -> None:
    with OneFileServer(tmp_path / "server") as server:
        people, [chat] = crowd(server, 3, [range(3)])
        outboxes = [Outbox(person, chat) for person in people]
        for is_inner in (False, True, False):
            server.start()
            sockets = [await open_socket(person) for person in people]
            async with asyncio.TaskGroup() as tasks:
                for outbox, socket in zip(outboxes, sockets, strict=True):
                    tasks.create_task(send_over_socket(outbox, socket))
                await acknowledged(outboxes, 100)
                if is_inner:
                    os.kill(server.inner_pid, signal.SIGKILL)
                    server.wait()
                else:
                    server.kill()
            check_stored(server, outboxes)
        server.start()
        async with Rest(server) as rest:
            await repeat_all(outboxes, rest)
        check_stored(server, outboxes, all_acked=True)
        assert len(server.unpacked) == 1
