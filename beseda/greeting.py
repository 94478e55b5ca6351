"""What a starting server tells whoever started it: where it is, where its data is, and what to do next."""

import shlex
import sys
from pathlib import Path

from beseda.listening import url
from protocol.entities import Registration

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here


def greeting(
    program: str,
    host: str,
    port: int,
    data_dir: Path,
    registration: Registration,
    *,
    has_accounts: bool,
    tls: bool = False,
) -> str:
    """The lines. Scripts read the first one; its form is fixed. `program` is how Beseda was called."""
    address = url(host, port, tls=tls)
    lines = [f"Beseda listens on {address}", f"Its data is in {data_dir}", ""]
    if has_accounts:
        lines += ["Press Ctrl-C to stop it."]
    elif registration == "closed":
        lines += [
            'There is no account yet, and nobody may register: set auth.registration to "open" for the first one.'
        ]
    else:
        lines += [
            "There is no account yet. The first to register becomes the server's admin. In another terminal:",
            "",
            f"  {program} chat {reachable(host, port, tls=tls)}",
        ]
    return "\n".join(lines)


def program() -> str:
    """How Beseda was called, as the beginning of another command."""
    return "python -m beseda" if sys.argv[0].endswith("__main__.py") else shlex.quote(sys.argv[0])


def reachable(host: str, port: int, *, tls: bool = False) -> str:
    """The URL at which the server is reached from its own machine: nobody can connect to "everywhere"."""
    return url(_EVERYWHERE.get(host, host), port, tls=tls)
