"""The command line: help, errors in one line, exit codes."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from beseda import cli, commit, version
from beseda.cli.telling import FAILURE
from tests.support.fixtures import StartServer


def run(*arguments: str) -> int:
    """What `beseda` with these arguments exits with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["beseda", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_tells_the_commands(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 0
    out, err = capsys.readouterr()
    assert "serve" in out
    assert not err


def test_the_help_of_serve_tells_its_options_and_where_more_is_to_be_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("serve", "--help") == 0
    out = capsys.readouterr().out
    for word in ("--config", "--host", "--port", "--data", "config.toml", "BESEDA_<SECTION>__<KEY>"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 80


def test_help_answers_without_loading_the_server() -> None:
    code = (
        "import sys; from beseda.cli import main\ntry: main()\nexcept SystemExit: print(sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert "'typer'" in done.stdout
    for heavy in (
        "uvicorn",
        "starlette",
        "pydantic",
        "aiosqlite",
        "websockets",
        "asyncio",
        "httpx",
        "prompt_toolkit",
        "rich.table",
        "storage",
    ):
        assert f"'{heavy}'" not in done.stdout, heavy


def test_the_server_runs_without_what_only_the_chat_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, beseda.server; print(sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert "'beseda.server'" in done.stdout
    for heavy in ("httpx", "platformdirs", "prompt_toolkit", "beseda.client"):
        assert f"'{heavy}'" not in done.stdout, heavy


def test_the_help_of_chat_shows_how_two_people_try_it_on_one_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("chat", "--help") == 0
    out = capsys.readouterr().out
    for email in ("ann@example.org", "bob@example.org"):
        assert f"beseda chat http://127.0.0.1:8000 --as {email}\n" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    python = ".".join(map(str, sys.version_info[:3]))
    built_of = f"commit {commit()}, Python {python}, SQLite {sqlite3.sqlite_version}"
    assert capsys.readouterr().out == f"beseda {version()} ({built_of})\n"


def test_the_commit_is_told_only_by_the_repository_that_the_package_lies_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "beseda"
    package.mkdir()
    monkeypatch.setattr("beseda.__file__", str(package / "__init__.py"))
    assert commit() == "unknown"
    (tmp_path / ".git").mkdir()
    assert commit() == "unknown", "this is no repository"
    (package / "commit").write_text("abc1234\n")
    assert commit() == "abc1234", "it was built in"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nope",), "beseda: No such command 'nope'."),
        (("--nope",), "beseda: No such option: --nope"),
        (("serve", "extra"), "beseda: Got unexpected extra argument"),
        (("chat", "a", "b"), "beseda: Got unexpected extra argument"),
        (("serve", "--port"), "beseda: Option '--port' requires an argument."),
        (("serve", "--port", "x"), "beseda: server.port: must be a whole number (from --port)"),
        (("serve", "--port", "70000"), "beseda: server.port: must be at most 65535 (from --port)"),
        (("serve", "--host", ""), "beseda: server.host: must have at least 1 character (from --host)"),
        (("serve", "--config", "/none.toml"), "beseda: /none.toml: No such file or directory"),
    ],
)
def test_what_is_asked_for_wrongly_is_told_in_one_line_and_exits_2(
    arguments: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert not out


def test_a_wrong_setting_in_the_environment_exits_2(start_server: StartServer) -> None:
    process = start_server({"limits.sockets": -1}, wait=False)
    assert process.wait() == 2
    assert process.output() == "beseda: limits.sockets: must be at least 0 (from BESEDA_LIMITS__SOCKETS)\n"


def test_a_file_is_read_when_it_is_named_and_flags_override_it(
    start_server: StartServer, tmp_path: Path
) -> None:
    path = tmp_path / "beseda.toml"
    path.write_text(
        f'[server]\nport = 1\ndata_dir = "{tmp_path / "elsewhere"}"\n[auth]\nregistration = "closed"\n'
    )
    process = start_server(config=path, data_dir=tmp_path / "here")
    assert process.stop() == 0
    assert not process.base_url.endswith(":1")
    assert (tmp_path / "here" / "beseda.db").exists()
    assert not (tmp_path / "elsewhere").exists()
    assert 'set auth.registration to "open"' in process.output()


def test_an_interrupt_before_the_server_runs_is_no_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("beseda.config.load", interrupted)
    assert run("serve") == 130
    assert capsys.readouterr() == ("", "")


def test_what_was_closed_keeps_nothing_from_being_done(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert run("--version") == 0
    assert run("user", "add", "ann", "ann@example.org", "--data", "/nowhere") == FAILURE
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()
