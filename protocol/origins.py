"""Which web pages may open a socket (docs/protocol.md section 6; RFC 6454). Pure."""

from collections.abc import Iterable
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_allowed(origin: str | None, own: str, others: Iterable[str]) -> bool:
    """Whether a page of `origin` may connect to the server at the URL `own`; `others` are allowed too, `*` for any.

    No origin is let in: it is no browser that asks. `null` is not: a sandboxed page is nobody's.
    """
    if origin is None:
        return True
    allowed = list(others)
    if "*" in allowed:
        return True
    asked = _parts(origin)
    return asked is not None and asked in {_parts(own), *map(_parts, allowed)}


def _parts(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port: what makes two origins the same."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        return None
    if split.scheme not in _DEFAULT_PORTS or not split.hostname:
        return None
    return split.scheme, split.hostname, port or _DEFAULT_PORTS[split.scheme]
