"""Attachments over HTTP: presigning, and the signed URLs that their bytes travel through (protocol.md section 5)."""

import contextlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actions import attachments
from api.charging import caller, paid_body
from api.downloads import answer_file
from api.requests import declared_length, own_url, path_id, services
from api.responses import answer
from api.routing import resource
from protocol.commands import Presign
from protocol.errors import Refused
from protocol.ids import parse_id


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        resource("/attachments/presign", POST=presign),
        resource("/attachments/{id}", GET=resolve),
        resource("/files/{id}", GET=download, PUT=upload),
    ]


async def presign(request: Request) -> Response:
    """`POST /attachments/presign`: 201 with where to PUT the bytes."""
    parts, actor = caller(request)
    command = await paid_body(request, actor, Presign)
    presigned = await attachments.presign(
        parts.store, parts.rules, parts.attachments, parts.files, actor, command, own_url(request)
    )
    return answer(presigned, 201)


async def resolve(request: Request) -> Response:
    """`GET /attachments/{id}`: 307 to a fresh signed URL, or 200 with it to who accepts JSON."""
    parts, actor = caller(request)
    link = await attachments.resolve(parts.store, parts.rules, parts.s3, actor, path_id(request))
    if _accepts_json(request):
        return answer({"url": link.url, "expires_in": link.expires_in})
    return Response(status_code=307, headers={"Location": link.url})


async def upload(request: Request) -> Response:
    """`PUT /files/{id}`: 200 once the bytes are on the disk.

    200 with no body, since that is what S3 answers to its presigned PUT: a client sees one behaviour.
    """
    attachment_id, _ = _signed(request)
    if "content-range" in request.headers:
        # RFC 9110, section 14.5: a part must not be taken for the whole.
        raise Refused("malformed", "A file is sent whole, without Content-Range.")
    parts = services(request)
    length = declared_length(request)
    async with contextlib.aclosing(request.stream()) as chunks:
        await attachments.upload(
            parts.store,
            parts.rules.rates,
            parts.attachments,
            parts.files,
            attachment_id,
            chunks,
            length,
        )
    return Response(status_code=200)


async def download(request: Request) -> Response:
    """`GET /files/{id}`: the bytes, or the range of them that was asked for."""
    attachment_id, seconds = _signed(request)
    parts = services(request)
    found = await attachments.download(parts.store, parts.files, attachment_id)
    return answer_file(request, found, seconds)


def _signed(request: Request) -> tuple[int, int]:
    """The attachment that a signed URL is for, and how many seconds it still holds. Raises Refused `invalid_url`."""
    links = services(request).rules.links
    # No id is 0, so what is written as none has no valid signature either: it is answered as any changed URL.
    attachment_id = parse_id(request.path_params["id"]) or 0
    query = request.query_params
    seconds = links.check(request.method, attachment_id, query.get("expires", ""), query.get("signature", ""))
    return attachment_id, seconds


def _accepts_json(request: Request) -> bool:
    """Whether the client names JSON; `*/*` alone follows the redirect."""
    ranges = request.headers.get("accept", "").lower().split(",")
    return any(accepted.partition(";")[0].strip() == "application/json" for accepted in ranges)
