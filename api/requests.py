"""Reading requests: who asks, and what for. Everything that is wrong is Refused here, before any action runs."""

import re
from typing import TypeVar, get_origin

from starlette.requests import Request

from actions.actor import Actor
from actions.attempts import network_of
from api.services import Services
from protocol import forwarded
from protocol.codec import parse
from protocol.commands import Command
from protocol.errors import Refused, invalid, not_found
from protocol.ids import parse_id

C = TypeVar("C", bound=Command)

USER_AGENT_CHARS = 256
_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?", re.ASCII)


def services(request: Request) -> Services:
    """The parts of the server, from the lifespan's state."""
    found: Services = request.state.services
    return found


def identified(request: Request) -> tuple[Services, Actor]:
    """The services, and who asks by the bearer token. Raises Refused `unauthorized` (docs/protocol.md section 0).

    Only the token is checked here. That its session still lasts is checked by `acting`, in the transaction itself.
    """
    parts = services(request)
    claims = parts.rules.tokens.read(bearer(request), "access")
    return parts, Actor(claims.user_id, claims.session_id)


def bearer(request: Request) -> str:
    """The bearer token. Raises Refused `unauthorized` where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused("unauthorized")
    return token.strip()


def path_id(request: Request, name: str = "id") -> int:
    """An id in the path. What is written as no id is nothing that exists: Refused `not_found`."""
    number = parse_id(request.path_params[name])
    if number is None:
        raise not_found()
    return number


async def json_bytes(request: Request, most: int | None = None) -> bytes:
    """The JSON body as it came; `most` is what it may have without an account, None for who has one.

    Raises Refused `malformed`, `too_large` or `unsupported_media_type`.
    """
    if not _has_body(request):
        raise Refused("malformed", "The request has no body.")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refused("unsupported_media_type", "Send the body as application/json.")
    limit = services(request).body_bytes
    if most is None or most >= limit:
        return await _read(request, limit, " (limits.body_bytes)")
    return await _read(request, most, " without an account")


def query(request: Request, model: type[C]) -> C:
    """The query parameters as a command. Raises Refused `invalid`, naming the parameter.

    Unknown ones are ignored, as unknown fields are. Of one that is repeated the last counts: that is what most
    clients' and proxies' own libraries make of it. Lists are numbers with commas between, or repeated.
    """
    given = request.query_params
    values: dict[str, str | int | list[int]] = {}
    for name, field in model.model_fields.items():
        if name not in given:
            continue
        if field.annotation is str:
            values[name] = given[name]
        elif get_origin(field.annotation) is list:
            values[name] = [_number(name, text) for text in ",".join(given.getlist(name)).split(",")]
        else:
            values[name] = _number(name, given[name])
    return parse(model, values)


def declared_length(request: Request) -> int | None:
    """The body's length in bytes as the client declares it; None for a chunked body, or none."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else None


def address(request: Request) -> str:
    """The address of who asks, behind trusted proxies too."""
    return _client(request)[0]


def asker(request: Request) -> tuple[str, int | str]:
    """Who asks, as far as one can tell: a user, or a network."""
    try:
        return "user", identified(request)[1].user_id
    except Refused:
        return "network", network_of(address(request))


def user_agent(request: Request) -> str:
    """What the client calls itself, cut to what a list of sessions can show."""
    return request.headers.get("user-agent", "")[:USER_AGENT_CHARS]


def own_url(request: Request) -> str:
    """`scheme://host` of this server as the client should write it: `public_url`, else what it wrote itself."""
    public_url = services(request).public_url
    if public_url:
        return public_url
    host = request.headers.get("host", "")
    if _HOST.fullmatch(host) is None:
        name, port = request.scope["server"]
        host = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    return f"{_client(request)[1] or request.scope['scheme']}://{host}"


def _number(name: str, text: str) -> int:
    number = parse_id(text, least=0)
    if number is None:
        raise invalid(name, "must be an integer")
    return number


def _client(request: Request) -> tuple[str, str | None]:
    peer = request.client.host if request.client is not None else ""
    return forwarded.client(peer, request.headers.items(), services(request).trusted_proxies)


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


async def _read(request: Request, most: int, why: str) -> bytes:
    """The body, never more than `most` bytes of it in memory."""
    refusal = Refused("too_large", f"The body may have {most} bytes at most{why}.")
    if (declared_length(request) or 0) > most:
        raise refusal
    data = bytearray()
    async for chunk in request.stream():
        if len(data) + len(chunk) > most:
            raise refusal
        data += chunk
    return bytes(data)
