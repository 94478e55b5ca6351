"""`beseda health`: for supervisors that have no curl."""

from typing import TYPE_CHECKING, Annotated

import typer

from beseda.cli.options import ConfigFile, settings
from beseda.cli.telling import FAILURE, USAGE, fail

if TYPE_CHECKING:
    from beseda.settings import Config

SECONDS = 5.0


def health(
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="The server; without one, that of the settings, on this machine."),
    ] = None,
    config: ConfigFile = None,
) -> int:
    """Ask a server whether it is up: 0 if it is, 1 if not.

    beseda health

    beseda health http://127.0.0.1:9000
    """
    import http.client
    import ssl
    import urllib.error
    import urllib.request

    from beseda.config import ConfigError

    try:
        base = url or _own_url(settings(config, None))
    except ConfigError as error:
        return fail(str(error), USAGE)
    try:
        if not base.startswith(("http://", "https://")):
            raise ValueError("this is no URL of a server")
        # Nothing is told to it that would need a certificate to be believed, and this machine is not its name.
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting)
        )
        with opener.open(f"{base.rstrip('/')}/healthz", timeout=SECONDS):
            return 0
    except ValueError as error:
        return fail(f"{base}: {error}", USAGE)
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return fail(f"{base}: {reason}", FAILURE)


def _own_url(config: "Config") -> str:
    from beseda.greeting import reachable

    return reachable(config.server.host, config.server.port, tls=bool(config.server.tls_cert))
