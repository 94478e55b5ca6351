"""Answering with a file: whole or a byte range of it, streamed, and so that it can't run (docs/protocol.md section 5).

Starlette's FileResponse opens the path after it has answered; here the file is open before, since its first bytes
decide the headers, and since a repeated upload may delete it meanwhile.
"""

import asyncio
import contextlib
import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from actions.attachments import Download
from actions.serving import disposition
from api.problems import answer_to
from api.responses import matches
from protocol.errors import Refused
from storage.attachments.local import StoredFile

CSP = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
"""No scripts, no forms, no origin. What it allows is how a browser shows a picture or a film by itself."""

_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})", re.ASCII | re.IGNORECASE)


class FileAnswer(Response):
    """A part of a file, as the answer to GET or HEAD. Closes the file."""

    def __init__(self, file: StoredFile, start: int, stop: int, status: int, headers: dict[str, str]) -> None:
        self.status_code = status
        self.background = None
        self.init_headers({**headers, "Content-Length": str(stop - start)})
        self._file = file
        self._start = start
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(start)
            stop = self._start if scope["method"] == "HEAD" else self._stop
            async with contextlib.aclosing(self._file.chunks(self._start, stop)) as chunks:
                async for chunk in chunks:
                    # uvicorn drops silently what is sent to who has gone: nothing else would end the reading.
                    if gone.done():
                        return
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            self._file.close()


def answer_file(request: Request, found: Download, seconds: int) -> Response:
    """The answer with a file that was opened; `seconds` is how long its URL still holds."""
    file = found.file
    headers = _headers(found, seconds)
    tag = headers["ETag"]
    if matches(request, tag):
        file.close()
        return Response(status_code=304, headers=headers)
    part = _part(request, file.size, tag)
    if part is None:
        return FileAnswer(file, 0, file.size, 200, headers)
    start, stop = part
    if start >= stop:
        file.close()
        refusal = Refused("invalid", f"The file has {file.size} bytes.", status=416)
        return answer_to(refusal, {"Content-Range": f"bytes */{file.size}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    return FileAnswer(file, start, stop, 206, headers)


def _headers(found: Download, seconds: int) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        # Until it is sent another upload may stand under the same URL.
        "Cache-Control": f"private, max-age={seconds}, immutable" if found.is_final else "private, no-cache",
        "Content-Disposition": disposition(found.filename, inline=found.served.inline),
        "Content-Security-Policy": CSP,
        "Content-Type": found.served.content_type,
        # The URL is what authorizes, no cookie does; and a client may well live at another origin.
        "Cross-Origin-Resource-Policy": "cross-origin",
        # A key's bytes never change.
        "ETag": f'"{hashlib.sha256(found.key.encode()).hexdigest()[:32]}"',
        "X-Content-Type-Options": "nosniff",
    }


def _part(request: Request, size: int, tag: str) -> tuple[int, int] | None:
    """Where the range that was asked for starts and stops; None for the whole file, an empty one if there is none.

    RFC 9110, section 14.2: what can't be understood is ignored, and so may several ranges be.
    """
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if match is None or request.method != "GET" or request.headers.get("if-range", tag) != tag:
        return None
    first, last = match.groups()
    if not first:
        return (max(size - int(last), 0), size) if last else None
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


async def _disconnected(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
