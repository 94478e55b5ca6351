"""The command line. What a command needs is imported by that command: `--help` answers at once."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="beseda",
    help="Beseda, a messenger server for yourself and your people.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

USAGE = 2
FAILURE = 1


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 it could not be done, 2 it was asked for wrongly."""
    try:
        code = app(prog_name="beseda", standalone_mode=False) or 0
    except typer.TyperException as error:
        code = fail(error.format_message(), error.exit_code)
    except typer.Abort:
        code = FAILURE
    sys.exit(code)


def fail(message: str, code: int) -> int:
    """Tell in one line what is wrong; the exit code."""
    print("beseda: " + " ".join(message.split()), file=sys.stderr)
    return code


def show_version(wanted: bool) -> None:
    """`--version`."""
    if wanted:
        from beseda import version

        print(f"beseda {version()}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Beseda, a messenger server for yourself and your people."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def serve(
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read settings from this file. Without it none is read."),
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="The address to listen on (127.0.0.1).")
    ] = None,
    port: Annotated[
        str | None, typer.Option(metavar="PORT", help="The port to listen on (8000); 0 takes any free one.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder for all data (./data); made if it is missing."),
    ] = None,
) -> int:
    """Start the server; Ctrl-C or SIGTERM stops it.

    All settings are shown in config.toml. Those of the file are overridden by BESEDA_<SECTION>__<KEY> in the
    environment, and both by the options here.
    """
    from beseda.config import ConfigError, load

    given = {"server.host": host, "server.port": port, "server.data_dir": data}
    try:
        settings = load(
            config, os.environ, {name: value for name, value in given.items() if value is not None}
        )
    except ConfigError as error:
        return fail(str(error), USAGE)

    from beseda.server import CannotStart, run

    try:
        run(settings)
    except CannotStart as error:
        return fail(str(error), FAILURE)
    return 0


@app.command()
def chat(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            help="The server, such as http://127.0.0.1:8000. Not needed where you know only one.",
        ),
    ] = None,
    email: Annotated[
        str | None, typer.Option("--as", metavar="EMAIL", help="The account, where you have several.")
    ] = None,
) -> int:
    """Talk to others in this terminal.

    It asks for what it needs to log in or to register, and keeps the login for the next time. Two people on one
    machine are two terminals and two accounts:

    beseda chat http://127.0.0.1:8000 --as ann@example.org

    beseda chat http://127.0.0.1:8000 --as bob@example.org
    """
    from beseda.client.chat.start import run

    code, reason = run(url, email)
    return fail(reason, code) if reason else code
