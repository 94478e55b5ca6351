"""`beseda user`, `invite`, `session` and `stats`: beside a server that runs, and without one."""

import asyncio
import fcntl
import pwd
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actions import passwords
from beseda.cli.showing import printable
from beseda.control import asking, serving
from beseda.control.folder import SOCKET
from tests.beseda.inside import settings
from tests.storage.test_migrations import build_first
from tests.support.cheap import CheapHasher
from tests.support.commands import Ran, run
from tests.support.files import kept, uploaded
from tests.support.fixtures import Connect
from tests.support.rest import Rest, refused, succeeded
from tests.support.server import ServerProcess
from tests.support.terminal import Terminal

HASHED = "$argon2"
RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", CheapHasher())


async def beseda(server: ServerProcess, *arguments: object, stdin: str = "") -> Ran:
    """A command about this server's folder, while the test's sockets go on."""
    return await asyncio.to_thread(run, *arguments, "--data", server.data_dir, stdin=stdin)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder on which no server runs any more."""
    with ServerProcess(tmp_path_factory.mktemp("stopped")) as process:
        process.start()
        assert process.stop() == 0
        yield process.data_dir


# Beside a server that runs.


async def test_who_is_disabled_is_logged_out_at_once_and_may_come_back_when_enabled(
    server: ServerProcess, rest: Rest, connect: Connect
) -> None:
    ann = await rest.register()
    socket = await connect(ann)
    done = await beseda(server, "user", "disable", ann.username)
    assert done == (
        0,
        f"{ann.username} (user {ann.id}, {ann.email}) is disabled, and logged out everywhere.\n",
        "",
    )
    assert await socket.closed() == 4501
    refused(await rest.get("/users/me", ann), 401, "unauthorized")
    login = {"email": ann.email, "password": ann.password}
    assert (await rest.http.post(f"{server.base_url}/auth/login", json=login)).status_code == 403
    assert (await beseda(server, "user", "enable", ann.id)).code == 0
    succeeded(await rest.post("/auth/login", login))


async def test_a_new_account_logs_in_with_the_password_that_it_was_given(
    server: ServerProcess, rest: Rest
) -> None:
    person = ("user", "add", "zoe", "zoe@example.org")
    added = await beseda(
        server, *person, "--admin", "--password-stdin", "--json", stdin="CANARY 123\r\nmore\n"
    )
    assert added.json["is_admin"] is True
    login = {"email": "zoe@example.org", "password": "CANARY 123"}
    assert succeeded(await rest.post("/auth/login", login))["user"]["id"] == added.json["id"]
    again = await beseda(server, *person, "--generate")
    assert again == (1, "", "beseda: There is an account with this email.\n")


async def test_a_password_that_is_made_up_is_printed_alone_and_ends_what_was(
    server: ServerProcess, rest: Rest, connect: Connect
) -> None:
    ann = await rest.register()
    socket = await connect(ann)
    reset = await beseda(server, "user", "reset-password", ann.email, "--generate")
    assert reset.code == 0
    assert await socket.closed() == 4501
    succeeded(await rest.post("/auth/login", {"email": ann.email, "password": reset.out.strip()}))
    as_json = await beseda(server, "user", "reset-password", ann.email, "--generate", "--json")
    succeeded(await rest.post("/auth/login", {"email": ann.email, "password": as_json.json["password"]}))


async def test_neither_passwords_nor_their_hashes_reach_the_servers_log(server: ServerProcess) -> None:
    password = "CANARY password"
    added = await beseda(server, "user", "add", "may", "may@example.org", "--password-stdin", stdin=password)
    assert added.code == 0
    output = server.output()
    assert "audit: user_added" in output
    assert 'by="control"' in output
    assert password not in output
    assert HASHED not in output


async def test_an_account_is_deleted_with_what_it_never_sent(server: ServerProcess, rest: Rest) -> None:
    ann = await rest.register()
    before = kept(server)
    await uploaded(rest, ann, b"never sent")
    assert len(kept(server)) == len(before) + 1
    asked = await beseda(server, "user", "delete", ann.username)
    assert asked == (2, "", "beseda: There is no terminal to ask whether it is meant: use --yes.\n")
    assert (await beseda(server, "user", "delete", ann.username, "--yes")).code == 0
    assert kept(server) == before
    gone = await beseda(server, "user", "delete", ann.username, "--yes")
    assert gone == (1, "", f"beseda: There is no user '{ann.username}'.\n")


async def test_admins_are_made_and_unmade(server: ServerProcess, rest: Rest) -> None:
    ann = await rest.register()
    assert (await beseda(server, "user", "make-admin", ann.username, "--json")).json["is_admin"] is True
    assert (await rest.get("/admin/invites", ann)).status_code == 200
    assert (await beseda(server, "user", "remove-admin", ann.username, "--json")).json["is_admin"] is False
    assert (await rest.get("/admin/invites", ann)).status_code == 404


async def test_the_list_pages_through_all_accounts(
    server: ServerProcess, rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await rest.people("pat", "pat", "pat")
    monkeypatch.setattr(sys.modules["beseda.cli.user"], "PAGE", 2)
    listed = (await beseda(server, "user", "list", "pat.", "--json")).json
    assert [one["id"] for one in listed] == sorted((person.id for person in people), reverse=True)
    table = (await beseda(server, "user", "list", "pat.")).out.splitlines()
    assert table[0].split() == ["ID", "USERNAME", "EMAIL", "STATE", "LAST", "SEEN"]
    assert [line.split()[0] for line in table[1:]] == [str(one["id"]) for one in listed]


async def test_sessions_are_listed_and_ended_one_by_one_or_all(
    server: ServerProcess, rest: Rest, connect: Connect
) -> None:
    ann = await rest.register()
    first = await connect(ann)
    again = await rest.login(ann)
    second, third = await connect(again), await connect(await rest.login(ann))
    listed = (await beseda(server, "session", "list", ann.username, "--json")).json
    assert {one["user_id"] for one in listed} == {ann.id}
    assert [one["id"] for one in listed] == sorted((one["id"] for one in listed), reverse=True)
    ended = await beseda(server, "session", "end", listed[-1]["id"])
    assert ended == (0, "1 session has ended.\n", "")
    assert await first.closed() == 4501
    assert second.close_code is None
    assert (await beseda(server, "session", "end", "--user", ann.username)).out == "2 sessions have ended.\n"
    assert [await second.closed(), await third.closed()] == [4501, 4501]
    assert str(listed[0]["id"]) not in (await beseda(server, "session", "list")).out.split()
    assert (await beseda(server, "session", "end", listed[-1]["id"])).code == 1


async def test_an_invitation_is_made_listed_and_revoked(server: ServerProcess, rest: Rest) -> None:
    ann = await rest.register()
    assert (await beseda(server, "user", "make-admin", ann.username)).code == 0
    made = await beseda(server, "invite", "create", "--uses", 5, "--expires", "7d")
    assert re.fullmatch(r"[\w-]{22}\n", made.out)
    assert RFC3339.search(made.err)
    (one,) = (await beseda(server, "invite", "list", "--json")).json
    assert one["uses_left"] == 5
    assert str(one["id"]) in (await beseda(server, "invite", "list")).out
    revoked = await beseda(server, "invite", "revoke", one["id"])
    assert revoked == (0, f"Invitation {one['id']} is revoked.\n", "")
    assert (await beseda(server, "invite", "list", "--json")).json == []
    again = await beseda(server, "invite", "revoke", one["id"])
    assert again == (1, "", f"beseda: There is no invitation {one['id']}.\n")


async def test_stats_tell_who_is_connected(server: ServerProcess, rest: Rest, connect: Connect) -> None:
    await connect(await rest.register())
    told = (await beseda(server, "stats", "--json")).json
    assert told["server"]["connections"] >= 1
    assert told["server"]["online"] >= 1
    assert told["users"] >= 1
    shown = (await beseda(server, "stats")).out
    assert "online" in shown
    assert RFC3339.search(shown)


async def test_a_terminal_is_asked_for_the_password_twice_and_shows_none(
    server: ServerProcess, tmp_path: Path, rest: Rest
) -> None:
    arguments = ("user", "add", "tim", "tim@example.org", "--data", str(server.data_dir))
    async with Terminal(*arguments, state=tmp_path) as terminal:
        await terminal.answer("New password:", "CANARY tim")
        await terminal.answer("Once more:", "CANARY tim")
        assert await terminal.ended() == 0
        assert b"CANARY" not in terminal.output
    succeeded(await rest.post("/auth/login", {"email": "tim@example.org", "password": "CANARY tim"}))


# Without a server.


def test_without_a_server_it_is_done_directly(stopped: Path) -> None:
    added = run(
        "user", "add", "ann", "ann@example.org", "--generate", "--admin", "--json", "--data", stopped
    ).json
    assert run("user", "list", "--json", "--data", stopped).json[0]["id"] == added["id"]
    done = run("user", "disable", "ann", "--data", stopped)
    assert done.out == f"ann (user {added['id']}, ann@example.org) is disabled, and logged out everywhere.\n"
    assert "disabled" in run("user", "list", "--data", stopped).out
    # Not even who could have made it may log in.
    invited = run("invite", "create", "--data", stopped)
    assert invited == (1, "", "beseda: There is no admin yet in whose name it could be: make one first.\n")
    assert run("user", "enable", "ann", "--data", stopped).code == 0
    assert run("invite", "create", "--data", stopped).code == 0
    told = run("stats", "--json", "--data", stopped).json
    assert (told["users"], told["server"]) == (1, None)
    assert "none answers" in run("stats", "--data", stopped).out
    assert run("user", "delete", "ann", "--yes", "--data", stopped).code == 0
    assert not (stopped / SOCKET).exists()


def test_a_killed_servers_socket_keeps_nobody_from_doing_it_directly(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as process:
        process.start().kill()
        assert (process.data_dir / SOCKET).is_socket()
        assert run("session", "end", 7, "--data", process.data_dir).err == "beseda: There is no session 7.\n"


def test_who_holds_the_folder_and_takes_no_commands_is_waited_for_and_then_told_of(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = []
    with (stopped / "lock").open("ab") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)

        def let_go(seconds: float) -> None:
            slept.append(seconds)
            fcntl.flock(holder, fcntl.LOCK_UN)

        monkeypatch.setattr("time.sleep", let_go)
        assert run("session", "end", 7, "--data", stopped).err == "beseda: There is no session 7.\n"
        assert slept, "nobody was waited for"
        fcntl.flock(holder, fcntl.LOCK_EX)
        monkeypatch.setattr(asking, "PATIENCE_SECONDS", -1.0)
        held = run("session", "end", 7, "--data", stopped)
    assert (held.code, held.out) == (1, "")
    assert held.err.startswith(f"beseda: {stopped}: a server holds the folder and takes no commands.")
    assert held.err.count("\n") == 1


def test_of_a_server_that_hangs_nobody_is_told_that_it_was_not_done(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.01)
    with closing(serving._bind(stopped)):
        hung = run("session", "end", 7, "--data", stopped)
    (stopped / SOCKET).unlink()
    line = "beseda: The server did not answer within 0.01 s: it may still do it.\n"
    assert hung == (1, "", line)


@pytest.mark.parametrize("arguments", [("user", "list"), ("user", "enable", "ann"), ("stats",)])
def test_where_there_is_no_data_nothing_is_made(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for place in (empty, tmp_path / "none"):
        refused = run(*arguments, "--data", place)
        line = f"beseda: {place}: there is no data of Beseda's here. Name its folder with --data, or its --config.\n"
        assert refused == (1, "", line)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_somebody_elses_folder_is_left_alone_and_it_is_told_whom_to_become(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 4_000_000)
    monkeypatch.setattr("pwd.getpwuid", lambda number: _passwd("beseda"))
    for arguments in (("user", "list"), ("user", "enable", "ann")):
        refused = run(*arguments, "--data", stopped)
        line = f"beseda: {stopped}: the data belongs to beseda. Become that user: sudo -u beseda ...\n"
        assert refused == (1, "", line)


def test_a_database_of_an_earlier_version_is_left_as_it_is(tmp_path: Path) -> None:
    path = build_first(tmp_path)
    before = path.read_bytes()
    for arguments in (("invite", "create"), ("user", "disable", "1"), ("user", "list")):
        ran = run(*arguments, "--data", tmp_path)
        assert ran.code == 1
        assert "the database is of an earlier version of Beseda: start the server once" in ran.err
    assert path.read_bytes() == before
    assert list(tmp_path.glob("before-*")) == []


async def test_two_commands_at_once_without_a_server_are_both_carried_out(stopped: Path) -> None:
    people: list[dict[str, str | bool]] = [
        {"username": name, "email": f"{name}@example.org", "password": "$argon2id$", "is_admin": False}
        for name in ("one", "two")
    ]
    config = settings(stopped)
    done = await asyncio.gather(
        *(asyncio.to_thread(asking.do, config, "user.add", person) for person in people)
    )
    assert {one["username"] for one in done} == {"one", "two"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("user", "add", "x.y", "x@example.org"), "There is no terminal to ask for a password"),
        (("user", "add", "x", "x@example.org", "--generate"), "username: must have 3 to 32 characters"),
        (("user", "add", "x.y", "x", "--generate"), "email: "),
        (("user", "add", "x.y", "x@example.org", "--password", "12345678"), "No such option: --password"),
        (("user", "add", "x.y", "x@example.org", "--generate", "--password-stdin"), "--password-stdin and"),
        (("user", "add", "x.y", "x@example.org", "--password-stdin"), "password: "),
        (("session", "end"), "Name either a session"),
        (("session", "end", "7", "--user", "ann"), "Name either a session"),
        (("session", "end", "0"), "id: "),
        (("invite", "create", "--expires", "7x"), "--expires 7x: must be a number and its unit"),
        (("invite", "create", "--uses", "0"), "uses: "),
        (("invite", "create", "--uses", "9" * 30), "uses: "),
        (("invite", "revoke", "9" * 30), "id: "),
        (("user", "disable", "a\udcff"), "user: "),  # so Python reads what is no UTF-8
        (("user", "delete", "a\udcff", "--yes"), "user: "),
        (("session", "list", "a\udcff"), "user: "),
        (("user", "list", "a\udcff"), "query: "),
        (("user", "list", "x" * 400), "query: "),
        (("user", "nope"), "No such command 'nope'."),
    ],
)
def test_what_is_asked_for_wrongly_is_told_in_one_line_and_exits_2(
    stopped: Path, arguments: tuple[str, ...], line: str
) -> None:
    data = () if arguments[1] == "nope" else ("--data", stopped)
    refused = run(*arguments, *data)
    assert refused.code == 2
    assert refused.err.startswith(f"beseda: {line}")
    assert refused.err.count("\n") == 1
    assert not refused.out


@pytest.mark.parametrize("name", ["user", "invite", "session"])
def test_a_group_alone_tells_its_commands_and_each_shows_an_example(name: str) -> None:
    overview = run(name)
    assert overview.code == 0
    commands = re.findall(r"^  ([a-z-]+)  ", overview.out.partition("Commands:")[2], re.MULTILINE)
    assert "list" in commands
    for command in commands:
        text = run(name, command, "--help").out
        assert f"\n  beseda {name} {command}" in text
        assert max(map(len, text.splitlines())) <= 80


def test_what_people_have_chosen_cannot_speak_to_the_terminal() -> None:
    assert printable("a\x1b[2Jb\u202ec\n") == "a\ufffd[2Jb\ufffdc\ufffd"
    assert "\ufffd[2Jb: there is no data" in run("user", "list", "--data", "a\x1b[2Jb").err


def _passwd(name: str) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", 1, 1, "", "/", "/bin/sh"))
