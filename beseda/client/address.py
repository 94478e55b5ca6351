"""A server's address, as a person writes it."""

from urllib.parse import urlsplit

from beseda.client.errors import Unreachable

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def base_url(text: str) -> str:
    """`scheme://host[:port]` for `chat.example.org`, `localhost:8000` or a whole URL.

    Without a scheme it is https, and http on this very machine. Raises Unreachable for what is no server's address.
    """
    text = text.strip()
    try:
        url = urlsplit(text if "://" in text else f"//{text}")
        port = url.port
    except ValueError:
        raise _no_address(text) from None
    scheme = _SCHEMES.get(url.scheme) if url.scheme else ("http" if url.hostname in _LOCAL else "https")
    is_bare = url.path in ("", "/") and not url.query and not url.fragment and "@" not in url.netloc
    if scheme is None or not url.hostname or not is_bare or any(map(str.isspace, url.netloc)):
        raise _no_address(text)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{scheme}://{host}" + (f":{port}" if port else "")


def _no_address(text: str) -> Unreachable:
    return Unreachable(f"This is no server's address: {text!r}. One looks like https://chat.example.org.")
