"""Answers: JSON written by orjson, or nothing at all."""

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from protocol.codec import encode


def answer(value: object, status: int = 200, background: BackgroundTask | None = None) -> Response:
    """`value` as JSON. `background` runs once the answer was handed to the connection."""
    return Response(encode(value), status, media_type="application/json", background=background)


def created(value: object, new: bool = True) -> Response:
    """201 for what was made now, 200 for what was there already."""
    return answer(value, 201 if new else 200)


def no_content() -> Response:
    """204: done, and nothing to say."""
    return Response(status_code=204)


def matches(request: Request, tag: str) -> bool:
    """Whether If-None-Match names the ETag: 304 then. It compares weakly (RFC 9110, section 13.1.2)."""
    header = request.headers.get("if-none-match", "")
    return header.strip() == "*" or tag in [name.strip().removeprefix("W/") for name in header.split(",")]
