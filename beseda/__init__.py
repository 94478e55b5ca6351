"""How the server is started: the command line, the settings, and the composition root."""

from importlib import metadata
from pathlib import Path

COMMIT_FILE = "commit"
"""In this package, where it was built into the executable: the commit of which it was built."""


def version() -> str:
    """The version that is installed; `unknown` where the package runs without having been installed."""
    try:
        return metadata.version("beseda")
    except metadata.PackageNotFoundError:
        return "unknown"


def commit() -> str:
    """The commit that runs, with `-dirty` behind it if it was changed; `unknown` outside of a repository.

    Where it was not built in, git is asked: a few milliseconds.
    """
    import subprocess

    package = Path(__file__).parent
    built_in = package / COMMIT_FILE
    if built_in.exists():
        return built_in.read_text("utf-8").strip()
    repository = package.parent
    # Somebody else's repository may lie around an installed package.
    if not (repository / ".git").exists():
        return "unknown"
    git = ["git", "--no-optional-locks", "-C", str(repository)]
    try:
        told = subprocess.run(  # noqa: S603 - nothing in it comes from elsewhere
            [*git, "describe", "--always", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.stdout.strip()
