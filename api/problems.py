"""Refusals as RFC 9457 problems: one place turns whatever was raised into an answer."""

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from actions import audit
from api.requests import address, asker, services
from api.security import HEADERS
from api.watching import HEADER
from protocol.codec import encode
from protocol.errors import Refused, not_found, problem

MEDIA_TYPE = "application/problem+json"

_INTERNAL = encode({"type": "about:blank", "title": "Internal error", "status": 500, "code": "internal"})


def answer_to(refusal: Refused, headers: dict[str, str] | None = None) -> Response:
    """A refusal as it stands in HTTP."""
    headers = headers or {}
    if refusal.status == 401:
        # RFC 9110, section 11.6.1: a 401 has to name a scheme.
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    return Response(encode(problem(refusal)), refusal.status, headers, MEDIA_TYPE)


async def refused(request: Request, error: Exception) -> Response:
    """The handler of every Refused."""
    assert isinstance(error, Refused)
    services(request).counts.refusals[error.code] += 1
    if error.code == "rate_limited":
        kind, who = asker(request)
        user_id = who if kind == "user" else None
        audit.refused("rate_limited", user_id=user_id, address=address(request), why=error.detail)
    if error.code == "rate_limited" or getattr(request.state, "is_unpaid", False):
        await request.state.tarpit.hold(asker(request))
    return answer_to(error)


async def unrouted(request: Request, error: Exception) -> Response:
    """The router's own refusals: no such path, or a method that the path does not have."""
    assert isinstance(error, HTTPException)
    # To whom there is nothing under /admin, a 405 would tell that there is; so it is nobody's.
    if error.status_code != 405 or request.scope["path"].startswith("/admin/"):
        services(request).counts.refusals["not_found"] += 1
        return answer_to(not_found())
    services(request).counts.refusals["method_not_allowed"] += 1
    allowed = sorted(str((error.headers or {})["Allow"]).split(", "))
    refusal = Refused("method_not_allowed", f"{request.method} is none of {', '.join(allowed)}.")
    return answer_to(refusal, {"Allow": ", ".join(allowed)})


async def gone(request: Request, error: Exception) -> Response:
    """The client went away while its body was read: nobody is there to be answered, and nothing is wrong."""
    assert isinstance(error, ClientDisconnect)
    return Response(status_code=400)


async def failed(request: Request, error: Exception) -> Response:
    """A bug. uvicorn logs its trace; the client learns nothing of it. Outermost of all, so it sets its own headers."""
    # uvicorn closes the connection after this; who wants to use it again has to know.
    headers = {**HEADERS, "Connection": "close"}
    services(request).counts.answers[500] += 1
    if hasattr(request.state, "request_id"):
        headers[HEADER] = request.state.request_id
    return Response(_INTERNAL, 500, headers, MEDIA_TYPE)


HANDLERS = {Refused: refused, HTTPException: unrouted, ClientDisconnect: gone, Exception: failed}
