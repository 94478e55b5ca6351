"""The types of the fixtures in `tests/conftest.py` that are functions."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Protocol

from tests.support.rest import Person
from tests.support.server import ServerProcess, Setting
from tests.support.socket import Socket


class StartServer(Protocol):
    """The fixture `start_server`."""

    def __call__(
        self,
        settings: dict[str, Setting] | None = None,
        *,
        data_dir: Path | None = None,
        config: Path | None = None,
        wait: bool = True,
    ) -> ServerProcess:
        """Start a server; with `wait=False` without waiting until it listens, for a start that must be refused."""


class Connect(Protocol):
    """The fixture `connect`."""

    def __call__(self, person: Person, *, token: str | None = None, **query: Any) -> Awaitable[Socket]:
        """Open a person's socket and wait for its `hello`."""
