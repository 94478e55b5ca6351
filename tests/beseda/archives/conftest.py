"""One small server for all tests of backups, made once: it has some of everything."""

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from beseda.archives.making import make
from beseda.keys import signing_key
from tests.support.archives import Members, read, uploaded
from tests.support.store import open_house


class Scene(NamedTuple):
    """A data folder that nobody serves, its backup, and what is in that."""

    folder: Path
    archive: Path
    members: Members
    conversation_id: int


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Made without an event loop of the test's own."""
    folder = tmp_path_factory.mktemp("scene")
    conversation_id = asyncio.run(build(folder / "data"))
    make(folder / "data", folder / "backup.tar")
    return Scene(folder / "data", folder / "backup.tar", read(folder / "backup.tar"), conversation_id)


async def build(folder: Path) -> int:
    """People, messages, files that were sent, one on S3, and one that wasn't sent; the group's id."""
    async with open_house(folder) as house:
        signing_key(folder)
        ann, bob = await house.people(2)
        await house.send(ann, await house.dialog(ann, bob), "hello")
        group = await house.group(ann, bob)
        for number in range(5):
            await house.send(bob, group, f"message {number}")
        await house.send(ann, group, attachments=[await uploaded(house, ann.user_id, b"x" * 2_500_000)])
        await house.send(ann, group, attachments=[await uploaded(house, ann.user_id, b"small")])
        away = await uploaded(house, ann.user_id, b"elsewhere")
        await house.send(ann, group, attachments=[away])
        await house.write(
            lambda tx: tx.execute("UPDATE attachments SET key = 'files/server/3-cc' WHERE id = ?", away)
        )
        await uploaded(house, bob.user_id, b"not sent yet")
    return group


@pytest.fixture(autouse=True)
def _not_nice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that gives way to the server would have all later tests of this process do so."""
    monkeypatch.setattr(os, "nice", lambda value: None)
