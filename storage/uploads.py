"""Attachments, as rows: from the presign over the upload to the message they are sent with (protocol.md section 5)."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from protocol.errors import Refused, not_found
from storage.transaction import Snapshot, Transaction


class StoredAttachment(NamedTuple):
    """An attachment as its message shows it. `size` in bytes.

    What it is served as is told here on S3 only; the local store looks at the bytes each time.
    """

    id: int
    filename: str
    content_type: str
    size: int
    key: str
    served_type: str | None = None
    is_inline: int | None = None


class Copy(NamedTuple):
    """Where on S3 an attachment lies for good, its size in bytes, and what it is served as."""

    key: str
    size: int
    served_type: str
    is_inline: bool


class Upload(NamedTuple):
    """An attachment's row. `key` and `size` (bytes) are None until it is uploaded, `message_id` until it is sent.

    On S3 `upload_key` is where it is uploaded, until it is sent; whether it was, S3 alone knows.
    """

    id: int
    uploader_id: int
    filename: str
    content_type: str
    key: str | None
    size: int | None
    message_id: int | None
    upload_key: str | None = None


NO_COPIES: Mapping[int, Copy] = MappingProxyType({})
_UPLOAD = "id, uploader_id, filename, content_type, key, size, message_id, upload_key"
_ATTACHMENT = "id, filename, content_type, size, key, served_type, is_inline"


class Unsent(NamedTuple):
    """What of a user's waits to be sent; `bytes` counts the declared size of what is not uploaded yet."""

    files: int
    bytes: int


def insert(
    tx: Transaction, *, uploader_id: int, filename: str, content_type: str, declared_size: int | None
) -> int:
    """A new attachment without bytes; its id, never given before."""
    cursor = tx.execute(
        "INSERT INTO attachments (uploader_id, filename, content_type, declared_size, created_at)"
        " VALUES (?, ?, ?, ?, ?)",
        uploader_id, filename, content_type, declared_size, tx.now,
    )  # fmt: skip
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def expect_on_s3(tx: Transaction, attachment_id: int, upload_key: str) -> None:
    """The attachment's bytes will be uploaded to S3, under this key."""
    tx.execute("UPDATE attachments SET upload_key = ? WHERE id = ?", upload_key, attachment_id)


def find(snapshot: Snapshot, attachment_id: int) -> Upload | None:
    """The attachment with this id."""
    row = snapshot.row(f"SELECT {_UPLOAD} FROM attachments WHERE id = ?", attachment_id)
    return Upload(*row) if row else None


def attachment(snapshot: Snapshot, attachment_id: int) -> StoredAttachment | None:
    """The attachment with this id, if its bytes are in a store, and not only under a temporary key."""
    row = snapshot.row(
        f"SELECT {_ATTACHMENT} FROM attachments WHERE id = ? AND key IS NOT NULL", attachment_id
    )
    return StoredAttachment(*row) if row else None


def unsent(snapshot: Snapshot, uploader_id: int, *, besides: int = 0) -> Unsent:
    """What of a user's waits to be sent, not counting the attachment `besides`."""
    row = snapshot.row(
        "SELECT count(*), coalesce(sum(coalesce(size, declared_size, 0)), 0) FROM attachments"
        " WHERE uploader_id = ? AND message_id IS NULL AND id <> ?",
        uploader_id,
        besides,
    )
    assert row is not None
    return Unsent(*row)


def require_unsent(snapshot: Snapshot, attachment_id: int) -> Upload:
    """The attachment, if it may still be uploaded to the local store.

    Raises Refused: `not_found` when it is gone or belongs on S3, `attachment_unavailable` when it is sent.
    """
    upload = find(snapshot, attachment_id)
    if upload is None or upload.upload_key is not None:
        raise not_found()
    if upload.message_id is not None:
        raise Refused("attachment_unavailable", "The attachment is sent: its bytes can't change any more.")
    return upload


def record(tx: Transaction, upload: Upload, key: str, size: int) -> None:
    """The bytes are in the store under `key`. `upload` is what `require_unsent` has told in this transaction."""
    tx.execute("UPDATE attachments SET key = ?, size = ? WHERE id = ?", key, size, upload.id)


def sendable(snapshot: Snapshot, sender_id: int, ids: Sequence[int]) -> list[Upload]:
    """The attachments with these ids, in this order.

    Raises Refused `attachment_unavailable` if one isn't uploaded, isn't the sender's or is already sent; which of
    these, a stranger may not learn. Of one on S3 it isn't known here whether it is uploaded.
    """
    found = []
    for attachment_id in ids:
        row = snapshot.row(
            f"SELECT {_UPLOAD} FROM attachments WHERE id = ? AND uploader_id = ? AND message_id IS NULL"
            " AND (key IS NOT NULL OR upload_key IS NOT NULL)",
            attachment_id,
            sender_id,
        )
        if row is None:
            raise _unavailable(attachment_id)
        found.append(Upload(*row))
    return found


def claim(
    tx: Transaction,
    message_id: int,
    sender_id: int,
    ids: Sequence[int],
    copies: Mapping[int, Copy] = NO_COPIES,
) -> list[StoredAttachment]:
    """Mark uploads as sent with a message, in the order of `ids`, which names each once.

    Those on S3 need a copy each. Checks all before it writes. Raises Refused as `sendable` does.
    """
    claimed = []
    for upload in sendable(tx, sender_id, ids):
        if upload.upload_key is None:
            assert upload.key is not None
            assert upload.size is not None
            stored = StoredAttachment(
                upload.id, upload.filename, upload.content_type, upload.size, upload.key
            )
        elif upload.id in copies:
            copy = copies[upload.id]
            stored = StoredAttachment(
                upload.id,
                upload.filename,
                upload.content_type,
                copy.size,
                copy.key,
                copy.served_type,
                copy.is_inline,
            )
        else:
            raise _unavailable(upload.id)
        claimed.append(stored)
    for position, stored in enumerate(claimed):
        tx.execute(
            "UPDATE attachments SET message_id = ?, position = ?, key = ?, size = ?, served_type = ?, is_inline = ?,"
            " upload_key = NULL WHERE id = ?",
            message_id, position, stored.key, stored.size, stored.served_type, stored.is_inline, stored.id,
        )  # fmt: skip
    return claimed


def of_messages(snapshot: Snapshot, message_ids: Sequence[int]) -> dict[int, list[StoredAttachment]]:
    """The attachments of messages, each message's in their order; messages without any are left out."""
    found: dict[int, list[StoredAttachment]] = {}
    rows = snapshot.rows(
        f"SELECT message_id, {_ATTACHMENT} FROM attachments"
        " WHERE message_id IN (SELECT value FROM json_each(?)) ORDER BY message_id, position",
        json.dumps(list(message_ids)),
    )
    for message_id, *columns in rows:
        found.setdefault(message_id, []).append(StoredAttachment(*columns))
    return found


def is_readable(snapshot: Snapshot, attachment_id: int, user_id: int) -> bool:
    """Whether it is uploaded, and the user may read its message now; before it is sent, whether they uploaded it.

    Of one that will be sent from S3 it isn't known here whether it is uploaded.
    """
    row = snapshot.row(
        "SELECT 1 FROM attachments a"
        " LEFT JOIN messages m ON m.id = a.message_id"
        " LEFT JOIN members p ON p.conversation_id = m.conversation_id AND p.user_id = ?2"
        " WHERE a.id = ?1 AND (a.key IS NOT NULL OR a.upload_key IS NOT NULL)"
        " AND (p.user_id IS NOT NULL OR (a.message_id IS NULL AND a.uploader_id = ?2))",
        attachment_id,
        user_id,
    )
    return row is not None


def keys(snapshot: Snapshot, ids: Sequence[int]) -> dict[int, str]:
    """The keys under which a store has, or on S3 may have, these attachments; without those that have none."""
    rows = snapshot.rows(
        "SELECT id, coalesce(key, upload_key) FROM attachments"
        " WHERE id IN (SELECT value FROM json_each(?)) AND coalesce(key, upload_key) IS NOT NULL",
        json.dumps(list(ids)),
    )
    return dict(rows)


def remove_stale(tx: Transaction, before: int, limit: int) -> list[str | None]:
    """Remove attachments that were presigned before a time (milliseconds since the epoch) and never sent.

    At most `limit` at a time, oldest first; the keys of those removed, None for one that the local store has not.
    """
    rows = tx.rows(
        "SELECT id, key FROM attachments WHERE message_id IS NULL AND created_at < ? ORDER BY created_at LIMIT ?",
        before,
        limit,
    )
    for attachment_id, _ in rows:
        tx.execute("DELETE FROM attachments WHERE id = ?", attachment_id)
    return [key for _, key in rows]


def remove_unsent(tx: Transaction, uploader_id: int) -> list[str]:
    """Remove what of a user's waits to be sent; the keys of what the local store has of it."""
    rows = tx.rows("SELECT key FROM attachments WHERE uploader_id = ? AND message_id IS NULL", uploader_id)
    tx.execute("DELETE FROM attachments WHERE uploader_id = ? AND message_id IS NULL", uploader_id)
    return [key for (key,) in rows if key is not None]


def _unavailable(attachment_id: int) -> Refused:
    return Refused(
        "attachment_unavailable", f"Attachment {attachment_id} is not uploaded, not yours, or already sent."
    )
