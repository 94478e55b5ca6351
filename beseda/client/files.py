"""Files, up and down, a piece at a time (docs/protocol.md section 5)."""

import asyncio
import mimetypes
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urljoin

import httpx

from beseda.client.errors import unreachable
from beseda.client.rest import Rest, raise_for
from protocol.entities import Attachment, Presigned

CHUNK = 64 * 1024

Progress = Callable[[int, int], None]
"""Called while a file travels: the bytes so far, and all."""


async def upload(rest: Rest, path: Path, content_type: str | None, progress: Progress | None) -> int:
    """Presign a file and PUT it; the attachment's id."""
    size = (await asyncio.to_thread(path.stat)).st_size
    body = {
        "filename": path.name,
        "content_type": content_type or mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        "size": size,
    }
    presigned: Presigned = await rest.request("POST", "/attachments/presign", body)
    response = await rest.send(
        presigned["method"],
        urljoin(rest.url, presigned["url"]),
        content=_pieces(path, size, progress),
        headers={**presigned["headers"], "Content-Length": str(size)},
    )
    raise_for(response)
    return presigned["id"]


async def download(rest: Rest, attachment: Attachment, path: Path, progress: Progress | None) -> None:
    """Write an attachment's bytes to a file that must be new; a broken-off one leaves nothing."""
    link = await rest.request(
        "GET", f"/attachments/{attachment['id']}", headers={"Accept": "application/json"}
    )
    url = urljoin(rest.url, link["url"])
    with path.open("xb") as file:
        try:
            async with rest.http.stream("GET", url) as response:
                if not response.is_success:
                    await response.aread()
                    raise_for(response)
                async for piece in response.aiter_bytes(CHUNK):
                    file.write(piece)
                    if progress is not None:
                        progress(file.tell(), attachment["size"])
        except BaseException as error:
            await asyncio.to_thread(path.unlink)
            if isinstance(error, httpx.TransportError):
                raise unreachable(url.partition("?")[0], error) from error
            raise


async def _pieces(path: Path, size: int, progress: Progress | None) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            if file.tell() > size:
                break
            yield piece
            if progress is not None:
                progress(file.tell(), size)
        if file.tell() != size:
            raise OSError(f"{path} changed while it was sent")
