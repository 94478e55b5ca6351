"""Figures for Prometheus (docs/operations.md, Metrics)."""

import hmac
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actions import audit
from actions.tokens import unauthorized
from api.requests import address, bearer
from api.routing import resource


class Metrics(Protocol):
    """Where the figures come from. `token` is what they are told to."""

    token: str

    def look(self) -> None:
        """Read what only the disk knows. It may block, and is called on a thread."""

    def render(self, accept: str) -> tuple[bytes, str]:
        """All of them as they are now, in a form that the header `accept` asks for, and its media type."""


def routes(metrics: Metrics | None) -> list[Route]:
    """Where there are none there is no such path."""
    if metrics is None:
        return []

    async def scrape(request: Request) -> Response:
        """200: the figures."""
        # Whoever tries tokens gets its refusals slowly.
        request.state.is_unpaid = True
        if not hmac.compare_digest(bearer(request).encode("utf-8", "replace"), metrics.token.encode()):
            audit.refused("metrics_refused", address=address(request))
            raise unauthorized()
        await run_in_threadpool(metrics.look)
        text, media_type = metrics.render(request.headers.get("accept", ""))
        return Response(text, media_type=media_type)

    return [resource("/metrics", GET=scrape)]
