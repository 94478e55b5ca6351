"""People who talk through the client class."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from beseda.client import Client, Tokens
from tests.support.rest import Person, Rest
from tests.support.server import ServerProcess

Join = Callable[..., Awaitable[Client]]


def client_of(person: Person) -> Client:
    """A client that is logged in as this person."""
    return Client(person.server.base_url, Tokens(person.token, person.refresh_token))


@pytest.fixture
async def join(server: ServerProcess, rest: Rest) -> AsyncIterator[Join]:
    """A new person's client: `ann = await join("ann")`."""
    async with contextlib.AsyncExitStack() as stack:

        async def join_one(name: str = "ann") -> Client:
            return await stack.enter_async_context(client_of(await rest.register(name)))

        yield join_one
