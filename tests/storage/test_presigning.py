"""Presigned URLs on S3, against AWS's published example and against what botocore signs by its own clock."""

from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from storage.attachments.presigning import Presigner

AT = 1_790_000_000
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def test_it_signs_as_in_the_example_that_aws_has_published() -> None:
    presigner = Presigner(
        "https://examplebucket.s3.amazonaws.com", "us-east-1", "AKIAIOSFODNN7EXAMPLE", SECRET
    )
    at = int(datetime(2013, 5, 24, tzinfo=UTC).timestamp())
    assert presigner.url("GET", "test.txt", at=at, seconds=86400) == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


@pytest.mark.parametrize(
    ("method", "bucket_url", "key", "query", "length"),
    [
        ("GET", "http://127.0.0.1:9000/bucket", "files/5f/7-0a", {}, None),
        ("GET", "https://b.example.org/", "a b+c/ä~_.!*'()%", {"response-content-type": "a/b; c=d"}, None),
        (
            "GET", "https://example.org/base/b.u.c", "k",
            {"response-content-disposition": "inline; filename=\"a_.png\"; filename*=UTF-8''%C3%A4.png",
             "response-cache-control": "private, max-age=3, immutable"}, None,
        ),
        ("PUT", "http://[::1]:9000/b", "uploads/5f/7-0a", {}, None),
        ("PUT", "http://127.0.0.1:9000/b", "uploads/5f/7-0a", {}, 0),
        ("PUT", "https://example.org/b", "uploads/5f/7-0a", {}, 26_214_400),
    ],
)  # fmt: skip
def test_it_signs_as_botocore_does_by_its_own_clock(
    method: str, bucket_url: str, key: str, query: dict[str, str], length: int | None
) -> None:
    ours = Presigner(bucket_url, "eu-central-1", "id", SECRET).url(
        method, key, at=AT, seconds=600, query=query, length=length
    )
    assert ours.partition("X-Amz-Signature=")[2] == theirs(method, ours.partition("?")[0], query, length)


def theirs(method: str, url: str, query: dict[str, str], length: int | None) -> str:
    """The signature that botocore makes."""
    headers: dict[str, Any] = {} if length is None else {"Content-Length": str(length)}
    request = AWSRequest(method, url, params=dict(query), headers=headers)
    signer = S3SigV4QueryAuth(ReadOnlyCredentials("id", SECRET, None), "s3", "eu-central-1", 600)
    now = datetime.fromtimestamp(AT, UTC).replace(tzinfo=None)
    with mock.patch("botocore.auth.get_current_datetime", return_value=now):
        signer.add_auth(request)
    signature: str = request.url.partition("X-Amz-Signature=")[2]
    assert signature
    return signature
