"""`beseda init`: from nothing to a server that can be started."""

import contextlib
import getpass
import grp
import os
import shlex
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from beseda.cli.administering import Stop, stopping
from beseda.cli.choosing import FromStdin, Generate, encoded_password
from beseda.cli.options import AsJson, settings
from beseda.cli.showing import print_json
from beseda.cli.telling import FAILURE, USAGE

if TYPE_CHECKING:
    from beseda.founding import Founded
    from beseda.settings import Config

SERVICE_USER = "beseda"
"""Who runs the server where root sets it up."""


def init(
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="Write the settings to this file.")
    ] = Path("beseda.toml"),
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="The folder for all data (./data).")
    ] = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="How clients will reach it: https://chat.example.org")
    ] = None,
    port: Annotated[str | None, typer.Option(metavar="PORT", help="The port to listen on (8000).")] = None,
    registration: Annotated[
        str | None, typer.Option(metavar="WHO", help="Who may register: open, invite or closed (invite).")
    ] = "invite",
    email: Annotated[str | None, typer.Option(metavar="EMAIL", help="The first admin's.")] = None,
    username: Annotated[str | None, typer.Option(metavar="NAME", help="The first admin's.")] = None,
    password_stdin: FromStdin = False,
    generate: Generate = False,
    invite: Annotated[
        int | None,
        typer.Option(
            "--invite", metavar="N", min=1, max=10_000, help="Make an invitation for N registrations."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set up a new server: folder, settings, first admin.

    It asks for what it isn't told, starts nothing, and prints the systemd unit and the proxy's lines for this machine.
    If it fails, nothing is left of it.

    beseda init --url https://chat.example.org

    beseda init --data /var/lib/beseda --config /etc/beseda/config.toml --url https://chat.example.org
    --registration invite --email ann@example.org --username ann --generate --invite 5
    """
    given = {"server.public_url": url, "server.port": port, "auth.registration": registration}
    wanted = _settings(data, given)
    _require_room(config, wanted)
    account = _account(email, username)
    account["password"], made_up = encoded_password(from_stdin=password_stdin, generate=generate)
    founded = _found(config, wanted, account, invite)
    around = _around(config.absolute(), wanted)
    if as_json:
        told = {"config": str(config.absolute()), "data": str(wanted.server.data_dir), "user": founded.user}
        print_json({**told, "password": made_up, "invite": founded.invite, **around})
    else:
        _tell(config, wanted, founded, made_up, around)
    if os.geteuid() == 0:
        _tell_what_is_closed(config.absolute(), wanted.server.data_dir)


def _settings(data: Path | None, given: Mapping[str, object]) -> "Config":
    from beseda.config import ConfigError

    try:
        found = settings(None, data, **given)
    except ConfigError as error:
        raise Stop(str(error), USAGE) from None
    server = found.server.model_copy(update={"data_dir": found.server.data_dir.absolute()})
    return found.model_copy(update={"server": server})


def _require_room(file: Path, wanted: "Config") -> None:
    from beseda.founding import require_room

    if file.exists():
        raise Stop(f"{file}: this file is there already; name another one with --config.")
    with stopping():
        require_room(wanted.server.data_dir)


def _account(email: str | None, username: str | None) -> dict[str, Any]:
    """What the first admin is called. Raises Stop."""
    from actions.accounts import named

    for name, value in (("--email", email), ("--username", username)):
        if value is None and not sys.stdin.isatty():
            raise Stop(f"There is no terminal to ask for what is missing: {name}.", USAGE)
    if email is None:
        email = str(typer.prompt("The first admin's email", err=True))
    if username is None:
        username = str(typer.prompt("The first admin's username", err=True))
    with stopping():
        wanted = named(username, email)
    return {"email": wanted.email, "username": wanted.username}


def _found(file: Path, wanted: "Config", account: dict[str, Any], invite: int | None) -> "Founded":
    """Make all of it; the settings file comes first under another name, and gets its own at the end. Raises Stop."""
    from beseda.config import render_chosen
    from beseda.founding import found

    server = wanted.server
    text = render_chosen(
        {
            "server.data_dir": server.data_dir,
            "server.port": server.port,
            "server.public_url": server.public_url,
            "auth.registration": wanted.auth.registration,
        }
    )
    unfinished = file.with_name(file.name + ".new")
    is_new_folder = not file.parent.exists()
    try:
        file.parent.mkdir(exist_ok=True)
        unfinished.write_text(text, "utf-8")
        if os.geteuid() == 0:
            # Another user is to read it, whatever root's umask is; there is no secret in it.
            unfinished.chmod(0o644)
            if is_new_folder:
                file.parent.chmod(0o755)
        invitation = None if invite is None else {"uses": invite, "expires_in": None}
        with stopping():
            # A link takes no other file's name away.
            return found(wanted, account, invitation, lambda: os.link(unfinished, file))
    except OSError as error:
        raise Stop(f"{error.filename or file}: {error.strerror}", FAILURE) from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
            if is_new_folder:
                file.parent.rmdir()  # it stays where the settings are in it


def _around(file: Path, wanted: "Config") -> dict[str, str]:
    """The unit and the proxy's lines."""
    from urllib.parse import urlsplit

    from beseda.ready import DOMAIN, caddyfile, nginx_site, unit

    is_root = os.geteuid() == 0
    user = SERVICE_USER if is_root else getpass.getuser()
    group = SERVICE_USER if is_root else grp.getgrgid(os.getegid()).gr_name
    command = [*program(), "serve", "--config", str(file)]
    domain = urlsplit(wanted.server.public_url).hostname or DOMAIN
    upstream = f"127.0.0.1:{wanted.server.port}"
    return {
        "unit": unit(command, wanted.server.data_dir, user, group),
        "caddyfile": caddyfile(domain, upstream),
        "nginx": nginx_site(domain, upstream),
    }


def _tell_what_is_closed(file: Path, data: Path) -> None:
    """Tell root where the service's user won't get by: in root's own home, say."""
    for path in (Path(program()[0]), file, data):
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                print(
                    f"\nAs a service it can't run so: {folder} is closed to the user {SERVICE_USER}. Put the program"
                    " into /usr/local/bin, and begin anew"
                    " with --data /var/lib/beseda --config /etc/beseda/config.toml.",
                    file=sys.stderr,
                )
                return


def program() -> list[str]:
    """How Beseda was called, from anywhere."""
    from beseda import frozen

    called = Path(sys.argv[0]).absolute()
    return frozen.command() if frozen.IS_FROZEN or called.name == "__main__.py" else [str(called)]


def _tell(
    file: Path, wanted: "Config", founded: "Founded", made_up: str | None, around: dict[str, str]
) -> None:
    data = shlex.quote(str(wanted.server.data_dir))
    print(f"{founded.user['username']} is the admin; the data is in {data}, the settings are in {file}.")
    if made_up is not None:
        print(f"The password, shown this once: {made_up}")
    if founded.invite is not None:
        print(f"The invitation, shown this once: {founded.invite}")
    print("\nStart it in this terminal:\n")
    print(f"  {shlex.join(program())} serve --config {shlex.quote(str(file))}")
    print("\nOr as a service: put this into /etc/systemd/system/beseda.service, then")
    if os.geteuid() == 0:
        print(f"  useradd --system --no-create-home --shell /usr/sbin/nologin {SERVICE_USER}")
        print(f"  chown -R {SERVICE_USER}: {data}")
    print("  systemctl daemon-reload && systemctl enable --now beseda\n")
    print(around["unit"])
    print("For clients outside, with Caddy: /etc/caddy/Caddyfile (--json tells nginx's, too)\n")
    print(around["caddyfile"], end="")
