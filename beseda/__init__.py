"""How the server is started: the command line, the settings, and the composition root."""

from importlib import metadata


def version() -> str:
    """The version that is installed; `unknown` where the package runs without having been installed."""
    try:
        return metadata.version("beseda")
    except metadata.PackageNotFoundError:
        return "unknown"
