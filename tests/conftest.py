"""Fixtures that every test may use: real servers, people on them, sockets."""

import contextlib
import logging
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import secrets
from tests.support import server as servers
from tests.support.fixtures import Connect, StartServer
from tests.support.rest import Person, Rest
from tests.support.s3 import Bucket, running_bucket
from tests.support.server import ServerProcess, Setting
from tests.support.socket import Socket, open_socket


def pytest_configure(config: pytest.Config) -> None:
    # How long a callback took says something of the machine, and tests ask whether anything was logged at all.
    logging.getLogger("asyncio").addFilter(lambda record: not str(record.msg).startswith("Executing "))
    for name in secrets.SPEAKERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
    config.addinivalue_line(
        "markers", "genuine: its servers are `python -m beseda`, with passwords that cost"
    )


@pytest.fixture(autouse=True)
def no_secret_is_logged() -> Iterator[None]:
    """No line that is logged in this process while a test runs holds a token, a password, or what somebody wrote."""
    with secrets.overhearing() as heard:
        yield
        heard.check()


def is_genuine(request: pytest.FixtureRequest) -> bool:
    """Whether the test or the module is marked `genuine`."""
    node: pytest.Item | pytest.Collector = request.node
    return node.get_closest_marker("genuine") is not None


@pytest.fixture(scope="session")
def bucket() -> Iterator[Bucket]:
    """A bucket on S3, with whatever other tests have left in it."""
    with running_bucket() as running:
        yield running


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ServerProcess]:
    """A server with default settings, shared by the tests of a module."""
    with ServerProcess(tmp_path_factory.mktemp("server"), genuine=is_genuine(request)) as process:
        yield process.start()


@pytest.fixture
def start_server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StartServer]:
    """Starts servers of the test's own: `start_server({"presence.linger_seconds": 0.1})`.

    With `wait=False` it doesn't wait until the server listens: for a start that must be refused.
    """
    with contextlib.ExitStack() as stack:
        started: list[ServerProcess] = []

        def start(
            settings: dict[str, Setting] | None = None,
            *,
            data_dir: Path | None = None,
            config: Path | None = None,
            wait: bool = True,
        ) -> ServerProcess:
            folder = tmp_path / f"server{len(started)}"
            process = ServerProcess(
                folder, settings, data_dir=data_dir, config=config, genuine=is_genuine(request)
            )
            started.append(process)
            if wait:
                stack.enter_context(process)
                return process.start()
            # Its exit code is the test's business; that it ends is ours.
            stack.callback(process.let_go)
            process.launch()
            return process

        yield start


@pytest.fixture
def fresh_server(start_server: StartServer) -> ServerProcess:
    """A server with default settings and no data, for this test alone."""
    return start_server()


@pytest.fixture
async def rest(server: ServerProcess) -> AsyncIterator[Rest]:
    """REST on the module's `server`; for another one: `async with Rest(process) as rest`."""
    async with Rest(server) as client:
        yield client


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens sockets, on whichever server the person lives, and closes them after the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_one(person: Person, *, token: str | None = None, **query: Any) -> Socket:
            return await stack.enter_async_context(await open_socket(person, token=token, **query))

        yield open_one


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test shows what the servers have written."""
    report = yield
    if report.failed:
        for process in servers.current:
            report.sections.append((f"output of the server {process.base_url}", process.output()[-20_000:]))
    return report
