"""Making a server of a backup again."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from beseda.archives import ArchiveError, tar
from beseda.archives.manifest import Manifest
from beseda.archives.opening import unpack
from beseda.archives.telling import Tell, telling_nobody
from beseda.archives.workspace import is_workspace, workspace
from storage import Unusable, database
from storage.attachments import disk


def restore(path: Path, data_dir: Path, tell: Tell = telling_nobody) -> Manifest:
    """Check a backup, and make it the new folder `data_dir` of a server of this version, whose log has a new name.

    The folder must be empty, or not there. It gets its files when all of them are whole and on the disk. Raises
    ArchiveError; then nothing has changed.
    """
    target = data_dir.resolve()
    try:
        with _within(target.parent), _place(target) as folder:
            _require_room(path, folder)
            manifest = unpack(path, folder, keep_files=True, tell=tell)
            tell("Bringing it up to date", 0, 0)
            database.adopt(folder / tar.DATABASE)
    except Unusable as error:
        raise ArchiveError(str(error)) from None
    except OSError as error:
        raise ArchiveError(
            f"{error.filename or data_dir}: {path.name} cannot be restored: {error.strerror}"
        ) from None
    return manifest


@contextlib.contextmanager
def _within(parent: Path) -> Iterator[None]:
    """Make a folder and those above it, and take back those that were made if the block fails."""
    new = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    disk.make_folder(parent)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for folder in new:
                folder.rmdir()
        raise


@contextlib.contextmanager
def _place(target: Path) -> Iterator[Path]:
    """A folder to unpack into; what is in it is in `target` at the end of the block."""
    entries = _entries(target)
    if not entries and not target.is_mount() and os.access(target.parent, os.W_OK):
        with workspace(target.parent) as above:
            (folder := above / "data").mkdir(mode=0o700)
            yield folder
            _give_to_owner(target, folder)
            # An empty folder gives way to one that has everything; if something came into it meanwhile, it doesn't.
            folder.rename(target)
            disk.sync_folder(target.parent)
        return
    # It is a disk of its own, or within a folder that isn't ours: so all is prepared inside, and servers are kept out.
    with contextlib.closing(database.lock(target)), workspace(target) as folder:
        yield folder
        _entries(target)
        _give_to_owner(target, folder, target / "lock")
        # The database comes last: without it no server starts on what is there.
        for name in ("attachments", tar.KEY, tar.DATABASE):
            if (folder / name).exists():
                (folder / name).rename(target / name)
                disk.sync_folder(target)


def _entries(target: Path) -> list[str]:
    """What is in a folder that counts as empty: what an interrupted one left. Raises ArchiveError for all else."""
    if not target.exists():
        return []
    if not target.is_dir():
        raise ArchiveError(f"{target}: this is no folder")
    left = list(target.iterdir())
    for path in left:
        if not is_workspace(path) and not (path.name == "lock" and path.stat().st_size == 0):
            raise ArchiveError(
                f"{target}: the folder is not empty, there is {path.name} in it; name a new or empty one"
            )
    return [path.name for path in left]


def _give_to_owner(target: Path, *places: Path) -> None:
    """What root restores into somebody's folder is theirs."""
    if os.geteuid() != 0 or not target.exists():
        return
    owner = target.stat()
    for place in places:
        for path in (place, *place.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)


def _require_room(path: Path, folder: Path) -> None:
    if path.is_file() and (size := path.stat().st_size) > (free := disk.free_bytes(folder)):
        raise ArchiveError(
            f"{path}: there is no room for it: it takes {-(-size // 2**20)} MiB, and {free // 2**20} are free"
        )
