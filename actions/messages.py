"""Sending messages and reading them back (docs/protocol.md section 4)."""

from collections.abc import Mapping, Sequence

from actions import receipts
from actions.actor import Actor
from actions.rules import Rules
from protocol.commands import Draft, HistoryPage
from protocol.entities import Attachment, Message
from protocol.errors import Refused, invalid, not_found
from protocol.events import MessagePosted, MessageRepeated
from protocol.times import rfc3339
from storage import Snapshot, Transaction, conversations, messages, uploads
from storage.messages import StoredMessage
from storage.uploads import Copy, StoredAttachment, Upload


def send(
    tx: Transaction,
    rules: Rules,
    actor: Actor,
    conversation_id: int,
    draft: Draft,
    temp_id: str | None,
    *,
    read: bool,
    copies: Mapping[int, Copy] = uploads.NO_COPIES,
) -> tuple[Message, bool]:
    """Store a message and True; or, where the actor has used `temp_id` before, that message again and False.

    `read`: sending also reads all that stood before. Attachments on S3 need `copies`. Raises Refused: `not_found`,
    `invalid`, `temp_id_conflict`, `attachment_unavailable`; then nothing is stored.
    """
    _check(rules, draft)
    at = conversations.place(tx, conversation_id, actor.user_id)
    if at is None:
        raise not_found()
    if draft.attachments and temp_id is not None:
        # Its attachments are sent already: it must be known as a repeat before they are claimed.
        first = messages.by_temp_id(tx, actor.user_id, temp_id)
        if first is not None:
            return _repeat(tx, rules, actor, conversation_id, draft, first), False
    event_id = tx.last_event_id + 1
    attached: list[StoredAttachment] = []
    if draft.attachments:
        attached = uploads.claim(tx, event_id, actor.user_id, draft.attachments, copies)
    stored = StoredMessage(
        event_id, conversation_id, at.last_seq + 1, actor.user_id, tx.now, len(attached), temp_id, draft.text
    )
    if not messages.insert(tx, stored):
        assert temp_id is not None
        first = messages.by_temp_id(tx, actor.user_id, temp_id)
        assert first is not None
        return _repeat(tx, rules, actor, conversation_id, draft, first), False
    tx.last_event_id = event_id
    receipts.after_sending(tx, rules, actor, at, event_id, read=read)
    message = _message(rules, stored, attached)
    tx.tell(MessagePosted(event_id, conversation_id, actor.user_id, message, temp_id, actor.origin))
    return message if temp_id is None else {**message, "temp_id": temp_id}, True


def to_copy(
    snapshot: Snapshot, rules: Rules, actor: Actor, conversation_id: int, draft: Draft, temp_id: str | None
) -> list[Upload]:
    """The attachments that must be copied on S3 before `send`; none where it will find a repeat.

    Raises Refused as `send` would, as far as that is known already.
    """
    _check(rules, draft)
    if conversations.place(snapshot, conversation_id, actor.user_id) is None:
        raise not_found()
    if temp_id is not None and messages.by_temp_id(snapshot, actor.user_id, temp_id) is not None:
        return []
    found = uploads.sendable(snapshot, actor.user_id, draft.attachments)
    return [upload for upload in found if upload.upload_key is not None]


def history(
    snapshot: Snapshot, rules: Rules, actor: Actor, conversation_id: int, page: HistoryPage
) -> tuple[list[Message], int]:
    """A page of messages, newest first; and the id up to which they now count as delivered to the actor, 0 for none.

    Raises Refused `not_found`.
    """
    at = conversations.place(snapshot, conversation_id, actor.user_id)
    if at is None:
        raise not_found()
    stored = messages.page(
        snapshot, conversation_id, before_id=page.before_id, after_id=page.after_id, limit=page.limit
    )
    highest = stored[0].id if stored else 0
    return seen_by(snapshot, rules, actor, stored), highest if highest > at.delivered_id else 0


def seen_by(snapshot: Snapshot, rules: Rules, actor: Actor, stored: Sequence[StoredMessage]) -> list[Message]:
    """Messages as the actor sees them: its own with their `temp_id`."""
    with_files = [message.id for message in stored if message.attachment_count]
    files = uploads.of_messages(snapshot, with_files) if with_files else {}
    seen = []
    for message in stored:
        entity = _message(rules, message, files.get(message.id, []))
        if message.temp_id is not None and message.sender_id == actor.user_id:
            entity["temp_id"] = message.temp_id
        seen.append(entity)
    return seen


def _check(rules: Rules, draft: Draft) -> None:
    if len(draft.text) > rules.message_chars:
        raise invalid("text", f"must have at most {rules.message_chars} characters (limits.message_chars)")
    if not draft.attachments and not draft.text.strip():
        raise invalid("text", "must not be blank without attachments")


def _repeat(
    tx: Transaction, rules: Rules, actor: Actor, conversation_id: int, draft: Draft, first: StoredMessage
) -> Message:
    attached = uploads.of_messages(tx, [first.id]).get(first.id, []) if first.attachment_count else []
    same = (
        first.conversation_id == conversation_id
        and first.text == draft.text
        and [file.id for file in attached] == draft.attachments
    )
    if not same:
        raise Refused("temp_id_conflict", "This temp_id was used for another message.")
    assert first.temp_id is not None
    message: Message = {**_message(rules, first, attached), "temp_id": first.temp_id}
    tx.tell(MessageRepeated(message, first.temp_id, actor.origin))
    return message


def _message(rules: Rules, stored: StoredMessage, attached: Sequence[StoredAttachment]) -> Message:
    files: list[Attachment] = [
        {
            "id": file.id,
            "filename": file.filename,
            "content_type": file.content_type,
            "size": file.size,
            "url": rules.link(file).url,
        }
        for file in attached
    ]
    return {
        "id": stored.id,
        "conversation_id": stored.conversation_id,
        "seq": stored.seq,
        "sender_id": stored.sender_id,
        "text": stored.text,
        "attachments": files,
        "created_at": rfc3339(stored.created_at),
    }
