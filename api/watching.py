"""What is known of every request: its id, how it was answered, and at the level of debug a line of the log."""

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.services import Services
from protocol.forwarded import is_trusted
from protocol.tracing import Named, doer

HEADER = "X-Request-Id"

_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

logger = logging.getLogger(__name__)


class Watching:
    """Middleware that gives requests their ids, and counts answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and tell its id in the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        services: Services = scope["state"]["services"]
        number = scope["state"]["request_id"] = request_id(scope, services.trusted_proxies)
        # Never reset: uvicorn logs what goes wrong with a request after this, in the same task.
        doer.set(Named({"request_id": number}))
        began = time.perf_counter()

        async def send_watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = number
                services.counts.answers[message["status"]] += 1
                if logger.isEnabledFor(logging.DEBUG):
                    _log(scope, message["status"], time.perf_counter() - began)
            await send(message)

        await self.app(scope, receive, send_watched)


def request_id(scope: Scope, trusted: tuple[str, ...]) -> str:
    """A new one, or the one that a trusted proxy gave the request, if it is of a form that can't be a secret's."""
    given = Headers(scope=scope).get(HEADER)
    client = scope["client"]
    if given and client and _SANE.fullmatch(given) and is_trusted(client[0], trusted):
        return given
    return secrets.token_hex(8)


def _log(scope: Scope, status: int, seconds: float) -> None:
    """The route and not the path: nothing that a client has written."""
    route = getattr(scope.get("route"), "path", "(no such path)")
    logger.debug("%s %s answered %d in %d ms", scope["method"], route, status, round(seconds * 1000))
