"""Making a backup of a data folder, whose server may run and is not asked."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from beseda import version
from beseda.archives import ArchiveError, tar
from beseda.archives.manifest import FORMAT, Counts, File, LogPosition, Manifest, digest_line
from beseda.archives.telling import Tell, telling_nobody
from beseda.archives.workspace import workspace
from protocol.times import rfc3339
from storage import Unusable, backup, gently
from storage.attachments import disk
from storage.database import WAL_BYTES
from storage.soundness import Contents


def make(data_dir: Path, file: Path, *, force: bool = False, tell: Tell = telling_nobody) -> Manifest:
    """Put the server in `data_dir` into `file`, which appears when it is whole and on the disk, for its owner alone.

    An existing file is replaced only by `force`. Raises ArchiveError; then nothing has changed.
    """
    _check_target(file, data_dir, force)
    try:
        with workspace(file.parent) as folder:
            manifest = _write(data_dir, folder, folder / "archive", tell)
            _check_target(file, data_dir, force)
            gently.replace(folder / "archive", file)
            disk.sync_folder(file.parent)
    except Unusable as error:
        raise ArchiveError(str(error)) from None
    except OSError as error:
        raise ArchiveError(f"{error.filename or file}: the backup cannot be made: {error.strerror}") from None
    return manifest


def _check_target(file: Path, data_dir: Path, force: bool) -> None:
    if file.is_dir():
        raise ArchiveError(f"{file}: this is a folder; name a file")
    if not file.parent.is_dir():
        raise ArchiveError(f"{file}: there is no folder {file.parent}")
    if file.exists() and not file.is_file():
        # Root would put a file in the place of a device that everyone needs.
        raise ArchiveError(f"{file}: this is no plain file, and a backup cannot be written into it")
    if _is_the_servers(file, data_dir):
        raise ArchiveError(f"{file}: this is the server's own; name another file")
    if file.exists() and not force:
        raise ArchiveError(f"{file}: this file exists; with --force it is replaced")


def _is_the_servers(file: Path, data_dir: Path) -> bool:
    """Whether a backup under this name would be in the place of what it is of, be it there or yet to come."""
    place, folder = file.parent.resolve(), data_dir.resolve()
    own = file.name == tar.KEY or file.name.startswith((tar.DATABASE, "before-"))
    return (place == folder and own) or place.is_relative_to(folder / tar.ATTACHMENTS)


def _write(data_dir: Path, folder: Path, unfinished: Path, tell: Tell) -> Manifest:
    source, copy = data_dir / tar.DATABASE, folder / tar.DATABASE
    now = time.time_ns() // 1_000_000
    if source.exists():
        _require_room(folder, 2 * source.stat().st_size)
    backup.copy(source, copy, lambda done, total: tell("Copying the database", done, total))
    held = backup.without_unsent_files(copy)
    _require_room(folder, copy.stat().st_size + sum(held.files.values()))
    with open(unfinished, "xb", buffering=0, opener=disk.private) as output:
        writer = _Writer(output, now // 1000, copy.stat().st_size + sum(held.files.values()), tell)
        missing = _add_files(writer, data_dir, copy, held)
        manifest = _manifest(now, held, missing, writer.files)
        data = manifest.encode()
        writer.add(tar.MANIFEST, len(data), [data])
        data = digest_line(data)
        writer.add(tar.MANIFEST_SUM, len(data), [data])
        writer.finish()
    return manifest


def _require_room(folder: Path, size: int) -> None:
    """Before the disk is filled, as the server may need it too. Raises ArchiveError."""
    if (free := disk.free_bytes(folder)) < size + WAL_BYTES:
        raise ArchiveError(
            f"{folder.parent}: there is no room: the backup takes {-(-size // 2**20)} MiB while it is made, and the"
            f" server needs {WAL_BYTES // 2**20}, but {free // 2**20} are free"
        )


def _add_files(writer: "_Writer", data_dir: Path, copy: Path, held: Contents) -> list[str]:
    """Everything but the manifest; the names of the files that are not there, or not in their size."""
    with open(copy, "rb", buffering=0) as file:
        writer.add(tar.DATABASE, copy.stat().st_size, _pieces(file))
    # It lies in the archive now, and its room may be needed.
    gently.remove(copy)
    wanted = {tar.KEY: None, **{tar.ATTACHMENTS + key: size for key, size in held.files.items()}}
    return [name for name, size in wanted.items() if not _add_file(writer, data_dir, name, size)]


def _add_file(writer: "_Writer", data_dir: Path, name: str, size: int | None) -> bool:
    """A file of the folder, if it is there, and in its size."""
    # Keys come from the database alone. Should one ever lead elsewhere, it is not followed.
    if size is not None and not tar.is_attachment(name):
        return False
    try:
        # An administrator may keep the key elsewhere; attachments are never links.
        with open(
            data_dir / name, "rb", buffering=0, opener=disk.private if size is not None else None
        ) as file:
            there = os.fstat(file.fileno()).st_size
            if size not in {None, there}:
                return False
            writer.add(name, there, _pieces(file))
    except FileNotFoundError:
        return False
    return True


def _manifest(now: int, held: Contents, missing: list[str], files: dict[str, File]) -> Manifest:
    return Manifest(
        format=FORMAT,
        beseda=version(),
        schema=held.schema,
        created_at=rfc3339(now),
        log=LogPosition(name=held.log_name, last_event_id=held.last_event_id),
        counts=Counts(**held.counts),
        on_s3=held.on_s3,
        missing=missing,
        files=dict(files),
    )


class _Writer:
    """Writes an archive in pieces that the disk gets one by one, and keeps what each file's sum is."""

    def __init__(self, output: IO[bytes], seconds: int, total: int, tell: Tell) -> None:
        self.files: dict[str, File] = {}
        self._output = output
        self._seconds = seconds
        self._total, self._done, self._unwritten = total, 0, 0
        self._tell = tell

    def add(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        """Add a file of just this size. Raises ArchiveError where it has another one."""
        digest, left = hashlib.sha256(), size
        self._write(tar.header(name, size, self._seconds))
        for piece in pieces:
            digest.update(piece)
            left -= len(piece)
            self._write(piece)
        if left:
            raise ArchiveError(f"{name}: the file has changed while it was read")
        self._write(tar.padding(size))
        self.files[name] = File(size=size, sha256=digest.hexdigest())

    def finish(self) -> None:
        """End the archive, and see all of it on the disk."""
        self._write(tar.END)
        os.fsync(self._output.fileno())

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._output.write(rest) :]
        self._done += len(data)
        self._unwritten += len(data)
        if self._unwritten >= gently.PIECE_BYTES:
            gently.to_disk(self._output.fileno(), forget=True)
            self._unwritten = 0
            self._tell("Writing the archive", min(self._done, self._total), self._total)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    try:
        while piece := file.read(tar.PIECE_BYTES):
            yield piece
    except OSError as error:
        raise ArchiveError(f"{file.name}: the file cannot be read: {error.strerror}") from None
