"""The opening handshake (RFC 6455 section 4.2). Pure: a request in, and a 101 for someone's socket or a refusal out."""

import logging
import re
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from actions import audit
from actions.tickets import Tickets
from actions.tokens import Claims, Tokens
from hub.settings import Settings
from protocol.codec import encode
from protocol.errors import Refused, not_found, problem
from protocol.forwarded import client
from protocol.ids import MAX_ID
from protocol.origins import is_allowed

PATH = "/ws"
VERSION = "13"
ORIGIN_CHARS = 256

# Longer ones would be refused as an error of ours: Python reads no integer of more than 4,300 digits.
_NUMBER = re.compile(r"[0-9]{1,100}", re.ASCII)

# websockets logs handshakes, and with them tokens, at DEBUG.
quiet = logging.getLogger("hub.websockets")
quiet.setLevel(logging.WARNING)


class Since(NamedTuple):
    """What a client that resumes has: all events up to `event_id` of the log `log`, None where it names no log."""

    event_id: int
    log: str | None

    def is_of(self, log: str, tip: int) -> bool:
        """Whether this is a place in the log `log`, which has come up to `tip`."""
        return self.event_id <= tip and self.log in (None, log)


class Accepted(NamedTuple):
    """The answer that completes the handshake, what the token says, and from where the client wants to resume.

    `address` is the client's, behind trusted proxies too.
    """

    response: bytes
    claims: Claims
    since: Since | None
    address: str


def accept(
    data: bytes, peer: str, scheme: str, settings: Settings, tokens: Tokens, tickets: Tickets
) -> Accepted:
    """Judge the upgrade request `data`, which is whole. A ticket is used up, if nothing else is wrong.

    `peer` is the address at the other end of the connection, `scheme` what it speaks, `http` or `https`. Raises
    Refused: `malformed`, `headers_too_large`, `not_found`, `method_not_allowed`, `upgrade_required`,
    `forbidden_origin`, `unauthorized`, `unavailable`.
    """
    protocol = ServerProtocol(logger=quiet)
    protocol.receive_data(data)
    events = protocol.events_received()
    # The two hold each other, and the request with its token: the garbage collector is not to be waited for.
    protocol.parser.close()
    if not events:
        # The library has an answer of its own to some of these, and none to others.
        if isinstance(protocol.handshake_exc, RequestLineTooLong | HeaderLineTooLong | TooManyHeaders):
            raise Refused("headers_too_large")
        raise Refused("malformed", "The upgrade request cannot be read.")
    request = events[0]
    assert isinstance(request, Request)
    path, query = _target(request)
    if path != PATH:
        raise not_found()
    response = _negotiate(protocol, request)
    address, forwarded_scheme = client(peer, request.headers.raw_items(), settings.trusted_proxies)
    _check_origin(request.headers, address, forwarded_scheme or scheme, settings)
    asked = parse_qs(query, keep_blank_values=True)
    since = _since(asked)
    return Accepted(response.serialize(), _claims(asked, request.headers, tokens, tickets), since, address)


def refuse(refusal: Refused) -> bytes:
    """The HTTP answer to an upgrade that is not to be."""
    body = encode(problem(refusal))
    headers = Headers(
        {
            "Content-Type": "application/problem+json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
    )
    match refusal.status:
        case 401:
            headers["WWW-Authenticate"] = "Bearer"
        case 405:
            headers["Allow"] = "GET"
        case 426:
            headers["Upgrade"] = "websocket"
            headers["Sec-WebSocket-Version"] = VERSION
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    return Response(refusal.status, HTTPStatus(refusal.status).phrase, headers, body).serialize()


def _target(request: Request) -> tuple[str, str]:
    """Path and query of what is asked for."""
    try:
        target = urlsplit(request.path)
    except ValueError:
        raise not_found() from None
    return target.path, target.query


def _negotiate(protocol: ServerProtocol, request: Request) -> Response:
    if request.headers.get_all("Sec-WebSocket-Version") not in ([], [VERSION]):
        raise Refused("upgrade_required", f"This server speaks version {VERSION} of the WebSocket protocol.")
    response = protocol.accept(request)
    match response.status_code:
        case 101:
            return response
        case 405:
            raise Refused("method_not_allowed", "A WebSocket is opened by GET.")
        case 426:
            raise Refused("upgrade_required")
    raise Refused("malformed", f"This is no WebSocket handshake: {protocol.handshake_exc}.")


def _check_origin(headers: Headers, address: str, scheme: str, settings: Settings) -> None:
    own = settings.public_url or f"{scheme}://{''.join(headers.get_all('Host')[:1])}"
    origin = "".join(headers.get_all("Origin"))
    if not is_allowed(headers.get("Origin"), own, settings.origins):
        audit.refused("forbidden_origin", address=address, origin=origin[:ORIGIN_CHARS])
        raise Refused("forbidden_origin", "Pages of this origin may not connect (server.origins).")


def _since(asked: dict[str, list[str]]) -> Since | None:
    given = asked.get("since")
    if given is None:
        return None
    if _NUMBER.fullmatch(given[0]) is None:
        raise Refused("malformed", "since must be the number of an event.")
    # Whatever is larger is ahead of every log.
    return Since(min(int(given[0]), MAX_ID), asked.get("log", [""])[0] or None)


def _claims(asked: dict[str, list[str]], headers: Headers, tokens: Tokens, tickets: Tickets) -> Claims:
    given = asked.get("token")
    if given is not None and given[0]:
        # A JWT has dots, a ticket has none.
        return tokens.read(given[0], "access") if "." in given[0] else tickets.redeem(given[0])
    scheme, _, token = "".join(headers.get_all("Authorization")[:1]).partition(" ")
    return tokens.read(token.strip() if scheme.lower() == "bearer" else "", "access")
