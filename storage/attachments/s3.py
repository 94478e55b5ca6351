"""Attachments in a bucket of any S3-compatible service. The bytes never pass the server: signed URLs lead to S3.

Imported only where S3 is configured: botocore takes half a second and 39 MB.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import ClientError

from protocol.errors import Refused
from storage.attachments.asking import answering, status, unavailable
from storage.attachments.local import HEAD, Held
from storage.attachments.objects import ObjectNames
from storage.uploads import Upload

logger = logging.getLogger(__name__)

SECONDS = 2.5
"""How long a client waits for S3, whatever S3 does."""

DOWN_SECONDS = 1.0
"""So long nobody waits for S3 again after it has not answered in time: what queues up behind must not wait as often."""

CHORE_SECONDS = 30.0
"""How long one request of a clean-up may take."""

CONNECTIONS = 20
MAX_DISCARDING = 500
"""Deletions under way; beyond that objects are left to the clean-up."""

LISTED_AT_ONCE = 1000

_ATTEMPTS = 3

_OURS_ALONE: dict[str, Any] = dict.fromkeys(
    ("profile", "config_file", "credentials_file"), (None, None, None, None)
)
"""Neither AWS's files in the home folder nor AWS_PROFILE have a say: the server's settings stand in one place."""


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Which bucket, and who we are there. An empty `endpoint` is AWS. `max_bytes` is the largest file."""

    endpoint: str
    region: str
    bucket: str
    access_key: str
    secret_key: str
    max_bytes: int


class Copied(NamedTuple):
    """An object that lies under its fresh key. `size` in bytes; `head` are its first bytes."""

    key: str
    size: int
    head: bytes


class Copies(dict[int, Copied]):
    """The copies that were made, by attachment."""

    is_used = False
    """Set once a message names them."""


class S3Files:
    """The bucket. Made by `open_s3`.

    All that asks S3 raises Refused `unavailable` when it doesn't answer, or not in time.
    """

    def __init__(self, client: Any, settings: S3Settings, names: ObjectNames) -> None:
        self._client = client
        self._bucket = settings.bucket
        self._max_bytes = settings.max_bytes
        self._names = names
        self._discarding: set[asyncio.Task[None]] = set()
        self._down_until = 0.0

    async def url(self) -> str:
        """The bucket's own URL, by host or by path. Asks nobody."""
        parameters = {"Bucket": self._bucket, "Key": "x"}
        signed: str = await self._client.generate_presigned_url("get_object", Params=parameters)
        return signed.partition("?")[0].removesuffix("/x")

    @contextlib.asynccontextmanager
    async def copied(self, uploads: Sequence[Upload]) -> AsyncIterator[Copies]:
        """Copy uploads to fresh keys, which the block then records, saying so by `is_used`.

        Of the two objects of each, the one that no row names is removed: the upload if the copies are used, else the
        copies. After a block that ends in anything but Refused that is unknown, and the clean-up sees to it.

        Raises Refused `attachment_unavailable` when one isn't uploaded or is too large.
        """
        copies, begun = Copies(), list[str]()
        try:
            async with answering(SECONDS):
                made = await asyncio.gather(
                    *(self._copy(upload, begun) for upload in uploads), return_exceptions=True
                )
                for upload, outcome in zip(uploads, made, strict=True):
                    if isinstance(outcome, BaseException):
                        raise outcome
                    copies[upload.id] = outcome
            yield copies
        except Refused:
            self.discard(begun)
            raise
        self.discard([_upload_key(upload) for upload in uploads] if copies.is_used else begun)

    async def head(self, key: str) -> bytes | None:
        """The first bytes of an object; None if there is none."""
        async with answering(SECONDS):
            found = await self._look(key)
            return None if found is None else (await self._first_bytes(key))[1]

    def discard(self, keys: Iterable[str]) -> None:
        """Remove objects soon, and wait for nothing; what can't be removed is left to the clean-up."""
        for key in keys:
            if len(self._discarding) < MAX_DISCARDING:
                task = asyncio.create_task(self._discard(key))
                self._discarding.add(task)
                task.add_done_callback(self._discarding.discard)

    async def delete(self, key: str) -> None:
        """Remove an object; one that is gone already is no error."""
        async with answering(CHORE_SECONDS):
            await self._client.delete_object(Bucket=self._bucket, Key=key)

    async def held(self, before: int) -> AsyncIterator[list[Held]]:
        """All objects of ours that were made before a time (milliseconds since the epoch), some at a time."""
        for prefix in (self._names.uploads, self._names.files):
            after = ""
            while True:
                async with answering(CHORE_SECONDS):
                    page = await self._client.list_objects_v2(
                        Bucket=self._bucket, Prefix=prefix, StartAfter=after, MaxKeys=LISTED_AT_ONCE
                    )
                objects = page.get("Contents", [])
                yield [
                    Held(attachment_id, found["Key"])
                    for found in objects
                    if (attachment_id := self._names.attachment_id(found["Key"])) is not None
                    and found["LastModified"] < datetime.fromtimestamp(before / 1000, UTC)
                ]
                if not page["IsTruncated"] or not objects:
                    break
                after = objects[-1]["Key"]

    async def close(self) -> None:
        """Give up what is still being removed."""
        for task in self._discarding:
            task.cancel()
        await asyncio.gather(*self._discarding, return_exceptions=True)

    async def _copy(self, upload: Upload, begun: list[str]) -> Copied:
        """Copy an upload as it is at some moment, whatever is uploaded meanwhile."""
        source = {"Bucket": self._bucket, "Key": _upload_key(upload)}
        key = self._names.new_file(upload.id)
        for _ in range(_ATTEMPTS):
            found = await self._look(source["Key"])
            if found is None:
                raise Refused("attachment_unavailable", f"Attachment {upload.id} is not uploaded.")
            self._require_size(upload, found["ContentLength"])
            begun.append(key)
            try:
                await self._client.copy_object(
                    Bucket=self._bucket, Key=key, CopySource=source, CopySourceIfMatch=found["ETag"]
                )
            except ClientError as error:
                if status(error) in (404, 412):
                    continue  # it was uploaded again since we looked
                raise
            # Not every service heeds the condition: what the copy is, it says itself.
            size, head = await self._first_bytes(key)
            self._require_size(upload, size)
            return Copied(key, size, head)
        raise Refused("attachment_unavailable", f"Attachment {upload.id} is being uploaded again and again.")

    async def _look(self, key: str) -> dict[str, Any] | None:
        if asyncio.get_running_loop().time() < self._down_until:
            raise unavailable()
        try:
            found: dict[str, Any] = await self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if status(error) == 404:
                return None
            raise
        except asyncio.CancelledError:
            # This is the least that S3 can be asked, and there was no time left for it.
            self._down_until = asyncio.get_running_loop().time() + DOWN_SECONDS
            raise
        return found

    async def _first_bytes(self, key: str) -> tuple[int, bytes]:
        """An object's size, and how it begins."""
        try:
            answer = await self._client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes=0-{HEAD - 1}")
        except ClientError as error:
            if status(error) == 416:
                return 0, b""  # of nothing no range can be had
            raise
        head = b""
        async with answer["Body"] as body:
            # One read brings what has arrived by then.
            while len(head) < HEAD and (piece := await body.read(HEAD - len(head))):
                head += piece
        size = int(answer.get("ContentRange", "").rpartition("/")[2] or answer["ContentLength"])
        if len(head) < min(size, HEAD):
            raise EOFError(f"an answer broke off after {len(head)} bytes")
        return size, head

    def _require_size(self, upload: Upload, size: int) -> None:
        if size > self._max_bytes:
            raise Refused(
                "attachment_unavailable",
                f"Attachment {upload.id} has {size} bytes, and a file may have at most {self._max_bytes}"
                " (attachments.max_bytes).",
            )

    async def _discard(self, key: str) -> None:
        with contextlib.suppress(Refused):
            await self.delete(key)


@contextlib.asynccontextmanager
async def open_s3(settings: S3Settings, names: ObjectNames) -> AsyncIterator[S3Files]:
    """A client of the bucket; S3 is not asked anything yet."""
    config = AioConfig(
        signature_version="s3v4",
        # Services other than AWS need not know checksums in trailers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if settings.endpoint else "virtual"},
        ignore_configured_endpoint_urls=True,
        connect_timeout=2,
        read_timeout=10,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=CONNECTIONS,
    )
    async with AioSession(_OURS_ALONE).create_client(
        "s3",
        region_name=settings.region,
        endpoint_url=settings.endpoint or None,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        config=config,
    ) as client:
        files = S3Files(client, settings, names)
        try:
            yield files
        finally:
            await files.close()


def _upload_key(upload: Upload) -> str:
    assert upload.upload_key is not None
    return upload.upload_key
