"""Sending a message whose attachments may lie on S3: they are copied there first, then it is stored (section 5)."""

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING

from actions import messages
from actions.actor import Actor
from actions.rules import Rules
from actions.serving import served_as
from actions.sessions import acting
from protocol.commands import Draft
from protocol.entities import Message
from protocol.errors import Refused
from storage import Store, uploads
from storage.uploads import Copy, Upload

if TYPE_CHECKING:
    from storage.attachments.s3 import S3Files


async def send(
    store: Store,
    rules: Rules,
    s3: "S3Files | None",
    actor: Actor,
    conversation_id: int,
    draft: Draft,
    temp_id: str | None,
    *,
    read: bool,
) -> tuple[Message, bool]:
    """As `messages.send`, with a session that lasts.

    What a client was told to write to could still be changed after sending; so a message names copies under keys that
    nobody was told. Raises Refused as `messages.send` does, and `unauthorized`, and `unavailable` when S3 is.
    """

    def store_it(copies: Mapping[int, Copy] = uploads.NO_COPIES) -> Awaitable[tuple[Message, bool]]:
        return store.write(
            acting(
                actor,
                lambda tx: messages.send(
                    tx, rules, actor, conversation_id, draft, temp_id, read=read, copies=copies
                ),
            )
        )

    def ask() -> Awaitable[list[Upload]]:
        return store.read(
            acting(
                actor,
                lambda snapshot: messages.to_copy(snapshot, rules, actor, conversation_id, draft, temp_id),
            )
        )

    if s3 is None or not draft.attachments or not (found := await ask()):
        return await store_it()
    declared = {upload.id: upload.content_type for upload in found}
    try:
        async with s3.copied(found) as copied:
            copies = {
                attachment_id: Copy(copy.key, copy.size, *served_as(declared[attachment_id], copy.head))
                for attachment_id, copy in copied.items()
            }
            # One that is only repeated, since it was sent meanwhile, uses none.
            message, copied.is_used = await store_it(copies)
            return message, copied.is_used
    except Refused as refusal:
        # The same message, sent at the same time, may have been first, and its uploads are gone.
        if refusal.code != "attachment_unavailable" or await ask():
            raise
    return await store_it()
