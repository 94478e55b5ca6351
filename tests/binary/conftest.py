"""The executable, which `make check` has built before."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.one_file import FILE, OneFileServer
from tests.support.server import Setting


class StartFile(Protocol):
    """The fixture `start_file`."""

    def __call__(self, settings: Mapping[str, Setting] | None = None) -> OneFileServer:
        """Start the executable as a server; at the end of the test it must stop with 0, where it still runs."""


@pytest.fixture(autouse=True)
def _built() -> None:
    if sys.platform != "linux":
        pytest.skip("the file is for Linux")
    assert FILE.exists(), "make binary"


@pytest.fixture
def start_file(tmp_path: Path) -> Iterator[StartFile]:
    """Starts the executable on data of the test's own."""
    with contextlib.ExitStack() as stack:

        def start(settings: Mapping[str, Setting] | None = None) -> OneFileServer:
            return stack.enter_context(OneFileServer(tmp_path / "server", settings)).start()

        yield start
