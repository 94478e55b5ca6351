"""The sockets that the server listens on."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterable

from beseda.tls import HANDSHAKE_SECONDS, Certificate

BACKLOG = 2048
"""How many connections may wait to be accepted."""

_ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
"""What a name resolves to, but this machine does not have: `localhost` as ::1 where there is no IPv6."""


class CannotListen(Exception):
    """The address cannot be listened on; says which, and why."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to all addresses of `host`, on one port; 0 takes a free one. Raises CannotListen."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "this is no host name"
        raise CannotListen(f"cannot listen on {host}: {reason}") from None
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        absent: OSError | None = None
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                bound = _bound(socket.socket(family, kind, protocol), (address[0], port, *address[2:]))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise cannot_listen(host, port, error) from None
                absent = error
            else:
                sockets.append(opened.enter_context(bound))
                port = bound.getsockname()[1]
        if not sockets:
            assert absent is not None
            raise cannot_listen(host, port, absent)
        opened.pop_all()
    return sockets


async def listen(
    sockets: Iterable[socket.socket],
    connection: Callable[[], asyncio.Protocol],
    certificate: Certificate | None = None,
) -> list[asyncio.Server]:
    """Accept connections, with a certificate over TLS. Raises OSError."""
    loop = asyncio.get_running_loop()
    context = certificate.context if certificate else None
    seconds = HANDSHAKE_SECONDS if certificate else None
    return [
        await loop.create_server(
            connection, sock=bound, backlog=BACKLOG, ssl=context, ssl_handshake_timeout=seconds
        )
        for bound in sockets
    ]


def cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    """Why `host` and `port` are not to be had."""
    reason = (
        "something else listens there" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0)
    )
    return CannotListen(f"cannot listen on {host} port {port}: {reason}")


def url(host: str, port: int, *, tls: bool = False) -> str:
    """The address as a URL."""
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _bound(new: socket.socket, address: tuple[object, ...]) -> socket.socket:
    try:
        new.setblocking(False)
        # A server that was just stopped leaves connections behind; the next one need not wait for them.
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if new.family == socket.AF_INET6:
            # `::` is IPv6 only, on every system alike, so that it and 0.0.0.0 don't get into each other's way.
            new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        new.bind(address)
    except BaseException:
        new.close()
        raise
    return new
