"""What Tab offers: commands, people, conversations, files."""

import contextlib
import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from beseda.client import Client, ClientError
from beseda.client.chat.commands import COMMANDS
from beseda.client.chat.model import Model
from beseda.client.chat.text import one_line

_NAMES = frozenset({"dm", "group", "who", "add", "remove"})
MOST = 50


class Offers(Completer):
    """Completes the word before the cursor by where it stands."""

    def __init__(self, client: Client, model: Model) -> None:
        self._client = client
        self._model = model

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What is known without asking the server."""
        before = document.text_before_cursor
        command, space, rest = before.removeprefix("/").partition(" ")
        if before.startswith("/") and not before.startswith("//"):
            if not space:
                return _commands(command)
            if command == "send":
                return _paths(rest)
            if command == "save":
                return self._attachments(rest)
            if command == "open":
                return _words((self._model.title(each) for each in self._model.listed()), rest)
            return self._names(rest.split(" ")[-1]) if command in _NAMES else []
        word = before.replace("\n", " ").split(" ")[-1]
        if not word.startswith("@") or self._model.open is None:
            return []
        names = (self._model.name(each) for each in self._model.open.others(self._model.me))
        return _words((f"@{name}" for name in names), word)

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        """The same, and whom the server finds."""
        for completion in self.get_completions(document, complete_event):
            yield completion
        command, _, rest = document.text_before_cursor.removeprefix("/").partition(" ")
        word = rest.split(" ")[-1].removeprefix("@")
        if document.text.startswith("/") and command in _NAMES and word:
            with contextlib.suppress(ClientError):
                known = set(self._known())
                for user in await self._client.users(word, limit=MOST):
                    if (name := one_line(user["username"])) not in known:
                        yield Completion(name, -len(word))

    def _known(self) -> Iterator[str]:
        return (self._model.name(each) for each in self._model.people if each != self._model.me)

    def _names(self, word: str) -> list[Completion]:
        return _words(sorted(self._known()), word.removeprefix("@"))

    def _attachments(self, word: str) -> Iterator[Completion]:
        messages = self._model.open.messages if self._model.open else []
        for attachment in [one for message in reversed(messages) for one in message["attachments"]][:MOST]:
            number = str(attachment["id"])
            if number.startswith(word):
                yield Completion(number, -len(word), display_meta=one_line(attachment["filename"]))


def _commands(word: str) -> Iterator[Completion]:
    for command in COMMANDS.values():
        if command.name.startswith(word):
            shown = f"/{command.name} {command.usage}"
            text = command.name + (" " if command.usage else "")
            yield Completion(text, -len(word), display=shown, display_meta=command.help)


def _words(words: Iterable[str], word: str) -> list[Completion]:
    fitting = [each for each in words if each.casefold().startswith(word.casefold())]
    return [Completion(each, -len(word)) for each in fitting[:MOST]]


def _paths(typed: str) -> Iterator[Completion]:
    if typed.count('"') > 1:
        return  # The path is complete: what follows is text.
    path = typed.removeprefix('"')
    folder, _, beginning = path.rpartition("/")
    where = Path(folder + "/" if folder or path.startswith("/") else ".").expanduser()
    entries: list[os.DirEntry[str]] = []
    with contextlib.suppress(OSError), os.scandir(where) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    fitting = (each for each in entries if each.name.startswith(beginning))
    for entry in [each for each in fitting if beginning.startswith(".") or not each.name.startswith(".")][
        :MOST
    ]:
        name = entry.name + ("/" if entry.is_dir() else "")
        whole = path.removesuffix(beginning) + name
        if " " in whole:
            whole = f'"{whole}' if entry.is_dir() else f'"{whole}"'
        yield Completion(whole, -len(typed), display=one_line(name))
