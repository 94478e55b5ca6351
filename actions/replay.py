"""What a user missed, for a socket that resumes (docs/protocol.md section 6, Resuming).

It is read page by page from snapshots. The last page is read among the writers, whose order is that of the live
traffic: a page read from a snapshot would not know what is committed right after it.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from actions.actor import Actor
from actions.messages import seen_by
from actions.rules import Rules
from protocol.entities import Conversation, Message
from protocol.events import (
    ConversationChanged,
    Event,
    MessagePosted,
    ReceiptMoved,
    SocketCaughtUp,
    UnreadChanged,
    UserUpdated,
)
from protocol.times import rfc3339
from storage import Snapshot, Transaction, conversations, events, messages, users
from storage.events import Entry
from storage.messages import StoredMessage

PAGE_EVENTS = 200
PAGE_CHARS = 64 * 1024
"""A page ends with the event that passes so many characters: this bounds what one socket has in memory."""

EVENT_CHARS = 300
FILE_CHARS = 700
MEMBER_CHARS = 8
"""What an event, an attachment's names and URL, and a member of a conversation come to, roughly."""

Receipt = ReceiptMoved | UnreadChanged


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what a user missed, oldest first, in a snapshot where the log ends with `tip`.

    The one that `is_last` there comes with the receipts that moved since `moved`.
    """

    events: tuple[Event, ...]
    is_last: bool
    receipts: tuple[Receipt, ...]
    tip: int
    moved: int


def first_page(snapshot: Snapshot, rules: Rules, actor: Actor, since: int, slack: int) -> Page | None:
    """The first page for who had all events up to `since`.

    None where more events came since then than are replayed (`limits.resume_events`). Receipts are told at a pace:
    of two cursors that moved within `slack` milliseconds, the first may be told last, so those from shortly before
    `since` come too.
    """
    if events.are_more(snapshot, actor.user_id, since, rules.resume_events):
        return None
    return page(snapshot, rules, actor, since, events.some_time_before(snapshot, since, slack))


def page(snapshot: Snapshot, rules: Rules, actor: Actor, after: int, moved: int) -> Page:
    """The oldest events after `after` that concern the actor; with the last, receipts that moved since `moved`."""
    entries = events.after(snapshot, actor.user_id, after, limit=PAGE_EVENTS, live_members=rules.live_members)
    found: list[Event] = []
    told = _messages(snapshot, rules, actor, entries)
    known: dict[int, Conversation] = {}
    chars = 0
    for entry in entries:
        event = _event(snapshot, actor, entry, told, known)
        found.append(event)
        chars += _chars(event)
        if chars >= PAGE_CHARS:
            break
    is_last = len(found) == len(entries) < PAGE_EVENTS
    receipts = _receipts(snapshot, actor, moved) if is_last else ()
    return Page(tuple(found), is_last, receipts, events.tip(snapshot), moved)


def finish(tx: Transaction, rules: Rules, actor: Actor, after: int, before: Page) -> bool:
    """Put the actor's socket into the live traffic here, with what came after the page `before`.

    False, and nothing done, where that is more than a page.
    """
    last = page(tx, rules, actor, after, before.tip)
    if last.is_last:
        # Where something happened since, the page's are out of date: the actor may have left, or has more to read.
        touched = {_conversation_of(event) for event in last.events}
        kept = tuple(one for one in before.receipts if one.conversation_id not in touched)
        again = _receipts(tx, actor, before.moved, touched)
        receipts = tuple(dict.fromkeys(kept + again + last.receipts))
        tx.tell(_caught_up(tx, actor, last.events, receipts))
    return last.is_last


def give_up(tx: Transaction, actor: Actor) -> None:
    """Put the actor's socket into the live traffic here, without what it missed."""
    tx.tell(_caught_up(tx, actor, is_too_far=True))


def _caught_up(
    tx: Transaction,
    actor: Actor,
    missed: tuple[Event, ...] = (),
    receipts: tuple[Receipt, ...] = (),
    *,
    is_too_far: bool = False,
) -> SocketCaughtUp:
    return SocketCaughtUp(
        actor.origin, actor.user_id, tx.last_event_id, events.log_name(tx), missed, receipts, is_too_far
    )


def _messages(snapshot: Snapshot, rules: Rules, actor: Actor, entries: Sequence[Entry]) -> dict[int, Message]:
    """The entries' messages, by their ids: as many of the first as a page can hold, or all."""
    stored: list[StoredMessage] = []
    chars = 0
    for message in messages.by_ids(snapshot, [one.event_id for one in entries if one.kind == "message"]):
        stored.append(message)
        chars += EVENT_CHARS + len(message.text) + FILE_CHARS * message.attachment_count
        if chars >= PAGE_CHARS:
            break
    return {message["id"]: message for message in seen_by(snapshot, rules, actor, stored)}


def _event(
    snapshot: Snapshot,
    actor: Actor,
    entry: Entry,
    told: Mapping[int, Message],
    known: dict[int, Conversation],
) -> Event:
    """What an entry stands for, with the messages `told`. `known` are the conversations that the page has shown."""
    match entry.kind:
        case "message":
            message = told[entry.event_id]
            return MessagePosted(
                entry.event_id, message["conversation_id"], message["sender_id"], message, None, None
            )
        case "user":
            user = users.by_id(snapshot, entry.subject)
            assert user is not None
            last_seen_at = None if user.last_seen_at is None else rfc3339(user.last_seen_at)
            return UserUpdated(entry.event_id, user.id, user.username, last_seen_at, ())
    conversation = known.get(entry.subject)
    if conversation is None:
        conversation = known[entry.subject] = conversations.by_id(snapshot, entry.subject)
    mine = (actor.user_id,)
    return ConversationChanged(
        entry.event_id,
        conversation,
        added=mine if entry.kind == "created" else (),
        removed=mine if entry.kind == "removed" else (),
    )


def _chars(event: Event) -> int:
    match event:
        case MessagePosted():
            message = event.message
            return EVENT_CHARS + len(message["text"]) + FILE_CHARS * len(message["attachments"])
        case ConversationChanged():
            return EVENT_CHARS + MEMBER_CHARS * len(event.conversation["members"])
    return EVENT_CHARS


def _conversation_of(event: Event) -> int | None:
    match event:
        case MessagePosted():
            return event.conversation_id
        case ConversationChanged():
            return event.conversation["id"]
    return None


def _receipts(
    snapshot: Snapshot, actor: Actor, since: int, among: Container[int | None] | None = None
) -> tuple[Receipt, ...]:
    """Which cursors moved since: the actor's own, and those of the others in its dialogs.

    With `among` in these conversations only.
    """
    found: list[Receipt] = []
    for own in events.own_cursors(snapshot, actor.user_id, since):
        if among is not None and own.conversation_id not in among:
            continue
        count = conversations.unread_count(snapshot, own.conversation_id, actor.user_id, own.read_id)
        found.append(UnreadChanged(actor.user_id, own.conversation_id, own.read_id, count, None))
    for their in events.peers_cursors(snapshot, actor.user_id, since):
        if among is not None and their.conversation_id not in among:
            continue
        cursors: dict[Literal["delivered", "read"], int] = {
            "delivered": their.delivered_id,
            "read": their.read_id,
        }
        for kind, cursor in cursors.items():
            mine = messages.highest_of(snapshot, their.conversation_id, actor.user_id, up_to=cursor)
            if mine is not None:
                message = (actor.user_id, mine)
                found.append(
                    ReceiptMoved(kind, their.conversation_id, their.user_id, (message,), is_dialog=True)
                )
    return tuple(found)
