"""The executable does what the repository's own server does, on a machine without Python."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest

from beseda import version
from tests.binary.conftest import StartFile
from tests.support.disks import mounted
from tests.support.files import PNG, sent, uploaded
from tests.support.fixtures import Connect
from tests.support.one_file import FILE, NO_PYTHON, SECONDS
from tests.support.rest import Rest
from tests.support.s3 import Bucket, names
from tests.support.server import ROOT
from tests.support.terminal import Terminal

pytestmark = pytest.mark.gate

MEGABYTES = 26
"""What it may take. Whatever a library brings along to be tested, documented or typed needs not go into it."""

OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")


def run(*arguments: str, temporary: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The executable, on a machine without Python."""
    return subprocess.run(
        [FILE, *arguments],
        env=NO_PYTHON | ({"TMPDIR": str(temporary)} if temporary else {}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_it_tells_of_what_it_was_built() -> None:
    done = run("--version")
    commit = (ROOT / "build/commit").read_text().strip()
    told = rf"beseda {version()} \(commit {commit}, Python 3\.\d+\.\d+, SQLite 3\.\d+\.\d+\)\n"
    assert re.fullmatch(told, done.stdout), (done.stdout, done.stderr)
    assert done.returncode == 0


def test_it_is_not_larger_than_need_be() -> None:
    assert FILE.stat().st_size < MEGABYTES * 1_000_000


def test_its_help_has_the_texts_and_wrong_usage_its_exit_code() -> None:
    assert "Two people on one" in run("chat", "--help").stdout
    wrong = run("serve", "--port", "x")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "beseda: server.port: must be a whole number (from --port)\n",
    )


async def test_people_talk_and_send_files(start_file: StartFile, connect: Connect) -> None:
    server = start_file()
    assert f"\n  dist/beseda chat {server.base_url}\n" in server.output()
    async with Rest(server) as rest:
        ann, bob = await rest.people("ann", "bob")
        dialog = await rest.dialog(await rest.login(ann), bob)
        socket = await connect(bob)
        await rest.send(ann, dialog, "Чай в пять? 🙂")
        assert (await socket.next("new_message"))["message"]["text"] == "Чай в пять? 🙂"
        url = await sent(rest, ann, dialog, await uploaded(rest, ann))
        assert (await rest.get(url)).content == PNG
    assert await asyncio.to_thread(server.stop) == 0
    assert server.unpacked == []


async def test_from_init_to_a_backup_of_its_own_making_restored_elsewhere(
    start_file: StartFile, tmp_path: Path
) -> None:
    data, restored = tmp_path / "server/data", tmp_path / "restored"
    admin = ("--email", "ann@example.org", "--username", "ann", "--generate")
    done = run("init", "--data", str(data), "--config", str(tmp_path / "c.toml"), *admin, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert f"\nExecStart={FILE} serve --config {tmp_path}/c.toml\n" in told["unit"]
    server = start_file({"backup.every_hours": 1})
    async with Rest(server) as rest:
        login = {"email": "ann@example.org", "password": told["password"]}
        assert (await rest.post("/auth/login", login)).is_success
    # It calls itself, for whom there is no Python either.
    async with asyncio.timeout(SECONDS):
        while not (made := list(data.glob("backups/*.tar"))):
            await asyncio.sleep(0.02)
    assert run("verify", str(made[0])).returncode == 0
    assert run("restore", str(made[0]), "--data", str(restored)).returncode == 0
    for folder in (data, restored):
        ann = json.loads(run("user", "make-admin", "ann", "--json", "--data", str(folder)).stdout)
        assert ann["is_admin"]
    assert "admin_granted" in server.output(), "it was not asked through its socket"


async def test_files_go_to_s3(start_file: StartFile, bucket: Bucket) -> None:
    server = start_file(bucket.settings())
    async with Rest(server) as rest:
        ann, bob = await rest.people("ann", "bob")
        url = await sent(rest, ann, await rest.dialog(ann, bob), await uploaded(rest, ann))
        assert url.startswith(bucket.endpoint)
        assert (await rest.get(url)).content == PNG
    bucket.empty(names(server).uploads, names(server).files)


async def test_the_chat_runs_in_a_terminal(start_file: StartFile, tmp_path: Path) -> None:
    server = start_file()
    async with Terminal("chat", server.base_url, state=tmp_path, command=[str(FILE)]) as terminal:
        await terminal.answer("register a new account (r)?", "r")
        await terminal.answer("Email:", "ann@example.org")
        await terminal.answer("Username:", "ann")
        await terminal.answer("Password (8 characters or more):", "correct horse")
        await terminal.answer("once more:", "correct horse")
        await terminal.until("online", "ann at")
        terminal.press("ctrl-d")
        assert await terminal.ended() == 0


def test_it_runs_with_the_c_library_that_the_page_tells(start_file: StartFile) -> None:
    [folder] = start_file().unpacked
    libraries = [path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert len(libraries) > 20
    symbols = {
        (int(major), int(minor))
        for path in libraries
        for major, minor in re.findall(rb"GLIBC_(\d+)\.(\d+)", path.read_bytes())
    }
    [told] = re.findall(r"glibc (\d+)\.(\d+)", OPERATIONS)
    assert max(symbols) <= (int(told[0]), int(told[1]))


def test_from_a_folder_that_allows_no_programs_it_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    with mounted(tmp_path / "noexec", megabytes=100, noexec=True) as folder:
        done = run("--version", temporary=folder)
        assert done.returncode == 255
        assert str(folder) in done.stderr
        assert "failed to map segment" in done.stderr
        assert "failed to map segment" in OPERATIONS
        assert list(folder.iterdir()) == []


def test_on_a_full_disk_it_says_so_and_can_be_known_by_what_it_leaves(tmp_path: Path) -> None:
    with mounted(tmp_path / "full", megabytes=15) as folder:
        done = run("--version", temporary=folder)
        assert done.returncode == 255
        assert "Failed to extract" in done.stderr
        assert "Failed to extract" in OPERATIONS
        [left] = folder.iterdir()
        assert (left / "beseda" / "commit").exists()
