"""Files: asking to upload one, receiving its bytes, handing them out, and clearing away what was never sent.

docs/protocol.md section 5. On the `local` store all of it goes through here; on S3 the bytes go their own way.
"""

import logging
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from actions.actor import Actor
from actions.links import UPLOAD_SECONDS, Link
from actions.rates import Rates
from actions.rules import Rules
from actions.serving import Served, served_as
from actions.sessions import acting
from protocol.commands import Presign
from protocol.entities import Presigned
from protocol.errors import Refused, not_found
from storage import Snapshot, Store, Transaction, uploads
from storage.attachments.disk import storage_low
from storage.attachments.local import LocalFiles, StoredFile, too_large
from storage.attachments.objects import is_on_s3

if TYPE_CHECKING:
    from storage.attachments.s3 import S3Files

logger = logging.getLogger(__name__)

RETRY_AFTER = 60
"""Seconds: whoever has too much unsent can send it, or wait up to a day; nobody knows which."""

STALE_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class AttachmentRules:
    """What the settings decide for files. Sizes in bytes.

    A user may have `unsent_files` files of `unsent_bytes` together that no message has; they are removed
    `unsent_seconds` after their presign. Uploads leave `min_free_bytes` of the disk to the messages.
    """

    max_bytes: int
    unsent_files: int
    unsent_bytes: int
    min_free_bytes: int
    unsent_seconds: int = 86_400
    on_s3: bool = False
    """Where new uploads go; then the disk doesn't matter to them."""


class Download(NamedTuple):
    """A file to hand out, opened: whoever gets it closes `file`. `is_final`: it is sent, its bytes never change."""

    file: StoredFile
    key: str
    filename: str
    served: Served
    is_final: bool


async def presign(
    store: Store,
    rules: Rules,
    limits: AttachmentRules,
    files: LocalFiles,
    actor: Actor,
    command: Presign,
    base: str,
) -> Presigned:
    """A place for a file, and the URL to PUT it to. `base` is the server's `scheme://host`.

    On S3 the URL takes just the declared size; in the local store that only serves to refuse early. Raises Refused:
    `too_large`, `too_many_uploads`, `storage_low`, and what `acting` raises.
    """
    size = command.size or 0
    if size > limits.max_bytes:
        raise too_large(limits.max_bytes)
    s3 = rules.s3 if limits.on_s3 else None
    free = await files.free_bytes() if s3 is None else None

    def unit(tx: Transaction) -> tuple[int, str]:
        if free is not None and free - size < limits.min_free_bytes:
            raise storage_low()
        _check_unsent(limits, uploads.unsent(tx, actor.user_id), size)
        attachment_id = uploads.insert(
            tx,
            uploader_id=actor.user_id,
            filename=command.filename,
            content_type=command.content_type,
            declared_size=command.size,
        )
        if s3 is None:
            return attachment_id, rules.links.upload(attachment_id, base)
        key = s3.names.new_upload(attachment_id)
        uploads.expect_on_s3(tx, attachment_id, key)
        return attachment_id, s3.upload(key, command.size)

    attachment_id, url = await store.write(acting(actor, unit))
    return {
        "id": attachment_id,
        "url": url,
        "method": "PUT",
        "headers": {"Content-Type": command.content_type},
        "expires_in": UPLOAD_SECONDS,
    }


async def upload(
    store: Store,
    rates: Rates,
    limits: AttachmentRules,
    files: LocalFiles,
    attachment_id: int,
    chunks: AsyncIterable[bytes],
    length: int | None,
) -> None:
    """Receive a file's bytes, `length` of them if that is known. The signed URL has authorized it.

    It may be repeated until the attachment is sent: the last to be recorded holds, and a newer one ends one that still
    streams. It costs its uploader a call. Raises Refused: `too_large`, `not_found`, `attachment_unavailable`,
    `rate_limited`, `too_many_uploads`, `storage_low`, `unavailable`; what `chunks` raises. Then nothing has changed.
    """
    if length is not None and length > limits.max_bytes:
        raise too_large(limits.max_bytes)

    def check(snapshot: Snapshot, size: int) -> uploads.Upload:
        unsent = uploads.require_unsent(snapshot, attachment_id)
        _check_unsent(limits, uploads.unsent(snapshot, unsent.uploader_id, besides=attachment_id), size)
        return unsent

    # First so that nobody streams in vain; then again where no message can come between.
    found = await store.read(lambda snapshot: check(snapshot, length or 0))
    rates.call(found.uploader_id)
    async with files.receive(
        attachment_id, chunks, max_bytes=limits.max_bytes, min_free_bytes=limits.min_free_bytes
    ) as received:

        def unit(tx: Transaction) -> str | None:
            before = check(tx, received.size)
            uploads.record(tx, before, received.key, received.size)
            return before.key

        replaced = await store.write(unit)
    if replaced is not None:
        await files.delete(replaced)


async def resolve(store: Store, rules: Rules, s3: "S3Files | None", actor: Actor, attachment_id: int) -> Link:
    """A fresh signed URL, for who may read the message now, or for the uploader before it is sent.

    Raises Refused: `not_found` to everyone else, and when nothing is uploaded; `unavailable`.
    """

    def query(snapshot: Snapshot) -> Link | uploads.Upload:
        if uploads.is_readable(snapshot, attachment_id, actor.user_id):
            stored = uploads.attachment(snapshot, attachment_id)
            if stored is not None:
                return rules.link(stored)
            unsent = uploads.find(snapshot, attachment_id)
            if unsent is not None:
                return unsent
        raise not_found()

    found = await store.read(acting(actor, query))
    if isinstance(found, Link):
        return found
    if s3 is None or rules.s3 is None or found.upload_key is None:
        raise not_found()
    head = await s3.head(found.upload_key)
    if head is None:
        raise not_found()
    served = served_as(found.content_type, head)
    return rules.s3.fresh(found.upload_key, found.filename, served, is_final=False)


async def download(store: Store, files: LocalFiles, attachment_id: int) -> Download:
    """A file to hand out. The signed URL has authorized it. Raises Refused: `not_found`, `unavailable`."""
    tried = None
    while True:
        found = await store.read(lambda snapshot: uploads.find(snapshot, attachment_id))
        # A repeated upload may have taken the place of the one that we were about to open; so we ask again.
        if found is None or found.key is None or is_on_s3(found.key):
            raise not_found()
        if found.key == tried:
            logger.error("The file of attachment %d is missing", attachment_id)
            raise not_found()
        try:
            file = await files.open(found.key)
        except FileNotFoundError:
            tried = found.key
            continue
        served = served_as(found.content_type, file.head)
        return Download(file, found.key, found.filename, served, found.message_id is not None)


async def sweep(store: Store, files: LocalFiles, limits: AttachmentRules) -> None:
    """Remove uploads that were never sent in time, and local files that no row names: what crashes leave behind.

    One call does all of it; at the start and every hour is often enough. Raises Refused `unavailable`.
    """
    await files.remove_broken_off()
    while True:
        removed = await store.write(
            lambda tx: uploads.remove_stale(tx, tx.now - limits.unsent_seconds * 1000, STALE_AT_ONCE)
        )
        for key in removed:
            if key is not None:
                await files.delete(key)
        if len(removed) < STALE_AT_ONCE:
            break
    async for held in files.held():
        ids = [file.attachment_id for file in held]
        named = await store.read(lambda snapshot, ids=ids: uploads.keys(snapshot, ids))  # type: ignore[misc]
        for file in held:
            if named.get(file.attachment_id) != file.key:
                await files.delete(file.key)


async def sweep_s3(store: Store, s3: "S3Files", limits: AttachmentRules) -> None:
    """Remove what S3 holds and no row names: uploads whose row `sweep` has removed or that were sent, unused copies.

    Nothing younger than an upload may be is touched: a row may soon name it. Raises Refused `unavailable`.
    """
    before = await store.read(lambda snapshot: snapshot.now - limits.unsent_seconds * 1000)
    async for held in s3.held(before):
        ids = [file.attachment_id for file in held]
        named = await store.read(lambda snapshot, ids=ids: uploads.keys(snapshot, ids))  # type: ignore[misc]
        for file in held:
            if named.get(file.attachment_id) != file.key:
                await s3.delete(file.key)


def _check_unsent(limits: AttachmentRules, unsent: uploads.Unsent, size: int) -> None:
    """Whether one more file of `size` bytes fits beside a user's others."""
    if unsent.files >= limits.unsent_files:
        raise Refused(
            "too_many_uploads",
            f"You have {unsent.files} files that are not sent yet (attachments.unsent_files).",
            retry_after=RETRY_AFTER,
        )
    if unsent.bytes + size > limits.unsent_bytes:
        raise Refused(
            "too_many_uploads",
            f"Your files that are not sent yet would have {unsent.bytes + size} bytes (attachments.unsent_bytes).",
            retry_after=RETRY_AFTER,
        )
