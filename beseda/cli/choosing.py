"""A new password, from whoever runs a command. Never an argument: those are for everyone on the machine to see."""

import sys
from typing import Annotated

import typer

from beseda.cli.administering import Stop
from beseda.cli.telling import USAGE

LONGEST = 1024
"""In characters, as for everyone."""

FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, one line.")
]
Generate = Annotated[bool, typer.Option("--generate", help="Make up a password, and print it this once.")]


def encoded_password(*, from_stdin: bool, generate: bool) -> tuple[str, str | None]:
    """The hash of the new password, and the password itself where it was made up. Raises Stop, EOFError."""
    # It is hashed here: the server has better things to do.
    from actions.passwords import hash_password

    password = _chosen(from_stdin=from_stdin, generate=generate)
    return hash_password(password), password if generate else None


def _chosen(*, from_stdin: bool, generate: bool) -> str:
    if from_stdin and generate:
        raise Stop("--password-stdin and --generate exclude each other.", USAGE)
    if generate:
        import secrets

        return secrets.token_urlsafe(12)
    if from_stdin:
        return _checked(sys.stdin.readline(LONGEST + 2).rstrip("\r\n"))
    if not sys.stdin.isatty():
        raise Stop("There is no terminal to ask for a password: use --password-stdin or --generate.", USAGE)
    import getpass

    # It stops the echo before it asks, so that not even what is typed at once is shown.
    given = _checked(getpass.getpass("New password: ", sys.stderr))
    if getpass.getpass("Once more: ", sys.stderr) != given:
        raise Stop("They are not the same.", USAGE)
    return given


def _checked(password: str) -> str:
    from protocol.codec import parse
    from protocol.commands import Command, NewPassword
    from protocol.errors import Refused

    class Chosen(Command):
        password: NewPassword

    try:
        return parse(Chosen, {"password": password}).password
    except Refused as refusal:
        raise Stop(refusal.detail, USAGE) from None
