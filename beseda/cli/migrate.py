"""`beseda migrate`."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beseda.cli.options import ConfigFile, DataFolder, settings
from beseda.cli.telling import FAILURE, USAGE, fail

if TYPE_CHECKING:
    from storage.database import Step


def migrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try it on a copy, tell how long it takes, and change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON, for scripts.")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """Bring the database to this version of Beseda.

    A start does that, too. Before it, a copy of the database is kept beside it. With --dry-run the server of the
    old version may go on running:

    beseda migrate --dry-run --data /var/lib/beseda
    """
    from beseda.config import ConfigError
    from storage import Unusable

    try:
        data_dir = settings(config, data).server.data_dir
    except ConfigError as error:
        return fail(str(error), USAGE)
    try:
        schema, steps = _tried(data_dir) if dry_run else _done(data_dir)
    except Unusable as error:
        return fail(str(error), FAILURE)
    except OSError as error:
        return fail(f"{error.filename or data_dir}: {error.strerror}", FAILURE)
    _show(schema, steps, dry_run, as_json)
    return 0


def _tried(data_dir: Path) -> "tuple[int, list[Step]]":
    from beseda.archives.workspace import workspace
    from storage import backup, database

    database_file = data_dir / database.FILE_NAME
    schema = database.schema_of(database_file)
    with workspace(data_dir) as folder:
        backup.copy(database_file, folder / database.FILE_NAME)
        return schema, database.rehearse(folder / database.FILE_NAME)


def _done(data_dir: Path) -> "tuple[int, list[Step]]":
    from storage import database

    database_file = data_dir / database.FILE_NAME
    # Asked before it is locked, as that would make a folder.
    database.schema_of(database_file)
    with contextlib.closing(database.lock(data_dir)):
        return database.upgraded(database_file)


def _show(schema: int, steps: "list[Step]", dry_run: bool, as_json: bool) -> None:
    from storage.database import migration_names

    names = migration_names()
    told = [
        {"name": names[step.schema - 1], "schema": step.schema, "seconds": round(step.seconds, 3)}
        for step in steps
    ]
    if as_json:
        from json import dumps

        print(dumps({"schema": schema, "dry_run": dry_run, "migrations": told}))
        return
    for step in told:
        print(f"{step['name']}: {step['seconds']:.1f} s{', on a copy' if dry_run else ''}")
    if not steps:
        print(f"The database is up to date (schema {schema}).")
    elif dry_run:
        print("All of them work. Nothing was changed.")
    else:
        print(f"The database is up to date; before-{schema}-*.db beside it is as it was.")
