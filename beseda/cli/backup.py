"""`beseda backup`, `beseda verify` and `beseda restore`."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beseda.cli.options import ConfigFile, DataFolder, settings
from beseda.cli.telling import FAILURE, USAGE, fail

if TYPE_CHECKING:
    from beseda.archives.manifest import Manifest

Archive = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print what is in it as JSON, for scripts.")]

NICENESS = 10
"""Where CPU is short, the server goes first."""


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to put it.")],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """Put the whole server into one file, while it runs.

    In it are the database, the files of messages and the signing key: keep it as secret as the server itself. Files
    on S3 are not in it.

    beseda backup --data /var/lib/beseda /backup/beseda.tar
    """
    from beseda.archives import ArchiveError
    from beseda.archives.making import make
    from beseda.cli.watching import progress
    from beseda.config import ConfigError

    try:
        data_dir = settings(config, data).server.data_dir
    except ConfigError as error:
        return fail(str(error), USAGE)
    os.nice(NICENESS)
    try:
        with progress() as tell:
            manifest = make(data_dir, file, force=force, tell=tell)
    except ArchiveError as error:
        return fail(str(error), FAILURE)
    _show(manifest, as_json, f"{file} is made, and has")
    return 0


def verify(file: Archive, as_json: AsJson = False) -> int:
    """Check that a backup is whole.

    It looks at every byte, at the database's order, and whether every file that it names is there. Nothing is changed.

    beseda verify /backup/beseda.tar
    """
    from beseda.archives import ArchiveError
    from beseda.archives.opening import verify
    from beseda.cli.watching import progress

    try:
        with progress() as tell:
            manifest = verify(file, tell)
    except ArchiveError as error:
        return fail(str(error), FAILURE)
    _show(manifest, as_json, f"{file} is whole, and has")
    return 0


def restore(
    file: Archive, as_json: AsJson = False, config: ConfigFile = None, data: DataFolder = None
) -> int:
    """Make a server of a backup, in a new or empty folder.

    The backup is checked first. Its logins stay good; clients load everything anew.

    beseda restore /backup/beseda.tar --data /var/lib/beseda
    """
    from beseda.archives import ArchiveError
    from beseda.archives.restoring import restore
    from beseda.cli.watching import progress
    from beseda.config import ConfigError

    try:
        data_dir = settings(config, data).server.data_dir
    except ConfigError as error:
        return fail(str(error), USAGE)
    try:
        with progress() as tell:
            manifest = restore(file, data_dir, tell)
    except ArchiveError as error:
        return fail(str(error), FAILURE)
    _show(manifest, as_json, f"{data_dir} is restored, and has")
    if not as_json:
        from beseda.greeting import program

        print(f"Start it: {program()} serve --data {shlex.quote(str(data_dir))}")
    return 0


def _show(manifest: "Manifest", as_json: bool, beginning: str) -> None:
    if as_json:
        from json import dumps

        print(dumps(manifest.summary()))
        return
    counts = manifest.counts
    print(
        f"{beginning} {counts.users:,} users, {counts.conversations:,} conversations, {counts.messages:,} messages"
        f" and {sum(name.startswith('attachments/') for name in manifest.files):,} files, as of {manifest.created_at}."
    )
    if manifest.on_s3:
        print(f"{len(manifest.on_s3):,} files are on S3, and not in it.")
    if manifest.missing:
        print(f"Not in it, as the server did not have them: {', '.join(manifest.missing)}.")
