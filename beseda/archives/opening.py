"""Looking into a backup: is it all there, is it what was put in, and does the database in it agree with itself?"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from beseda.archives import ArchiveError, manifest, tar
from beseda.archives.manifest import Counts, File, LogPosition, Manifest
from beseda.archives.telling import Tell, telling_nobody
from beseda.archives.workspace import workspace
from storage import gently, soundness
from storage.attachments import disk
from storage.soundness import Contents, Unsound


def verify(path: Path, tell: Tell = telling_nobody) -> Manifest:
    """Check all of a backup; its database goes to the system's temporary folder meanwhile. Raises ArchiveError."""
    scratch = Path(tempfile.gettempdir())
    try:
        with workspace(scratch) as folder:
            return unpack(path, folder, keep_files=False, tell=tell)
    except OSError as error:
        raise ArchiveError(
            f"{error.filename or scratch}: {path.name} cannot be checked: {error.strerror}"
            " (TMPDIR names another folder for its database)"
        ) from None


def unpack(path: Path, folder: Path, *, keep_files: bool, tell: Tell = telling_nobody) -> Manifest:
    """Check all of a backup, and unpack it into `folder`: only the database unless `keep_files`.

    Raises ArchiveError for what is wrong with the backup, OSError for what is with the folder.
    """
    with _opened(path) as file:
        reader = _Reader(path, folder, keep_files, tell, os.fstat(file.fileno()).st_size)
        for member in tar.members(file, path):
            reader.take(member)
    described = reader.described()
    tell("Checking the database", 0, 0)
    try:
        held = soundness.look_into(folder / tar.DATABASE, lambda: tell("Checking the database", 0, 0))
    except Unsound as error:
        raise ArchiveError(f"{path}: {tar.DATABASE}: {error}") from None
    _check_described(path, described, held)
    return described


def _opened(path: Path) -> IO[bytes]:
    if path.exists() and not path.is_file():
        raise ArchiveError(f"{path}: this is no file")
    try:
        return path.open("rb")
    except OSError as error:
        raise ArchiveError(f"{path}: the file cannot be read: {error.strerror}") from None


class _Reader:
    """Takes an archive's files one by one: each is added up, and what is wanted of them is kept."""

    def __init__(self, path: Path, folder: Path, keep_files: bool, tell: Tell, total: int) -> None:
        self._path = path
        self._folder = folder
        self._keep_files = keep_files
        self._tell = tell
        self._done, self._total = 0, total
        self._files: dict[str, File] = {}
        self._texts = {tar.MANIFEST: bytearray(), tar.MANIFEST_SUM: bytearray()}

    def take(self, member: tar.Member) -> None:
        """The next file. Raises ArchiveError; OSError where it can't be written."""
        name = member.name
        if name in self._files:
            raise ArchiveError(f"{self._path}: {name} is in it twice")
        digest = hashlib.sha256()
        with self._kept(name) as file:
            for piece in member.pieces:
                digest.update(piece)
                if name in self._texts:
                    self._texts[name] += piece
                elif file is not None:
                    file.write(piece)
                self._done += len(piece)
                self._tell("Reading the archive", self._done, self._total)
        self._files[name] = File(size=member.size, sha256=digest.hexdigest())

    def described(self) -> Manifest:
        """The manifest, once all files are as it says. Raises ArchiveError."""
        for name, text in self._texts.items():
            if self._files.pop(name, None) is None:
                raise ArchiveError(f"{self._path}: {name} is missing: the archive is cut short or damaged")
            if name == tar.MANIFEST_SUM and text != manifest.digest_line(self._texts[tar.MANIFEST]):
                raise ArchiveError(f"{self._path}: {tar.MANIFEST} is damaged: it is not as {name} says")
        described = manifest.decode(self._texts[tar.MANIFEST], self._path)
        for name, file in described.files.items():
            found = self._files.pop(name, None)
            if found is None:
                raise ArchiveError(f"{self._path}: {name} is missing")
            if found != file:
                raise ArchiveError(
                    f"{self._path}: {name} is damaged: its bytes are not those that were put in"
                )
        for name in self._files:
            raise ArchiveError(f"{self._path}: {name} is in it, but not in its {tar.MANIFEST}")
        return described

    @contextlib.contextmanager
    def _kept(self, name: str) -> Iterator[IO[bytes] | None]:
        """A new file for what is to be kept, which is on the disk at the end."""
        if name in self._texts or (name != tar.DATABASE and not self._keep_files):
            yield None
            return
        path = self._folder / name
        disk.make_folder(path.parent)
        with open(path, "xb", opener=disk.private) as file:
            yield file
            file.flush()
            gently.to_disk(file.fileno(), forget=True)


def _check_described(path: Path, described: Manifest, held: Contents) -> None:
    """Whether the manifest speaks of this database, and the database of just these files. Raises ArchiveError."""
    counts = Counts(**held.counts)
    log = LogPosition(name=held.log_name, last_event_id=held.last_event_id)
    for name, told, there in (
        *((f"counts.{each}", told, getattr(counts, each)) for each, told in described.counts),
        *((f"log.{each}", told, getattr(log, each)) for each, told in described.log),
        ("schema", described.db_schema, held.schema),
        ("on_s3", described.on_s3, held.on_s3),
    ):
        if told != there:
            raise ArchiveError(f"{path}: {tar.MANIFEST}: {name} is {told}, but {tar.DATABASE} has {there}")
    named = {tar.ATTACHMENTS + key: size for key, size in held.files.items()}
    there = {name: file.size for name, file in described.files.items() if tar.is_attachment(name)}
    for name in named.keys() - there.keys() - set(described.missing):
        raise ArchiveError(f"{path}: {name} is missing, though {tar.DATABASE} names it")
    for name, size in there.items():
        if named.get(name) != size:
            raise ArchiveError(
                f"{path}: {name} has {size} bytes; {tar.DATABASE} knows of {named.get(name, 'none')}"
            )
