"""Who really asks, where a reverse proxy stands between: X-Forwarded-For and X-Forwarded-Proto.

Both are believed only from configured proxies. X-Forwarded-Host is not read at all: a proxy that keeps `Host` needs
none, and one that does not is told of by `server.public_url`.
"""

import functools
import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}


@functools.lru_cache(maxsize=16)
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Addresses and CIDR networks, ready to look up. Raises ValueError, naming the one that is neither."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def client(peer: str, headers: Iterable[tuple[str, str]], trusted: tuple[str, ...]) -> tuple[str, str | None]:
    """The address of who asks, and the scheme they used (`http` or `https`) where a trusted proxy tells it.

    `peer` is the other end of the connection; `headers` are `(name, value)` pairs, repeated names included;
    `trusted` are the proxies, addresses or networks that `networks` can read.
    X-Forwarded-For is read from the right: each proxy appends whom it heard, so what stands left of the first
    address that is no proxy of ours may be anyone's invention. No header makes it raise.
    """
    address = _address(peer)
    if address is None or not _is_trusted(address, trusted):
        return (peer if address is None else str(address)), None
    hops: list[str] = []
    scheme: str | None = None
    for name, value in headers:
        match name.lower():
            case "x-forwarded-for":
                hops += value.split(",")
            case "x-forwarded-proto":
                # The last one is the nearest proxy's own word.
                scheme = _SCHEMES.get(value.rpartition(",")[2].strip().lower())
    for hop in reversed(hops):
        heard = _address(hop)
        if heard is None:
            break
        address = heard
        if not _is_trusted(address, trusted):
            break
    return str(address), scheme


def is_trusted(peer: str, trusted: tuple[str, ...]) -> bool:
    """Whether the other end of a connection is a proxy of ours."""
    address = _address(peer)
    return address is not None and _is_trusted(address, trusted)


def _is_trusted(address: Address, trusted: tuple[str, ...]) -> bool:
    return any(address in network for network in networks(trusted))


def _address(text: str) -> Address | None:
    """The address that `text` begins with; some proxies add a port. None where it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        # A zone (`fe80::1%eth0`) says through which of our interfaces, not who.
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A listener on `::` sees IPv4 clients as ::ffff:a.b.c.d.
    return getattr(address, "ipv4_mapped", None) or address
