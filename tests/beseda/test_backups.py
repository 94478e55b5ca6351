"""Backups that the server makes by itself."""

import asyncio
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from beseda import backups, frozen
from beseda.archives.opening import verify
from beseda.settings import Backup
from tests.storage.test_migrations import build_first
from tests.support.fixtures import StartServer

HOUR = 3_600_000
WAIT = 20


def touch(folder: Path, hours_ago: float) -> Path:
    """A backup that was begun so long ago."""
    began = datetime.fromtimestamp(time.time() - hours_ago * 3600, UTC)
    path = folder / began.strftime(backups.NAME)
    path.touch()
    return path


def made(folder: Path) -> list[str]:
    """The files in a folder, oldest first."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A folder with a server's data."""
    folder = tmp_path / "data"
    folder.mkdir()
    build_first(folder)
    return folder


def test_the_last_one_is_known_by_its_name(tmp_path: Path) -> None:
    assert backups.last_at(tmp_path / "none") is None
    for name in ("beseda-2025-11-24T030000Z.tar", "beseda-2025-11-23T235959Z.tar"):
        (tmp_path / name).touch()
    for name in (
        "beseda-mine.tar",
        "beseda-2025-99-99T000000Z.tar",
        "beseda-2025-11-25T030000Z.tar.gz",
        "other",
    ):
        (tmp_path / name).touch()
    touch(tmp_path, hours_ago=-30)  # by a clock that was set back
    assert backups.last_at(tmp_path) == 1_763_953_200_000


@pytest.mark.parametrize(
    ("setting", "where"),
    [("backups", "data/backups"), ("../aside", "data/../aside"), ("/elsewhere", "/elsewhere")],
)
def test_a_relative_folder_is_relative_to_the_data(tmp_path: Path, setting: str, where: str) -> None:
    folder = backups.folder(tmp_path / "data", Backup(folder=Path(setting)))
    assert folder == tmp_path / where


async def test_one_is_made_and_those_that_are_too_old_go(
    data_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    oldest, old, last = [touch(folder, hours) for hours in (72, 48, 24)]
    (folder / "beseda-mine.tar").touch()
    caplog.set_level(logging.INFO, "beseda.backups")
    async with asyncio.timeout(WAIT):
        assert await backups.make(data_dir, folder, keep=2)
    assert not oldest.exists()
    assert not old.exists()
    [new] = set(made(folder)) - {last.name, "beseda-mine.tar"}
    assert verify(folder / new).counts.users == 3
    [line] = caplog.messages
    assert line.startswith("A backup was made in ")
    assert f"{folder / new}, {(folder / new).stat().st_size} bytes" in line


async def test_one_that_cannot_be_made_is_told_in_the_log_and_removes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    old = [touch(folder, hours).name for hours in (48, 24)]
    async with asyncio.timeout(WAIT):
        assert not await backups.make(tmp_path / "none", folder, keep=1)
    assert made(folder) == sorted(old)
    assert caplog.messages == [f"A backup was not made: {tmp_path}/none/beseda.db: there is no database."]


async def test_an_old_one_that_cannot_be_removed_is_told_and_the_new_one_counts(
    data_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    oldest, old = touch(folder, 72), touch(folder, 48)
    oldest.unlink()
    oldest.mkdir()
    async with asyncio.timeout(WAIT):
        assert await backups.make(data_dir, folder, keep=1)
    assert f"An old backup was not removed: {oldest}: Is a directory" in caplog.messages
    assert not old.exists()


async def test_a_place_where_no_folder_can_be_is_a_line_of_the_log_without_a_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "backups").touch()
    async with backups.made_in_time(tmp_path, Backup(every_hours=24)), asyncio.timeout(WAIT):
        while not caplog.records:
            await asyncio.sleep(0)
    [record] = caplog.records
    assert record.getMessage() == f"A backup was not made: {tmp_path}/backups: File exists"
    assert record.exc_info is None


class Made:
    """Counts what would be made, and tells when that was asked for."""

    def __init__(self, succeeds: bool = True) -> None:
        self.asked = asyncio.Event()
        self.count = 0
        self._succeeds = succeeds

    async def __call__(self, data_dir: Path, folder: Path, keep: int) -> bool:
        self.count += 1
        self.asked.set()
        folder.mkdir(exist_ok=True)
        if self._succeeds:
            touch(folder, 0)
        return self._succeeds


async def settle() -> None:
    """Until the task has gone as far as it goes by itself: it waits for threads, and then for time."""
    for _ in range(20):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("hours_ago", "is_made"), [(None, True), (25, True), (23, False), (-30, True)], ids=str
)
async def test_one_is_made_at_the_start_if_the_last_is_older_than_the_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours_ago: float | None, is_made: bool
) -> None:
    (tmp_path / "backups").mkdir()
    if hours_ago is not None:
        touch(tmp_path / "backups", hours_ago)
    monkeypatch.setattr(backups, "make", make := Made())
    async with backups.made_in_time(tmp_path, Backup(every_hours=24)), asyncio.timeout(WAIT):
        if is_made:
            await make.asked.wait()
        await settle()
    assert make.count == is_made


async def test_one_that_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(backups, "make", make := Made(succeeds=False))
    async with backups.made_in_time(tmp_path, Backup(every_hours=24)), asyncio.timeout(WAIT):
        while make.count < 3:
            make.asked.clear()
            await make.asked.wait()


async def test_without_an_interval_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "make", make := Made())
    async with backups.made_in_time(tmp_path, Backup()):
        await settle()
    assert make.count == 0


async def test_the_end_breaks_off_one_under_way(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = tmp_path / "begun"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $$ > {begun}.new && mv {begun}.new {begun} && exec sleep 60\n")
    program.chmod(0o700)
    monkeypatch.setattr(frozen, "command", lambda: [str(program)])
    async with backups.made_in_time(data_dir, Backup(every_hours=1)), asyncio.timeout(WAIT):
        while not begun.exists():
            await asyncio.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)


async def test_a_server_makes_its_first_one_at_its_start(start_server: StartServer) -> None:
    server = start_server({"backup.every_hours": 24, "backup.folder": "../kept"})
    folder = server.data_dir.parent / "kept"
    async with asyncio.timeout(WAIT):
        while backups.last_at(folder) is None:
            await asyncio.sleep(0.05)
        while "A backup was made in " not in server.output():
            await asyncio.sleep(0.05)
    assert server.stop() == 0
    [name] = made(folder)
    assert verify(folder / name).counts.users == 0
