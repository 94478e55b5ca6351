"""What the server is and offers, for who is about to use it (docs/protocol.md section 0)."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.requests import services
from api.responses import answer
from api.routing import resource


def routes() -> list[Route]:
    """What needs no token."""
    return [resource("/server", GET=about)]


async def about(request: Request) -> Response:
    """200: version, registration, limits and features."""
    return answer(services(request).about)
