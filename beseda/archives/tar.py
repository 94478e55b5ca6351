"""Reading and writing tar, as far as we need it: plain files with names that we have chosen, and nothing else.

What an archive says of itself is believed only where it can do no harm: a name is one of ours or the archive is
refused, so it leads nowhere; links, devices, sparse files and names in several headers don't exist.
"""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from beseda.archives import ArchiveError

BLOCK = tarfile.BLOCKSIZE
PIECE_BYTES = 1024 * 1024

DATABASE, KEY = "beseda.db", "signing.key"
MANIFEST, MANIFEST_SUM = "manifest.json", "manifest.sha256"
ATTACHMENTS = "attachments/"

_ATTACHMENT = re.compile(r"attachments/([0-9a-f]{2})/[1-9][0-9]{0,15}-\1[0-9a-f]{30}")
_SMALL = {KEY: 1024, MANIFEST: 256 * 1024 * 1024, MANIFEST_SUM: 1024}
"""What is read into memory has a bound."""


class Member(NamedTuple):
    """A file in an archive; `size` in bytes. Its pieces are to be read before the next member is asked for."""

    name: str
    size: int
    pieces: Iterator[bytes]


def header(name: str, size: int, seconds: int) -> bytes:
    """What precedes a file's bytes; `seconds` since the epoch are its time."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, seconds, 0o600
    return info.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """What follows a file's bytes."""
    return bytes(-size % BLOCK)


END = bytes(2 * BLOCK)


def is_attachment(name: str) -> bool:
    """Whether it is the name of an attachment's file."""
    return _ATTACHMENT.fullmatch(name) is not None


def members(file: IO[bytes], path: Path) -> Iterator[Member]:
    """The files of the archive `path`, in their order. Raises ArchiveError; so do their pieces."""
    after = None
    while True:
        head = _read(file, path, BLOCK)
        if len(head) < BLOCK:
            raise ArchiveError(f"{path}: the archive is cut short after {after or 'its beginning'}")
        if head == END[:BLOCK]:
            return
        member = _member(head, file, path, after)
        yield member
        padded = len(padding(member.size))
        if len(_read(file, path, padded)) < padded:
            raise ArchiveError(f"{path}: the archive is cut short after {member.name}")
        after = member.name


def _member(head: bytes, file: IO[bytes], path: Path, after: str | None) -> Member:
    try:
        info = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        info = None
    name = info.name if info else ""
    is_ours = name in {DATABASE, *_SMALL} or is_attachment(name)
    if after is None and not is_ours:
        raise ArchiveError(f"{path}: this is no backup of Beseda's")
    if info is None:
        raise ArchiveError(f"{path}: the archive is damaged after {after}")
    if not is_ours:
        raise ArchiveError(f"{path}: {name[:100]!r} is no name of a file in a backup of Beseda's")
    if info.type != tarfile.REGTYPE or info.size < 0 or info.size > _SMALL.get(name, info.size):
        raise ArchiveError(f"{path}: {name} is no plain file, or of an impossible size")
    return Member(name, info.size, _pieces(file, path, name, info.size))


def _pieces(file: IO[bytes], path: Path, name: str, size: int) -> Iterator[bytes]:
    left = size
    while left:
        piece = _read(file, path, min(left, PIECE_BYTES))
        if not piece:
            raise ArchiveError(
                f"{path}: the archive is cut short in {name}: {left} of {size} bytes are missing"
            )
        left -= len(piece)
        yield piece


def _read(file: IO[bytes], path: Path, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise ArchiveError(f"{path}: the file cannot be read: {error.strerror}") from None
