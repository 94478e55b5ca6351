"""A new server's folder: all of it, with its first admin, or nothing."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from beseda import keys
from beseda.control.commands import Desk, perform
from beseda.settings import Config
from storage import Settings, Unusable, database, looking, open_locked, users
from storage.attachments.local import LocalFiles

_LEFT_BY_US = {
    "lock",
    database.FILE_NAME,
    f"{database.FILE_NAME}.new",
    f"{database.FILE_NAME}.new-journal",
    f"{database.FILE_NAME}-wal",
    f"{database.FILE_NAME}-shm",
    keys.FILE_NAME,
    f"{keys.FILE_NAME}.new",
}
"""What an interrupted beginning leaves; no account is in it."""


class Founded(NamedTuple):
    """The first admin's account, and the code of an invitation where one was asked for."""

    user: dict[str, Any]
    invite: str | None


def require_room(folder: Path) -> None:
    """Raise Unusable where there is anything in the folder, but for what an interrupted beginning left."""
    try:
        found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise Unusable(f"{folder}: {error.strerror}.") from None
    if database.FILE_NAME in found:
        with looking(folder) as snapshot:
            if users.has_any(snapshot):
                raise Unusable(f"{folder}: there are accounts here already.")
    # The one file may unpack itself here (TMPDIR), and a disk of its own has a folder from the start.
    foreign = {name for name in found - _LEFT_BY_US if name != "lost+found" and not name.startswith("_MEI")}
    if foreign:
        raise Unusable(f"{folder}: there is something in it already ({min(foreign)}).")


def found(
    config: Config, account: dict[str, Any], invitation: dict[str, Any] | None, finish: Callable[[], None]
) -> Founded:
    """Make the folder, the key, the database, the account, the invitation, and at last `finish`.

    If any of it fails, what was made is removed again. Raises Refused, Unusable, and what `finish` raises.
    """
    with _whole_or_not_at_all(config.server.data_dir.absolute()):
        founded = asyncio.run(_found(config, account, invitation))
        finish()
        return founded


async def _found(config: Config, account: dict[str, Any], invitation: dict[str, Any] | None) -> Founded:
    folder = config.server.data_dir.absolute()
    async with open_locked(Settings(folder, config.storage.synchronous)) as store:
        keys.signing_key(folder)
        desk = Desk(store, LocalFiles(folder), config.limits.live_members)
        user = await perform(desk, "user.add", account | {"is_admin": True})
        invite = None if invitation is None else (await perform(desk, "invite.create", invitation))["code"]
        return Founded(dict(user), invite)


@contextlib.contextmanager
def _whole_or_not_at_all(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; if the block fails, remove what it made. Raises Unusable where somebody was first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        was_there = {path.name for path in folder.iterdir()} if folder.exists() else set()
        # Held to the end: what lies there when it fails is nobody else's.
        with contextlib.closing(database.lock(folder)):
            require_room(folder)
            try:
                yield
            except BaseException:
                for name in _LEFT_BY_US - was_there:
                    (folder / name).unlink(missing_ok=True)
                raise
    except BaseException:
        with contextlib.suppress(OSError):
            for path in missing:
                path.rmdir()
        raise
