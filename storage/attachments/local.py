"""Attachments as files under the data folder, streamed to and from the disk off the event loop.

    attachments/incoming/7-5f0c…    being received
    attachments/5f/7-5f0c…          whole; the key of attachment 7's bytes is "5f/7-5f0c…"

A key is random, so that nothing a client says becomes part of a path; the attachment's id in front tells a clean-up
which row to ask. A key's bytes never change: a repeated upload gets a key of its own.
"""

import contextlib
import logging
import os
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from pathlib import Path
from typing import NamedTuple

from protocol.errors import Refused
from storage import room
from storage.attachments import disk
from storage.attachments.turns import Turns, overtaken

logger = logging.getLogger(__name__)

CHUNK = 256 * 1024
"""Bytes per hop to a thread: large enough that the hop costs little beside the copying."""

HEAD = 512
"""So many of a file's first bytes tell what it is."""

_NAME = re.compile(r"([1-9][0-9]{0,15})-[0-9a-f]{32}")


class Received(NamedTuple):
    """Bytes that are durably in the store. `size` in bytes."""

    key: str
    size: int


class Held(NamedTuple):
    """A file that the store holds."""

    attachment_id: int
    key: str


class StoredFile:
    """A file opened for reading: it can be read to its end even if it is deleted meanwhile. Close it."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb", buffering=0, opener=_without_links)  # noqa: SIM115 - closed by who asked for it
        self.size = os.fstat(self._file.fileno()).st_size
        """In bytes."""
        self.head = os.pread(self._file.fileno(), HEAD, 0)
        """Its first bytes."""

    async def chunks(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `stop`, exclusive, in pieces."""
        while start < stop:
            piece = await disk.on_thread(os.pread, self._file.fileno(), min(CHUNK, stop - start), start)
            if not piece:
                raise EOFError("an attachment's file is shorter than it was")
            start += len(piece)
            yield piece

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class LocalFiles:
    """The store's files. One per data folder, whose lock the database holds. Folders are made when first needed."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._root = data_dir / "attachments"
        self._unsettled: set[str] = set()
        """Keys that no row names yet, though one may soon: a clean-up leaves them alone."""
        self._turns: dict[int, Turns] = {}
        """By attachment; only while something is uploaded to it."""

    @contextlib.asynccontextmanager
    async def receive(
        self, attachment_id: int, chunks: AsyncIterable[bytes], *, max_bytes: int, min_free_bytes: int
    ) -> AsyncIterator[Received]:
        """Write a stream under a fresh key; it is on the disk when the block begins, which then records the key.

        A block that ends in Refused has not recorded it, and the file goes. After any other exception that is
        unknown (a cancelled commit may still happen), and the file stays for the clean-up of the next start.

        An attachment has one upload at a time: a newer one ends what still streams, and begins when its file is gone.

        Raises Refused, and nothing stays behind: `attachment_unavailable` when a newer upload has ended this one;
        `too_large` beyond `max_bytes`; `storage_low` when less than `min_free_bytes` would be left on the disk;
        `unavailable` when the disk fails. And what `chunks` raises.
        """
        name = f"{attachment_id}-{secrets.token_hex(16)}"
        key = _key(name)
        async with self._turn(attachment_id) as turns:
            self._unsettled.add(key)
            try:
                async with turns.until_a_newer_one():
                    size = await self._write(key, chunks, max_bytes, min_free_bytes)
            except BaseException:
                self._unsettled.discard(key)
                raise
            try:
                yield Received(key, size)
            except Refused:
                await self.delete(key)
                self._unsettled.discard(key)
                raise
            self._unsettled.discard(key)

    async def open(self, key: str) -> StoredFile:
        """What is under a key. Raises FileNotFoundError, or Refused `unavailable` when the disk fails."""
        try:
            return await disk.on_thread(StoredFile, self._path(key))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _refusal(error) from error

    async def delete(self, key: str) -> None:
        """Remove what is under a key; what is gone already is no error, what can't be removed is logged."""
        await disk.on_thread(disk.remove, self._path(key))

    async def free_bytes(self) -> int:
        """The bytes that are left on the disk for us."""
        return await disk.on_thread(disk.free_bytes, self._data_dir)

    async def held(self) -> AsyncIterator[list[Held]]:
        """All files in the store, a folder at a time, but for those that are being recorded now."""
        for folder in await disk.on_thread(disk.listed, self._root):
            if re.fullmatch("[0-9a-f]{2}", folder) is None:
                continue
            names = await disk.on_thread(disk.listed, self._root / folder)
            # Looked at after listing: what is settled by now is in the database for whoever asks it next.
            yield [
                Held(int(match[1]), key)
                for name in names
                if (match := _NAME.fullmatch(name)) and (key := f"{folder}/{name}") not in self._unsettled
            ]

    async def remove_broken_off(self) -> None:
        """Remove what a crash has left of files that were being received."""
        for name in await disk.on_thread(disk.listed, self._root / "incoming"):
            if _NAME.fullmatch(name) and _key(name) not in self._unsettled:
                await disk.on_thread(disk.remove, self._root / "incoming" / name)

    @contextlib.asynccontextmanager
    async def _turn(self, attachment_id: int) -> AsyncIterator[Turns]:
        """Be the one upload to an attachment. Raises Refused `attachment_unavailable` if a newer one is waiting."""
        turns = self._turns.setdefault(attachment_id, Turns())
        turns.uploads += 1
        turns.newest += 1
        mine = turns.newest
        turns.end_streaming()
        try:
            async with turns.lock:
                if turns.newest != mine:
                    raise overtaken()
                yield turns
        finally:
            turns.uploads -= 1
            if turns.uploads == 0:
                del self._turns[attachment_id]

    def _path(self, key: str) -> Path:
        name = key.rpartition("/")[2]
        # Keys come from the database alone. Should that ever be untrue, they still lead nowhere else.
        if _NAME.fullmatch(name) is None or _key(name) != key:
            raise ValueError("not a key of this store")
        return self._root / key

    async def _write(
        self, key: str, chunks: AsyncIterable[bytes], max_bytes: int, min_free_bytes: int
    ) -> int:
        target = self._path(key)
        incoming = disk.Incoming(self._root / "incoming" / target.name, min_free_bytes)
        size = 0
        pending = bytearray()
        try:
            await disk.on_thread(incoming.create)
            async for chunk in chunks:
                size += len(chunk)
                if size > max_bytes:
                    raise too_large(max_bytes)
                pending += chunk
                if len(pending) >= CHUNK:
                    await disk.on_thread(incoming.write, pending)
                    pending = bytearray()
            await disk.on_thread(incoming.write, pending)
            await disk.on_thread(incoming.finish, target)
        except BaseException as error:
            await disk.on_thread(incoming.abandon)
            if isinstance(error, OSError):
                raise _refusal(error) from error
            raise
        return size


def too_large(max_bytes: int) -> Refused:
    """The refusal of a file that is larger than one may be."""
    return Refused("too_large", f"A file may have at most {max_bytes} bytes (attachments.max_bytes).")


def _refusal(error: OSError) -> Refused:
    if error.errno in room.FULL:
        return disk.storage_low()
    logger.error("The attachments' folder failed: %s", error)
    return Refused("unavailable", "Files can't be served at the moment.", retry_after=1)


def _key(name: str) -> str:
    """A file's key: its folder is named by the first byte of its random part."""
    return f"{name.partition('-')[2][:2]}/{name}"


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)
