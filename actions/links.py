"""Signed URLs: who holds one may PUT or GET the bytes of one attachment for a while (docs/protocol.md section 5)."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from actions.serving import Served, disposition
from protocol.errors import Refused
from protocol.ids import parse_id
from storage.attachments.objects import ObjectNames

if TYPE_CHECKING:
    from storage.attachments.presigning import Presigner

UPLOAD_SECONDS = 600

_STEP_SECONDS = 3600


class Link(NamedTuple):
    """A signed URL, and for how many seconds it holds."""

    url: str
    expires_in: int


class Links:
    """Signs URLs of the local store and checks them. `key` is for this purpose alone.

    The clock tells milliseconds since the epoch. `public_url` is empty where none is set. Downloads hold for
    `url_seconds` at least.
    """

    def __init__(self, key: bytes, public_url: str, url_seconds: int, clock: Callable[[], int]) -> None:
        self._key = key
        self._public_url = public_url.rstrip("/")
        self._url_seconds = url_seconds
        self._clock = clock

    def download(self, attachment_id: int) -> str:
        """A signed GET: absolute where there is a `public_url`, else only a path."""
        return self.fresh(attachment_id).url

    def fresh(self, attachment_id: int) -> Link:
        """A signed GET and how long it holds.

        They end on full hours, so that within one hour the URL is one and the same: a client that sees a message
        again finds the file in its cache.
        """
        now = self._clock()
        until = _ceil(now + self._url_seconds * 1000, _STEP_SECONDS * 1000) * _STEP_SECONDS
        url = self._public_url + self._path("GET", attachment_id, until)
        return Link(url, (until * 1000 - now) // 1000)

    def upload(self, attachment_id: int, base: str) -> str:
        """A signed PUT for `UPLOAD_SECONDS`, absolute: `base` is the server's `scheme://host`."""
        until = _ceil(self._clock(), 1000) + UPLOAD_SECONDS
        return base.rstrip("/") + self._path("PUT", attachment_id, until)

    def check(self, method: str, attachment_id: int, expires: str, signature: str) -> int:
        """For how many more seconds the URL holds. HEAD is asked with a GET's URL.

        Raises Refused `invalid_url`, the same for one that was changed, is for another method, or has expired.
        """
        until = parse_id(expires)
        if until is not None:
            expected = self._signature("GET" if method == "HEAD" else method, attachment_id, until)
            genuine = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))
            left = until * 1000 - self._clock()
            if genuine and left > 0:
                return left // 1000
        raise Refused("invalid_url", "This URL is not valid, or not any more. Ask for a fresh one.")

    def _path(self, method: str, attachment_id: int, until: int) -> str:
        signature = self._signature(method, attachment_id, until)
        return f"/files/{attachment_id}?expires={until}&signature={signature}"

    def _signature(self, method: str, attachment_id: int, until: int) -> str:
        # Two of the three are integers and one has no line break, so no two triples make one text.
        signed = f"{method}\n{attachment_id}\n{until}".encode()
        digest = hmac.digest(self._key, signed, hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class S3Links:
    """Signs URLs on S3, which checks them. As in `Links`, downloads hold for `url_seconds` at least."""

    def __init__(
        self, presigner: "Presigner", names: ObjectNames, url_seconds: int, clock: Callable[[], int]
    ) -> None:
        self.names = names
        self._presigner = presigner
        self._url_seconds = url_seconds
        self._clock = clock

    def upload(self, key: str, size: int | None) -> str:
        """A signed PUT for `UPLOAD_SECONDS`; with a `size` S3 takes a body of just so many bytes."""
        return self._presigner.url("PUT", key, at=self._clock() // 1000, seconds=UPLOAD_SECONDS, length=size)

    def fresh(self, key: str, filename: str, served: Served, *, is_final: bool) -> Link:
        """A signed GET and how long it holds; signed as of the full hour, so that it is the same within one.

        It tells S3 which headers to answer with. S3 sends no CSP, so PDF, which can hold scripts, is only for saving.
        """
        now = self._clock()
        at = now // 1000 // _STEP_SECONDS * _STEP_SECONDS
        seconds = self._url_seconds + _STEP_SECONDS
        is_pdf = served.content_type.lower().startswith("application/pdf")
        query = {
            "response-cache-control": f"private, max-age={seconds}, immutable"
            if is_final
            else "private, no-cache",
            "response-content-disposition": disposition(filename, inline=served.inline and not is_pdf),
            "response-content-type": served.content_type,
        }
        url = self._presigner.url("GET", key, at=at, seconds=seconds, query=query)
        return Link(url, at + seconds - now // 1000)


def _ceil(number: int, step: int) -> int:
    return -(-number // step)
