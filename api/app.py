"""The REST application: its routes, and what lies around them."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from api import (
    admin,
    administration,
    auth,
    conversations,
    documents,
    files,
    health,
    messages,
    metrics,
    server,
    users,
)
from api.health import Readiness
from api.problems import HANDLERS
from api.security import SecurityHeaders
from api.services import Services
from api.tarpit import Tarpit
from api.watching import HEADER, Watching


def build(
    services: Services, state: Mapping[str, Any] | None = None, figures: metrics.Metrics | None = None
) -> Starlette:
    """The application. What `state` holds is in the state of every connection too, beside the services.

    `figures` are None where nobody is to be told any.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {
            "services": services,
            "readiness": Readiness(services.store),
            "tarpit": Tarpit(),
            **(state or {}),
        }

    rooms = (auth, users, conversations, messages, files, admin, administration, server, documents, health)
    app = Starlette(
        routes=[*(route for room in rooms for route in room.routes()), *metrics.routes(figures)],
        middleware=[Middleware(Watching), Middleware(SecurityHeaders), *_cors(services.origins)],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    # A path with a slash too many is another path, and answers like any that does not exist.
    app.router.redirect_slashes = False
    return app


def _cors(origins: tuple[str, ...]) -> list[Middleware]:
    """Pages of other origins: none, unless the settings name some."""
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "Range"),
            expose_headers=("Retry-After", "Content-Disposition", "Content-Range", "ETag", HEADER),
        )
    ]
