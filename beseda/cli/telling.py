"""What the commands tell who called them, and with which exit code."""

import sys

from beseda.cli.showing import printable

USAGE = 2
FAILURE = 1


def fail(message: str, code: int) -> int:
    """Tell in one line what is wrong; the exit code."""
    print("beseda: " + printable(" ".join(message.split())), file=sys.stderr)
    return code
