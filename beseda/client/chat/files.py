"""Files, from and to this machine, and how far they are."""

import asyncio
import itertools
import mimetypes
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_downloads_path

from beseda.client import Client
from beseda.client.chat.commands import Wrong
from beseda.client.chat.text import bare_name, one_line
from beseda.client.chat.view import View
from beseda.client.files import Progress
from protocol.entities import Attachment


class Files:
    """Sends and saves files; `view.transfers` tells how far they are."""

    def __init__(self, client: Client, view: View, changed: Callable[[], None]) -> None:
        self._client = client
        self._view = view
        self._changed = changed
        self._numbers = itertools.count(1)

    async def send(self, path: Path) -> Attachment:
        """Upload a file; what a message takes. Raises Wrong, ClientError, OSError."""
        if not await asyncio.to_thread(path.is_file):
            raise Wrong(f"There is no file {path}.")
        size = (await asyncio.to_thread(path.stat)).st_size
        content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        with _Transfer(self, f"sending {one_line(path.name)}") as progress:
            number = await self._client.upload(path, content_type=content_type, progress=progress)
        return {"id": number, "filename": path.name, "content_type": content_type, "size": size, "url": ""}

    async def save(self, attachment: Attachment, path: Path | None) -> Path:
        """Download a file to a new one, whose path is the answer; none is ever overwritten.

        Without a path it goes to the downloads folder, or where that is missing to the current one. In a folder it
        gets its own name, and a number if that is taken. Raises Wrong, ClientError, OSError.
        """
        folder = await asyncio.to_thread(_downloads) if path is None else path
        if not await asyncio.to_thread(folder.is_dir):
            return await self._save(attachment, folder)
        name = Path(bare_name(attachment["filename"]))
        for number in itertools.count():
            try:
                numbered = f"{name.stem} ({number}){name.suffix}" if number else name.name
                return await self._save(attachment, folder / numbered)
            except FileExistsError:
                continue
        raise AssertionError("unreachable")

    async def _save(self, attachment: Attachment, path: Path) -> Path:
        with _Transfer(self, f"saving {path.name}") as progress:
            await self._client.download(attachment, path, progress=progress)
        return path


class _Transfer:
    """A line on the screen while a file travels."""

    def __init__(self, files: Files, what: str) -> None:
        self._files = files
        self._what = what
        self._key = str(next(files._numbers))

    def __enter__(self) -> Progress:
        self._show(0, 0)
        return self._show

    def __exit__(self, *_: object) -> None:
        del self._files._view.transfers[self._key]
        self._files._changed()

    def _show(self, done: int, total: int) -> None:
        percent = f" {100 * done // total} %" if total else " …"
        self._files._view.transfers[self._key] = self._what + percent
        self._files._changed()


def typed_path(text: str) -> Path:
    """A path as a person writes it. Raises Wrong."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise Wrong(f"Whose home is {text}?") from None


def _downloads() -> Path:
    downloads = user_downloads_path()
    return downloads if downloads.is_dir() else Path.cwd()
