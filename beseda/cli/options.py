"""Options that several commands have, the settings that follow from them, and groups of commands."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from beseda.settings import Config

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Read settings from this file. Without it none is read."),
]
DataFolder = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The folder with all data (./data).")
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with the fields of the REST API.")]


def settings(config: Path | None, data: Path | None, **more: object) -> "Config":
    """The settings of the server that the options name; `more` are other flags. Raises ConfigError."""
    from beseda.config import load

    given = {"server.data_dir": data, **more}
    return load(config, os.environ, {name: value for name, value in given.items() if value is not None})


def group(text: str) -> typer.Typer:
    """A command that has commands: alone it tells which."""
    made = typer.Typer(rich_markup_mode=None)

    @made.callback(invoke_without_command=True, help=text)
    def show_help(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            print(context.get_help())

    return made
