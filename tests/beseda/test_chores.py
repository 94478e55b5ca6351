"""What the server clears away by itself."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from actions.attachments import AttachmentRules
from beseda import chores
from beseda.chores import clear_away, doing_chores, end_sessions
from protocol.errors import Refused
from storage import Settings, Store, Transaction, invites, open_store, sessions, uploads, users
from storage.attachments.local import Held, LocalFiles
from storage.attachments.s3 import S3Files

DAY = 86_400_000
LIMITS = AttachmentRules(max_bytes=100, unsent_files=2, unsent_bytes=200, min_free_bytes=0)


@dataclass
class Clock:
    """The time, in milliseconds since the epoch, as the test has it."""

    now: int = 1_763_903_100_000

    def __call__(self) -> int:
        return self.now


@dataclass
class House:
    """A store with one user, and the store of its files."""

    store: Store
    files: LocalFiles
    clock: Clock
    user_id: int


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    def unit(tx: Transaction) -> int:
        return users.insert(
            tx, username="ann", username_key="ann", email="a@b", email_key="a@b", password="", is_admin=False
        )

    clock = Clock()
    async with open_store(Settings(tmp_path, "full"), clock) as store:
        yield House(store, LocalFiles(tmp_path), clock, await store.write(unit))


async def log_in(house: House, days: int) -> int:
    """A session that lasts so many days."""

    def unit(tx: Transaction) -> int:
        return sessions.insert(
            tx,
            user_id=house.user_id,
            refresh_id="r",
            expires_at=tx.now + days * DAY,
            address="",
            user_agent="",
        )

    return await house.store.write(unit)


async def live_sessions(house: House) -> list[int]:
    found = await house.store.read(lambda snapshot: sessions.of_user(snapshot, house.user_id))
    return [session.id for session in found]


async def test_sessions_that_have_expired_are_ended_however_many(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actions.sessions.EXPIRED_AT_ONCE", 2)
    for _ in range(5):
        await log_in(house, days=1)
    lasting = await log_in(house, days=3)
    house.clock.now += 2 * DAY
    told: list[object] = []
    house.store.publish = told.extend
    await end_sessions(house.store)
    assert await live_sessions(house) == [lasting]
    assert len(told) == 5, "their sockets were not told"


async def test_invitations_that_have_expired_are_removed(house: House) -> None:
    def unit(tx: Transaction) -> None:
        for code, expires_at in {"short": tx.now + DAY, "long": tx.now + 3 * DAY, "endless": None}.items():
            invites.insert(tx, code_hash=code, uses=1, created_by=house.user_id, expires_at=expires_at)

    await house.store.write(unit)
    house.clock.now += 2 * DAY
    await clear_away(house.store, house.files, LIMITS)
    left = await house.store.read(lambda snapshot: snapshot.rows("SELECT code_hash FROM invites ORDER BY id"))
    assert left == [("long",), ("endless",)]


async def test_uploads_that_were_never_sent_are_removed(house: House) -> None:
    def unit(tx: Transaction) -> int:
        return uploads.insert(
            tx, uploader_id=house.user_id, filename="a", content_type="text/plain", declared_size=None
        )

    old = await house.store.write(unit)
    house.clock.now += 2 * DAY
    new = await house.store.write(unit)
    await clear_away(house.store, house.files, LIMITS)
    assert await house.store.read(lambda snapshot: uploads.find(snapshot, old)) is None
    assert await house.store.read(lambda snapshot: uploads.find(snapshot, new)) is not None


async def test_when_s3_fails_all_else_is_done(house: House) -> None:
    class Down:
        async def held(self, before: int) -> AsyncIterator[list[Held]]:
            raise Refused("unavailable", "S3 is down.")
            yield []  # type: ignore[unreachable]  # makes it a stream

    def unit(tx: Transaction) -> int:
        attachment_id = uploads.insert(
            tx, uploader_id=house.user_id, filename="a", content_type="text/plain", declared_size=None
        )
        uploads.expect_on_s3(tx, attachment_id, "uploads/x/1-y")
        return attachment_id

    old = await house.store.write(unit)
    house.clock.now += 2 * DAY
    with pytest.raises(Refused, match="S3 is down"):
        await clear_away(house.store, house.files, LIMITS, cast(S3Files, Down()))
    assert await house.store.read(lambda snapshot: uploads.find(snapshot, old)) is None


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (Refused("unavailable", "The disk is full."), "A clean-up was not done: The disk is full."),
        (ValueError("a bug"), "A clean-up failed"),
    ],
)
async def test_one_failure_does_not_end_them_for_good(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    line: str,
) -> None:
    rounds = asyncio.Queue[int]()

    async def sweep(*arguments: object) -> None:
        rounds.put_nowait(1)
        if rounds.qsize() == 1:
            raise error

    monkeypatch.setattr("actions.attachments.sweep", sweep)
    monkeypatch.setattr(chores, "EVERY_SECONDS", 0.01)
    async with doing_chores(house.store, house.files, LIMITS), asyncio.timeout(20):
        while rounds.qsize() < 3:
            await asyncio.sleep(0.01)
    told = [record.getMessage() for record in caplog.records if record.name == "beseda.chores"]
    assert told == [line]
    assert any(record.levelno >= logging.WARNING for record in caplog.records)
    count = rounds.qsize()
    await asyncio.sleep(0.05)
    assert rounds.qsize() == count, "they go on after the end"


async def test_a_session_that_runs_out_ends_soon_not_with_the_next_request(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chores, "SESSIONS_EVERY_SECONDS", 0.01)
    await log_in(house, days=1)
    async with doing_chores(house.store, house.files, LIMITS), asyncio.timeout(20):
        assert len(await live_sessions(house)) == 1
        told: list[object] = []
        house.store.publish = told.extend
        house.clock.now += 2 * DAY
        while not told:
            await asyncio.sleep(0.01)
    assert chores.SESSIONS_EVERY_SECONDS < chores.EVERY_SECONDS
