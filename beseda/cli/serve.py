"""`beseda serve`."""

from typing import Annotated

import typer

from beseda.cli.options import ConfigFile, DataFolder, settings
from beseda.cli.telling import FAILURE, USAGE, fail


def serve(
    config: ConfigFile = None,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="The address to listen on (127.0.0.1).")
    ] = None,
    port: Annotated[
        str | None, typer.Option(metavar="PORT", help="The port to listen on (8000); 0 takes any free one.")
    ] = None,
    data: DataFolder = None,
) -> int:
    """Start the server; Ctrl-C or SIGTERM stops it.

    The folder for the data is made if it is missing. All settings are shown in config.toml. Those of the file are
    overridden by BESEDA_<SECTION>__<KEY> in the environment, and both by the options here.
    """
    from beseda.config import ConfigError

    try:
        wanted = settings(config, data, **{"server.host": host, "server.port": port})
    except ConfigError as error:
        return fail(str(error), USAGE)

    from beseda.server import CannotStart, run

    try:
        run(wanted)
    except CannotStart as error:
        return fail(str(error), FAILURE)
    return 0
