"""People whom all tests of a module share: registering costs more than most tests."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest_asyncio

from tests.support.rest import Person, Rest
from tests.support.server import ServerProcess


class Cast(NamedTuple):
    """Who plays in the tests. Ann owns the group, bob is a member of it, eve is a stranger."""

    ann: Person
    bob: Person
    eve: Person
    group: int
    dialog: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cast(server: ServerProcess) -> AsyncIterator[Cast]:
    """Ann and bob in a group and in a dialog, with a message in each; and eve."""
    async with Rest(server) as rest:
        ann, bob, eve = await rest.people("ann", "bob", "eve")
        group, dialog = await rest.group(ann, bob), await rest.dialog(ann, bob)
        await rest.send(ann, group, "hello all")
        await rest.send(ann, dialog, "hello bob")
        yield Cast(ann, bob, eve, group, dialog)
