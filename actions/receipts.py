"""Cursors: what a member was handed, and what it has read (docs/protocol.md section 6).

Cursors only move forward, and read implies delivered. Large conversations keep cursors, and tell nobody.
"""

from typing import Literal

from actions.actor import Actor
from actions.rules import Rules
from protocol.errors import not_found
from protocol.events import ReceiptMoved, UnreadChanged
from storage import Transaction, conversations, members, messages
from storage.cache import Place

DIALOG_RECEIPTS = 100
"""In a dialog each message gets its own receipt: the newest ones, at most so many."""


def read(tx: Transaction, rules: Rules, actor: Actor, conversation_id: int, message_id: int) -> None:
    """All up to `message_id` is read. Raises Refused `not_found` where it is no message of the conversation."""
    at = conversations.place(tx, conversation_id, actor.user_id)
    message = messages.by_id(tx, message_id)
    if at is None or message is None or message.conversation_id != conversation_id:
        raise not_found()
    if message_id <= at.read_id:
        return
    members.move_cursors(
        tx, conversation_id, actor.user_id, delivered_id=max(at.delivered_id, message_id), read_id=message_id
    )
    _tell(tx, rules, "read", at, actor.user_id, after=at.read_id, up_to=message_id)
    _tell_unread(tx, actor, conversation_id, message_id)


def deliver(tx: Transaction, rules: Rules, actor: Actor, conversation_id: int, message_id: int) -> None:
    """All up to `message_id` was handed to the actor. Of a conversation that it has left since: nothing."""
    at = conversations.place(tx, conversation_id, actor.user_id)
    if at is None:
        return
    up_to = min(message_id, at.last_message_id)
    if up_to <= at.delivered_id:
        return
    members.move_cursors(tx, conversation_id, actor.user_id, delivered_id=up_to, read_id=at.read_id)
    _tell(tx, rules, "delivered", at, actor.user_id, after=at.delivered_id, up_to=up_to)


def after_sending(
    tx: Transaction, rules: Rules, actor: Actor, at: Place, message_id: int, *, read: bool
) -> None:
    """Move the sender's own cursors past its new message.

    With `read`, all that stood before is read with it. Without, only a sender who has read all moves on: so its
    own messages never pile up behind its cursor, and counting the unread stays cheap.
    """
    has_unread = at.read_id < at.last_message_id
    if has_unread and not read:
        return
    members.move_cursors(tx, at.conversation_id, actor.user_id, delivered_id=message_id, read_id=message_id)
    if has_unread:
        _tell(tx, rules, "read", at, actor.user_id, after=at.read_id, up_to=at.last_message_id)
        _tell_unread(tx, actor, at.conversation_id, message_id)


def _tell(
    tx: Transaction,
    rules: Rules,
    kind: Literal["delivered", "read"],
    at: Place,
    user_id: int,
    *,
    after: int,
    up_to: int,
) -> None:
    if at.member_count > rules.live_members:
        return
    if at.type == "dialog":
        moved = messages.newest_of_others(
            tx, at.conversation_id, user_id, after=after, up_to=up_to, limit=DIALOG_RECEIPTS
        )
    else:
        moved = messages.highest_by_author(tx, at.conversation_id, user_id, after=after, up_to=up_to)
    if moved:
        tx.tell(ReceiptMoved(kind, at.conversation_id, user_id, tuple(moved), at.type == "dialog"))


def _tell_unread(tx: Transaction, actor: Actor, conversation_id: int, message_id: int) -> None:
    count = conversations.unread_count(tx, conversation_id, actor.user_id, message_id)
    tx.tell(UnreadChanged(actor.user_id, conversation_id, message_id, count, actor.origin))
