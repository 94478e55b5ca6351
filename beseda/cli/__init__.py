"""The command line. What a command needs is imported by that command: `--help` answers at once."""

import os
import sys
from typing import Annotated

import typer

from beseda import frozen
from beseda.cli.backup import backup, restore, verify
from beseda.cli.chat import chat
from beseda.cli.health import health
from beseda.cli.init import init
from beseda.cli.invite import invite
from beseda.cli.migrate import migrate
from beseda.cli.serve import serve
from beseda.cli.session import session
from beseda.cli.stats import stats
from beseda.cli.telling import FAILURE, fail
from beseda.cli.user import user

app = typer.Typer(
    name="beseda",
    help="Beseda, a messenger server for yourself and your people.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 it could not be done, 2 it was asked for wrongly."""
    if frozen.IS_FROZEN:
        frozen.enter()
    _open_what_is_closed()
    try:
        code = app(prog_name="beseda", standalone_mode=False) or 0
        sys.stdout.flush()
    except typer.TyperException as error:
        code = fail(error.format_message(), error.exit_code)
    except typer.Abort:
        code = FAILURE
    except BrokenPipeError:
        # Whoever read us, `head` for one, has seen enough. Python would write the rest once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILURE
    sys.exit(code)


def _open_what_is_closed() -> None:
    """Have nobody listen to what is written where whoever started us closed a stream, as some supervisors do."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - to the end


def show_version(wanted: bool) -> None:
    """`--version`."""
    if wanted:
        import platform

        from beseda import commit, version
        from storage.database import SQLITE_VERSION

        built_of = f"commit {commit()}, Python {platform.python_version()}, SQLite {SQLITE_VERSION}"
        print(f"beseda {version()} ({built_of})")
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


app.command()(init)
app.command()(serve)
app.command()(chat)
app.add_typer(user, name="user")
app.add_typer(invite, name="invite")
app.add_typer(session, name="session")
app.command()(stats)
app.command()(backup)
app.command()(verify)
app.command()(restore)
app.command()(migrate)
app.command()(health)
