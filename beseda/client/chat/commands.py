"""The commands that one may type, and how a line is read as one. Pure."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command: what stands behind it, how many words of that there must be, and what it does."""

    name: str
    usage: str
    words: int
    help: str


COMMANDS = {
    command.name: command
    for command in (
        Command("dm", "NAME", 1, "talk with someone"),
        Command("group", '"TITLE" NAME…', 1, "talk with several, in a group"),
        Command("open", "NUMBER|NAME", 1, "go to a conversation"),
        Command("who", "NAME", 1, "find people by their first letters"),
        Command("send", "PATH [TEXT]", 1, "send a file"),
        Command("save", "NUMBER [PATH]", 1, "save a file (to your downloads)"),
        Command("members", "", 0, "who is in this group"),
        Command("add", "NAME…", 1, "add people to this group"),
        Command("remove", "NAME", 1, "take someone out of this group"),
        Command("title", "TITLE", 1, "give this group another title"),
        Command("leave", "", 0, "leave this group"),
        Command("logout", "", 0, "end this login and quit"),
        Command("quit", "", 0, "quit (also Ctrl-D)"),
        Command("help", "", 0, "show this (also F1)"),
    )
}

KEYS = (
    ("Ctrl-N, Ctrl-P", "next, previous conversation"),
    ("Alt-1 … Alt-0", "that one of the list"),
    ("PageUp, PageDown", "scroll; Esc: back to the end"),
    ("Alt-Enter, Tab", "new line; complete a name or a path"),
)

_WORD = re.compile(r""""([^"]*)"|'([^']*)'|((?:\\.|\S)+)""")


class Wrong(Exception):
    """The line is no command that could be done; `str()` is a sentence."""


def parse(line: str) -> tuple[Command, list[str], str]:
    """The command that a line is, its words, and all behind its first word as it stands. Raises Wrong."""
    name, _, rest = line.strip().removeprefix("/").partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        raise Wrong(f"There is no command /{name}. /help shows all; //{name} sends it as a message.")
    found = list(_WORD.finditer(rest))
    if len(found) < command.words:
        raise Wrong(f"It is /{name} {command.usage}: {command.help}.")
    behind = rest[found[0].end() :].strip() if found else ""
    return command, [_word(each) for each in found], behind


def _word(found: re.Match[str]) -> str:
    quoted = found[1] if found[1] is not None else found[2]
    return quoted if quoted is not None else re.sub(r"\\(.)", r"\1", found[3])


def help_rows() -> list[str]:
    """What /help shows."""
    commands = [(f"/{each.name} {each.usage}", each.help) for each in COMMANDS.values()]
    return [f"{left:<21}{right}" for left, right in [*commands, ("", ""), *KEYS]]
