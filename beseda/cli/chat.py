"""`beseda chat`."""

from typing import Annotated

import typer

from beseda.cli.telling import fail


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
