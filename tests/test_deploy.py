"""The files in `deploy/`, as far as they can be tried without the machines they are for."""

import configparser
import re
import shlex
import tomllib
from pathlib import Path, PurePath

import pytest
import typer

from beseda import ready
from beseda.cli import app
from beseda.config import load

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
COPIED = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)


def require_understood(arguments: list[str]) -> None:
    """Fail unless the command line knows the command and all its options."""
    commands = typer.main.get_group(app).commands
    commands[arguments[0]].make_context(arguments[0], arguments[1:])


def test_the_unit_starts_a_command_that_there_is_in_the_folder_that_systemd_makes() -> None:
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "beseda.service", "utf-8")
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    require_understood(arguments)
    assert program == "/usr/local/bin/beseda"
    assert arguments[-1] == f"/var/lib/{service['StateDirectory']}"
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "all")
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    # The server owes an end in 10 s; then systemd kills it.
    assert int(service["TimeoutStopSec"]) > 10
    assert int(service["LimitNOFILE"]) > load(None, {}, {}).limits.sockets


def test_what_the_image_is_made_of_is_there_and_is_all_there_is() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    copied = [name for names in COPIED.findall(text) for name in names.split()]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {name for name in packages if "." not in name} <= set(copied)
    assert {project["project"]["readme"], *project["project"]["license-files"]} <= set(copied)


def test_the_image_runs_commands_that_there_are_with_settings_that_there_are() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    [check], [command] = (
        re.findall(rf"^{word}.*(\[.*\])$", text, re.MULTILINE) for word in ("HEALTH", "CMD")
    )
    require_understood(shlex.split(check.strip("[]").replace(",", ""))[1:])
    require_understood(shlex.split(command.strip("[]")))
    variables = dict(re.findall(r"(BESEDA_\w+)=(\S+)", text.partition("ENV ")[2]))
    server = load(None, variables, {}).server
    assert (server.host, server.data_dir) == ("0.0.0.0", Path("/data"))
    assert "\nVOLUME /data\n" in text
    assert f"\nEXPOSE {server.port}\n" in text
    assert "\nUSER beseda\n" in text


@pytest.mark.parametrize(
    ("name", "text"),
    [("beseda.service", ready.UNIT), ("Caddyfile", ready.CADDY), ("nginx.conf", ready.NGINX)],
)
def test_the_server_knows_them_by_heart(name: str, text: str) -> None:
    assert (DEPLOY / name).read_text("utf-8") == text


@pytest.mark.parametrize("home", ["/home/ann/beseda", "/srv/beseda"])
def test_the_unit_for_another_folder_lets_the_server_in(home: str) -> None:
    text = ready.unit(
        [f"{home}/beseda", "serve", "--config", f"{home}/c.toml"], PurePath(home, "data"), "ann", "staff"
    )
    assert f"\nExecStart={home}/beseda serve --config {home}/c.toml\n" in text
    assert f"\nReadWritePaths={home}/data\n" in text
    assert "StateDirectory" not in text
    assert "\nUser=ann\nGroup=staff\n" in text
    assert ("ProtectHome" in text) == home.startswith("/srv")


@pytest.mark.parametrize("name", ["Caddyfile", "nginx.conf", "beseda.service"])
def test_it_stands_in_the_page_on_operations_as_it_is(name: str) -> None:
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    assert (DEPLOY / name).read_text("utf-8") in page
    assert f"](../deploy/{name})" in page
