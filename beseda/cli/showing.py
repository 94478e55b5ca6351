"""What a command found, for people or for programs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MISSING = "-"
"""Stands in a table where there is nothing."""


def print_json(value: Any) -> None:
    """One JSON value, indented."""
    import orjson

    print(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def print_table(columns: Sequence[str] | None, rows: Iterable[Sequence[str]]) -> None:
    """A table as wide as the terminal at most; a line a row where it goes to a file or another program."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=columns is not None)
    for column in columns or ():
        table.add_column(column, overflow="fold", header_style="")
    for row in rows:
        # What stands in it came from people, and is no markup.
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        print(line.rstrip())


def printable(text: str) -> str:
    """`text` without what would speak to the terminal, or be shown in another order than it stands."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def to_the_second(time: str | None) -> str:
    """RFC 3339 without the milliseconds that programs get."""
    return MISSING if time is None else time[:19] + "Z"


def named(user: Mapping[str, Any]) -> str:
    """An account in a sentence."""
    return printable(f"{user['username']} (user {user['id']}, {user['email']})")
