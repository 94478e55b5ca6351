"""`beseda init`: a server that can be started, or nothing at all."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from beseda.cli.telling import FAILURE, USAGE
from beseda.config import load
from beseda.founding import found, require_room
from beseda.ready import unit
from protocol.errors import Refused
from storage import Held, Settings, Unusable, accounts, looking, open_store
from tests.beseda.inside import settings
from tests.support.fixtures import StartServer
from tests.support.server import ROOT
from tests.support.terminal import Terminal

PASSWORD = "correct horse battery"
ANN: dict[str, Any] = {"email": "ann@example.org", "username": "ann", "password": "$argon2id$"}


def run(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    where = ["--config", str(folder / "beseda.toml"), "--data", str(folder / "new/data")]
    return subprocess.run(
        [sys.executable, "-m", "beseda", "init", *where, *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("BESEDA_")},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_script_gets_a_server_that_its_admin_can_log_in_to(
    start_server: StartServer, tmp_path: Path
) -> None:
    account = ("--email", ANN["email"], "--username", "ann", "--password-stdin")
    url = ("--url", "https://chat.example.net", "--port", "9000", "--invite", "3", "--json")
    done = run(tmp_path, *account, *url, stdin=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["user"]["is_admin"]
    assert f"serve --config {tmp_path}/beseda.toml\n" in told["unit"]
    assert "\nchat.example.net {\n    reverse_proxy 127.0.0.1:9000\n" in told["caddyfile"]
    assert "server_name chat.example.net;" in told["nginx"]
    file = load(tmp_path / "beseda.toml", {}, {})
    assert (file.server.data_dir, file.server.port) == (tmp_path / "new/data", 9000)
    assert (file.server.public_url, file.auth.registration) == ("https://chat.example.net", "invite")

    process = start_server(config=tmp_path / "beseda.toml", data_dir=tmp_path / "new/data")
    assert "There is no account yet" not in process.output()
    login = {"email": ANN["email"], "password": PASSWORD}
    assert httpx.post(f"{process.base_url}/auth/login", json=login, timeout=20).status_code == 200
    bob = {"email": "bob@example.org", "username": "bob", "password": PASSWORD, "invite": told["invite"]}
    assert httpx.post(f"{process.base_url}/auth/register", json=bob, timeout=20).status_code == 201

    (tmp_path / "beseda.toml").unlink()
    again = run(tmp_path, *account, stdin=f"{PASSWORD}\n")
    assert (again.returncode, again.stdout) == (FAILURE, "")
    assert again.stderr == f"beseda: {tmp_path}/new/data: there are accounts here already.\n"
    assert not (tmp_path / "beseda.toml").exists()


async def test_at_a_terminal_it_asks_for_what_it_was_not_told(tmp_path: Path) -> None:
    where = ("--config", str(tmp_path / "c.toml"), "--data", str(tmp_path / "data"))
    async with Terminal("init", *where, "--username", "ann", state=tmp_path, lines=200) as terminal:
        await terminal.answer("The first admin's email:", "ann@example.org")
        await terminal.answer("New password:", PASSWORD)
        await terminal.answer("Once more:", PASSWORD)
        await terminal.until("ann is the admin", "reverse_proxy")
    assert PASSWORD not in terminal.text


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "There is no terminal to ask for what is missing: --email."),
        (
            ("--url", "chat"),
            "server.public_url: must be like https://chat.example.org, without a path (from --url)",
        ),
        (("--email", "", "--username", "ann"), "email: An email address must have an @-sign"),
    ],
)
def test_what_is_missing_or_wrong_is_told_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], line: str
) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (USAGE, "", f"beseda: {line}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "new/data").mkdir(parents=True)
    (tmp_path / "new/data/letters").write_text("mine")
    done = run(tmp_path, "--email", ANN["email"], "--username", "ann", "--generate")
    assert done.stderr == f"beseda: {tmp_path}/new/data: there is something in it already (letters).\n"
    assert [path.name for path in (tmp_path / "new/data").iterdir()] == ["letters"]
    assert not (tmp_path / "beseda.toml").exists()


@pytest.mark.parametrize("is_there", [False, True])
def test_what_fails_at_the_end_leaves_nothing(tmp_path: Path, is_there: bool) -> None:
    folder = tmp_path / "a" / "data"
    if is_there:
        folder.mkdir(parents=True)

    def fail() -> None:
        assert (folder / "signing.key").exists()
        raise OSError("no room for the settings")

    with pytest.raises(OSError, match="no room"):
        found(settings(folder), ANN, None, fail)
    assert list(tmp_path.rglob("*")) == ([folder.parent, folder] if is_there else [])


def test_an_account_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        found(settings(tmp_path / "data"), ANN | {"username": "a b"}, None, lambda: None)
    assert list(tmp_path.iterdir()) == []


def test_until_it_is_done_nobody_else_gets_at_the_folder(tmp_path: Path) -> None:
    folder = settings(tmp_path / "data")

    def begin_another() -> None:
        with pytest.raises(Held):
            found(folder, ANN | {"username": "bob"}, None, lambda: None)

    assert found(folder, ANN, None, begin_another).user["username"] == "ann"
    with pytest.raises(Unusable, match="there are accounts here already"):
        found(folder, ANN | {"username": "bob"}, None, lambda: None)
    with looking(tmp_path / "data") as snapshot:
        assert accounts.first_admin(snapshot) == 1


def test_an_invitation_that_cannot_be_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    done = run(tmp_path, "--invite", "0")
    assert done.returncode == USAGE
    assert done.stderr.startswith("beseda: Invalid value for '--invite': ")


@pytest.mark.parametrize("fails", [False, True])
def test_the_folder_of_the_settings_is_made_and_does_not_stay_without_them(
    tmp_path: Path, fails: bool
) -> None:
    if fails:
        (tmp_path / "new").write_text("a file")
    file = tmp_path / "etc/beseda.toml"
    done = run(tmp_path, "--config", str(file), "--email", ANN["email"], "--username", "ann", "--generate")
    assert done.returncode == (FAILURE if fails else 0), done.stderr
    assert file.exists() == file.parent.exists() == (not fails)


def test_what_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("a file")
    done = run(tmp_path, "--email", ANN["email"], "--username", "ann", "--generate")
    assert done.stderr == (f"beseda: {tmp_path}/new/data: the data folder cannot be used: Not a directory.\n")
    assert not (tmp_path / "beseda.toml").exists()


def test_where_it_is_leaves_the_unit_whole() -> None:
    text = unit(
        ["/opt/my beseda/beseda", "serve", "--config", "/etc/50%.toml"], Path("/srv/a b%"), "ann", "ann"
    )
    assert "\nExecStart='/opt/my beseda/beseda' serve --config /etc/50%%.toml\n" in text
    assert "\nReadWritePaths='/srv/a b%%'\n" in text


async def test_one_that_was_killed_on_its_way_is_done_again(tmp_path: Path) -> None:
    async with open_store(Settings(tmp_path / "data", "full")):
        pass
    for name in ("signing.key.new", "beseda.db.new"):
        (tmp_path / "data" / name).write_bytes(b"half")
    require_room(tmp_path / "data")
