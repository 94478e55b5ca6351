"""The descriptions that programs read: `/openapi.json` and `/asyncapi.json` (docs/protocol.md section 7)."""

import hashlib
from functools import lru_cache

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.requests import services
from api.responses import matches
from api.routing import resource
from protocol.codec import encode


def routes() -> list[Route]:
    """What describes all the others."""
    return [resource("/openapi.json", GET=openapi), resource("/asyncapi.json", GET=asyncapi)]


async def openapi(request: Request) -> Response:
    """200: what REST is; 304 to who has it."""
    # Elsewhere, for the first one takes a tenth of a second to make.
    return _answer(request, await run_in_threadpool(_openapi, services(request).about["version"]))


async def asyncapi(request: Request) -> Response:
    """200: what is said on the socket; 304 to who has it."""
    return _answer(request, await run_in_threadpool(_asyncapi, services(request).about["version"]))


@lru_cache(maxsize=1)
def _openapi(version: str) -> bytes:
    # Imported only when it is asked for: few servers ever are.
    from protocol.openapi import document

    return encode(document(version))


@lru_cache(maxsize=1)
def _asyncapi(version: str) -> bytes:
    from protocol.asyncapi import document

    return encode(document(version))


def _answer(request: Request, document: bytes) -> Response:
    tag = f'"{hashlib.sha256(document).hexdigest()[:32]}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag}
    if matches(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(document, headers=headers, media_type="application/json")
