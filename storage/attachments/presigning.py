"""Presigned URLs on S3, by botocore's signer (AWS Signature Version 4 in the query). Nobody is asked.

A client of botocore's signs as of now only, on the event loop only. Those in messages are signed within transactions,
hundreds for a page of history, and as of the full hour, so that they stay the same within it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from botocore.auth import SIGV4_TIMESTAMP, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

KEPT = 2048
"""URLs of the hour that are not signed again; with their headers each takes a kilobyte or so."""


class Presigner:
    """Signs URLs of objects in one bucket, whose own URL is `bucket_url`. Any thread may ask it."""

    def __init__(self, bucket_url: str, region: str, access_key: str, secret_key: str) -> None:
        self._bucket_url = bucket_url.rstrip("/")
        self._region = region
        self._credentials = ReadOnlyCredentials(access_key, secret_key, None)
        self._signed = lru_cache(maxsize=KEPT)(self._sign)

    def url(
        self,
        method: str,
        key: str,
        *,
        at: int,
        seconds: int,
        query: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> str:
        """A URL for one method on one object, signed as of `at` (seconds since the epoch), good for `seconds`.

        With `length` it is good only for a body of exactly so many bytes: S3 checks the header.
        """
        # An upload's URL is asked for once.
        sign = self._signed if method == "GET" else self._sign
        return sign(method, key, at, seconds, tuple((query or {}).items()), length)

    def _sign(
        self,
        method: str,
        key: str,
        at: int,
        seconds: int,
        query: tuple[tuple[str, str], ...],
        length: int | None,
    ) -> str:
        headers = {} if length is None else {"Content-Length": str(length)}
        url = f"{self._bucket_url}/{quote(key, safe='/-_.~')}"
        request = AWSRequest(method, url, headers, params=dict(query))
        _Signer(self._credentials, self._region, at, seconds).add_auth(request)
        signed: str = request.url
        return signed


class _Signer(S3SigV4QueryAuth):  # type: ignore[misc] # botocore is not typed
    """botocore's, but for the time: it would take its own clock's."""

    def __init__(self, credentials: ReadOnlyCredentials, region: str, at: int, seconds: int) -> None:
        super().__init__(credentials, "s3", region, seconds)
        self._timestamp = datetime.fromtimestamp(at, UTC).strftime(SIGV4_TIMESTAMP)

    def add_auth(self, request: AWSRequest) -> None:
        """Sign a request: its URL is the presigned one after this."""
        request.context["timestamp"] = self._timestamp
        self._modify_request_before_signing(request)
        to_sign = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(to_sign, request))
