"""Servers that something goes wrong with, and the people on them."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.faults import Faults, build_library
from tests.support.load import crowd
from tests.support.rest import Person
from tests.support.server import ServerProcess, Setting


@dataclass(frozen=True)
class Scene:
    """A server with people who have conversations; not started yet."""

    server: ServerProcess
    people: list[Person]
    chats: list[int]


class MakeScene(Protocol):
    """The fixture `make_scene`."""

    def __call__(
        self,
        people: int,
        groups: Sequence[Sequence[int]],
        settings: Mapping[str, Setting] | None = None,
        *,
        faults: Faults | None = None,
        module: str = "beseda",
        folder: Path | None = None,
    ) -> Scene:
        """So many people, and a conversation for each list of their indexes; the caller starts the server."""


@pytest.fixture
def make_scene(tmp_path: Path) -> Iterator[MakeScene]:
    """Makes servers with people on them: `scene = make_scene(3, [[0, 1], [0, 1, 2]])`."""
    with contextlib.ExitStack() as stack:

        def make(
            people: int,
            groups: Sequence[Sequence[int]],
            settings: Mapping[str, Setting] | None = None,
            *,
            faults: Faults | None = None,
            module: str = "beseda",
            folder: Path | None = None,
        ) -> Scene:
            server = ServerProcess(
                folder or tmp_path / "server",
                settings,
                environment=faults.environment if faults else None,
                module=module,
            )
            stack.enter_context(server)
            return Scene(server, *crowd(server, people, groups))

        yield make


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes things go wrong; only tests marked `gate` may ask for it."""
    if sys.platform != "linux":
        pytest.skip("the library gets between the server and Linux's libc")
    return build_library(tmp_path_factory.mktemp("library"))


@pytest.fixture
def faults(library: Path, tmp_path: Path) -> Faults:
    """What goes wrong in the test's server."""
    return Faults(library, tmp_path)
