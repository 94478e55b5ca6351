"""What Tab offers."""

from pathlib import Path
from typing import Any, cast

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from beseda.client import Client, Unreachable
from beseda.client.chat.completion import Offers
from tests.beseda.client.chat.made import dialog, file, group, model, new, person


class Directory:
    """Stands in for a server's search."""

    def __init__(self, *names: str) -> None:
        self.names = names

    async def users(self, query: str, limit: int) -> list[Any]:
        if not self.names:
            raise Unreachable("Nothing listens.")
        return [person(100 + at, name) for at, name in enumerate(self.names) if name.startswith(query)]


async def offers(typed: str, *names: str) -> list[str]:
    """What the input would be with each of them."""
    ann = model(dialog(), group())
    ann.apply(new(12, files=[file(9), file(10, "cake.jpg")]))
    completer = Offers(cast(Client, Directory(*names)), ann)
    document = Document(typed)
    found = completer.get_completions_async(document, CompleteEvent())
    return [typed[: len(typed) + each.start_position] + each.text async for each in found]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("/d", ["/dm "]),
        ("/le", ["/leave"]),
        ("/dm b", ["/dm bob", "/dm bobby"]),
        ("/group Tea @b", ["/group Tea @bob", "/group Tea @bobby"]),
        ("/open t", ["/open Team"]),
        ("/save ", ["/save 9", "/save 10"]),
        ("/save 1", ["/save 10"]),
        ("hello @b", ["hello @bob"]),
        ("hello b", []),
        ("//d", []),
        ("/quit x", []),
    ],
)
async def test_each_word_is_completed_by_where_it_stands(typed: str, offered: list[str]) -> None:
    assert await offers(typed, "bob", "bobby") == offered


async def test_without_a_server_what_is_known_is_offered() -> None:
    assert await offers("/dm b") == ["/dm bob"]


async def test_paths_are_completed_hidden_ones_only_when_asked_for_and_blanks_are_quoted(
    tmp_path: Path,
) -> None:
    for name in ("tea.txt", "my tea.txt", ".secret"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    here = f"/send {tmp_path}/"
    assert await offers(here) == [f"{here}folder/", f'/send "{tmp_path}/my tea.txt"', f"{here}tea.txt"]
    assert await offers(here + ".s") == [here + ".secret"]
    assert await offers(f'/send "{tmp_path}/my') == [f'/send "{tmp_path}/my tea.txt"']
    assert await offers(f'/send "{tmp_path}/my tea.txt" loo') == []
    assert await offers("/send /no/such/folder/x") == []
