"""Files on the disk: whole and durable or not there at all, whatever breaks off."""

import asyncio
import errno
import logging
import os
import secrets
import stat
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.errors import Refused
from storage.attachments import disk, local
from storage.attachments.local import CHUNK, LocalFiles, Received

PLENTY = 1 << 40


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path)


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def receive(files: LocalFiles, *pieces: bytes, max_bytes: int = PLENTY, min_free: int = 0) -> Received:
    async with files.receive(7, stream(*pieces), max_bytes=max_bytes, min_free_bytes=min_free) as received:
        return received


async def read(files: LocalFiles, key: str, start: int = 0, stop: int | None = None) -> bytes:
    file = await files.open(key)
    try:
        stop = file.size if stop is None else stop
        return b"".join([chunk async for chunk in file.chunks(start, stop)])
    finally:
        file.close()


def kept(folder: Path) -> list[Path]:
    return [path for path in (folder / "attachments").rglob("*") if not path.is_dir()]


def code(refused: pytest.ExceptionInfo[Refused]) -> str:
    return refused.value.code


async def test_what_was_received_is_read_back(files: LocalFiles, tmp_path: Path) -> None:
    pieces = [os.urandom(70_000) for _ in range(12)]
    received = await receive(files, *pieces)
    whole = b"".join(pieces)
    assert received.size == len(whole) > CHUNK
    assert await read(files, received.key) == whole
    assert await read(files, received.key, 69_999, 70_001) == whole[69_999:70_001]
    assert kept(tmp_path) == [tmp_path / "attachments" / received.key]


async def test_an_empty_file_is_a_file(files: LocalFiles) -> None:
    received = await receive(files)
    assert received.size == 0
    assert await read(files, received.key) == b""


async def test_no_one_else_on_the_machine_may_read_files(files: LocalFiles, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        received = await receive(files, b"secret")
    finally:
        os.umask(before)
    path = tmp_path / "attachments" / received.key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in path.parents[:2]] == [0o700, 0o700]


async def test_every_upload_gets_a_random_key_of_its_own(files: LocalFiles) -> None:
    keys = {(await receive(files, b"x")).key for _ in range(50)}
    assert len(keys) == 50
    assert len({key.partition("/")[0] for key in keys}) > 10, "the files are spread over folders"


async def test_bytes_are_durable_before_their_name_and_the_name_before_the_block(
    files: LocalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def watched_fsync(descriptor: int) -> None:
        fsync(descriptor)
        done.append("fsync " + ("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"))

    def watched_rename(self: Path, target: Path) -> Path:
        done.append("rename")
        return rename(self, target)

    names = iter(["ab" + "0" * 30, "ab" + "1" * 30])  # two files in one folder
    monkeypatch.setattr(secrets, "token_hex", lambda size: next(names))
    await receive(files, b"makes the folders")
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "rename", watched_rename)
    async with files.receive(7, stream(b"x"), max_bytes=5, min_free_bytes=0):
        assert done == ["fsync file", "rename", "fsync folder"]


async def test_a_file_beyond_the_limit_is_refused_while_it_streams(files: LocalFiles, tmp_path: Path) -> None:
    asked = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield bytes(CHUNK)

    with pytest.raises(Refused) as refused:
        async with files.receive(7, endless(), max_bytes=3 * CHUNK, min_free_bytes=0):
            pytest.fail("it was taken")
    assert code(refused) == "too_large"
    assert asked == 4, "nothing is read past the limit"
    assert kept(tmp_path) == []


async def test_a_file_of_exactly_the_limit_is_taken(files: LocalFiles) -> None:
    assert (await receive(files, bytes(CHUNK), b"x", max_bytes=CHUNK + 1)).size == CHUNK + 1


async def test_a_stream_that_breaks_off_leaves_nothing(files: LocalFiles, tmp_path: Path) -> None:
    class Gone(Exception):
        pass

    async def breaking() -> AsyncIterator[bytes]:
        yield bytes(CHUNK)
        assert len(kept(tmp_path)) == 1, "it is on its way to the disk"
        raise Gone

    with pytest.raises(Gone):
        async with files.receive(7, breaking(), max_bytes=PLENTY, min_free_bytes=0):
            pytest.fail("it was taken")
    assert kept(tmp_path) == []


async def test_a_cancelled_upload_leaves_nothing_even_in_the_middle_of_a_write(
    files: LocalFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = asyncio.Event()
    loop = asyncio.get_running_loop()
    write = os.write

    def slow_write(descriptor: int, data: bytes) -> int:
        loop.call_soon_threadsafe(writing.set)
        time.sleep(0.1)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", slow_write)
    upload = asyncio.ensure_future(receive(files, b"x"))
    await writing.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert kept(tmp_path) == []


async def test_a_key_that_was_refused_to_be_recorded_goes_with_its_file(
    files: LocalFiles, tmp_path: Path
) -> None:
    with pytest.raises(Refused):
        async with files.receive(7, stream(b"x"), max_bytes=5, min_free_bytes=0):
            assert len(kept(tmp_path)) == 1
            raise Refused("attachment_unavailable")
    assert kept(tmp_path) == []


async def test_a_file_whose_recording_is_unknown_stays(files: LocalFiles, tmp_path: Path) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with files.receive(7, stream(b"x"), max_bytes=5, min_free_bytes=0):
            raise asyncio.CancelledError
    assert len(kept(tmp_path)) == 1
    assert [held async for held in files.held()] == [[]], "nor does this process sweep it"
    assert [len(held) async for held in LocalFiles(tmp_path).held()] == [1], "the next one may"


async def test_uploads_leave_the_room_that_messages_need(files: LocalFiles, tmp_path: Path) -> None:
    free = await files.free_bytes()
    assert free > 0
    with pytest.raises(Refused) as refused:
        await receive(files, b"x", min_free=free + (1 << 40))
    assert (code(refused), refused.value.retry_after) == ("storage_low", 60)
    assert kept(tmp_path) == []


async def test_room_is_asked_for_again_while_a_file_streams(
    files: LocalFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 5 * CHUNK
    left = iter(range(room, -room, -CHUNK))
    monkeypatch.setattr(disk, "free_bytes", lambda folder: next(left))
    with pytest.raises(Refused) as refused:
        await receive(files, *[bytes(CHUNK)] * 20, min_free=CHUNK)
    assert code(refused) == "storage_low"
    assert kept(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "storage_low"),
        (errno.EDQUOT, "storage_low"),
        (errno.EIO, "unavailable"),
        (errno.EMFILE, "unavailable"),
    ],
)
@pytest.mark.parametrize("call", ["open", "write", "fsync"])
async def test_a_disk_that_fails_is_no_bug_and_leaves_nothing(
    files: LocalFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
    number: int,
    expected: str,
) -> None:
    await receive(files, b"makes the folders")
    before = kept(tmp_path)

    def fail(*args: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch, pytest.raises(Refused) as refused:
        patch.setattr(os, call, fail)
        await receive(files, b"x")
    assert code(refused) == expected
    assert refused.value.status == 503
    assert refused.value.retry_after
    assert kept(tmp_path) == before
    assert bool(caplog.records) == (expected == "unavailable"), "what the operator must see is logged"


async def test_short_writes_are_continued(files: LocalFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:1000]))
    data = os.urandom(10_500)
    assert await read(files, (await receive(files, data)).key) == data


async def test_a_large_file_is_never_whole_in_memory(files: LocalFiles) -> None:
    piece = os.urandom(65_536)

    async def large() -> AsyncIterator[bytes]:
        for _ in range(512):
            yield piece

    tracemalloc.start()
    try:
        async with files.receive(7, large(), max_bytes=PLENTY, min_free_bytes=0) as received:
            pass
        file = await files.open(received.key)
        async for _ in file.chunks(0, file.size):
            pass
        file.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert received.size == 512 * 65_536
    assert peak < 4 * CHUNK


async def test_a_slow_disk_does_not_stop_the_loop(files: LocalFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def slow_fsync(descriptor: int) -> None:
        time.sleep(0.2)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow_fsync)
    upload = asyncio.ensure_future(receive(files, b"x"))
    turns = 0
    while not upload.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert turns >= 10


async def test_an_open_file_is_read_to_its_end_after_it_was_deleted(files: LocalFiles) -> None:
    received = await receive(files, b"bytes")
    file = await files.open(received.key)
    await files.delete(received.key)
    assert b"".join([chunk async for chunk in file.chunks(0, 5)]) == b"bytes"
    file.close()
    with pytest.raises(FileNotFoundError):
        await files.open(received.key)
    await files.delete(received.key)  # and once more is no error


async def test_a_file_tells_its_size_and_how_it_begins(files: LocalFiles) -> None:
    data = os.urandom(5000)
    file = await files.open((await receive(files, data)).key)
    assert (file.size, file.head) == (5000, data[: local.HEAD])
    file.close()


async def test_a_file_that_was_cut_behind_our_back_is_noticed(files: LocalFiles, tmp_path: Path) -> None:
    received = await receive(files, b"bytes")
    file = await files.open(received.key)
    os.truncate(tmp_path / "attachments" / received.key, 2)
    with pytest.raises(EOFError):
        [chunk async for chunk in file.chunks(0, file.size)]
    file.close()


@pytest.mark.parametrize(
    "key", ["../beseda.db", "/etc/passwd", "", "aa/7-" + "b" * 32, "incoming/7-" + "a" * 32, "aa/7-a"]
)
async def test_no_key_leads_out_of_the_folder(files: LocalFiles, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        await files.open(key)
    with pytest.raises(ValueError, match="not a key"):
        await files.delete(key)


async def test_a_link_is_not_followed(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    received = await receive(files, b"x")
    path = tmp_path / "attachments" / received.key
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(Refused) as refused:
        await files.open(received.key)
    assert code(refused) == "unavailable"


async def test_a_file_that_cannot_be_removed_is_told_of_and_no_error(
    files: LocalFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    received = await receive(files, b"x")
    path = tmp_path / "attachments" / received.key
    path.unlink()
    path.mkdir()
    with caplog.at_level(logging.WARNING):
        await files.delete(received.key)
    assert len(caplog.records) == 1


async def test_a_clean_up_sees_what_is_held_and_not_what_is_being_recorded(
    files: LocalFiles, tmp_path: Path
) -> None:
    assert [held async for held in files.held()] == []
    first = await receive(files, b"x")
    (tmp_path / "attachments" / first.key).with_name("notes.txt").write_text("not ours")
    (tmp_path / "attachments" / "lost+found").mkdir()
    async with files.receive(8, stream(b"x"), max_bytes=5, min_free_bytes=0) as second:
        assert [file async for held in files.held() for file in held] == [(7, first.key)]
    found = {file async for held in files.held() for file in held}
    assert found == {(7, first.key), (8, second.key)}


async def test_what_a_crash_left_half_received_is_removed_and_what_is_coming_in_is_not(
    files: LocalFiles, tmp_path: Path
) -> None:
    await files.remove_broken_off()
    incoming = tmp_path / "attachments" / "incoming"
    incoming.mkdir(parents=True)
    left = incoming / ("9-" + "0" * 32)
    left.write_bytes(b"half")
    swept = 0

    async def while_receiving() -> AsyncIterator[bytes]:
        nonlocal swept
        yield bytes(CHUNK)
        await files.remove_broken_off()
        swept += 1
        yield b"the end"

    async with files.receive(7, while_receiving(), max_bytes=PLENTY, min_free_bytes=0) as received:
        assert swept == 1
        assert not left.exists()
    assert len(await read(files, received.key)) == CHUNK + 7
