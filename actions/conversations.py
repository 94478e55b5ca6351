"""Conversations: making, finding and naming them (docs/protocol.md section 3)."""

from itertools import islice

from actions.actor import Actor
from actions.messages import seen_by
from actions.rules import Rules
from protocol.commands import ConversationPage, CreateConversation, Rename
from protocol.entities import Conversation, ConversationView
from protocol.errors import FieldError, Refused, invalid, not_found
from protocol.events import ConversationChanged
from storage import Snapshot, Transaction, conversations, members, messages, users
from storage.cache import Place


def place(snapshot: Snapshot, actor: Actor, conversation_id: int) -> Place:
    """The conversation, fetched through the actor. Raises Refused `not_found` for who is no member."""
    found = conversations.place(snapshot, conversation_id, actor.user_id)
    if found is None:
        raise not_found()
    return found


def owned(snapshot: Snapshot, actor: Actor, conversation_id: int) -> Place:
    """A group that the actor owns. Raises Refused: `not_found`, or `forbidden` for dialogs and mere members."""
    found = place(snapshot, actor, conversation_id)
    if found.type == "dialog":
        raise Refused("forbidden", "A dialog cannot be changed.")
    if found.role != "owner":
        raise Refused("forbidden", "Only owners may do this.")
    return found


def create(
    tx: Transaction, rules: Rules, actor: Actor, command: CreateConversation
) -> tuple[ConversationView, bool]:
    """A new conversation and True; or the dialog that the two have already, and False. Raises Refused `invalid`."""
    others = [user_id for user_id in dict.fromkeys(command.members) if user_id != actor.user_id]
    dialog_key = None
    if command.type == "dialog":
        if len(others) != 1:
            raise invalid("members", "a dialog has exactly one other member")
        if command.title is not None:
            raise invalid("title", "a dialog has no title")
        dialog_key = "{}:{}".format(*sorted((actor.user_id, others[0])))
    if len(others) + 1 > rules.group_members:
        raise invalid("members", f"a group has at most {rules.group_members} members (limits.group_members)")
    existing = conversations.dialog_between(tx, dialog_key) if dialog_key else None
    if existing is not None:
        return get(tx, rules, actor, existing), False
    require_users(tx, command.members, others)
    everyone = [actor.user_id, *others]
    conversation_id = conversations.insert(
        tx,
        kind=command.type,
        title=command.title,
        dialog_key=dialog_key,
        created_by=actor.user_id,
        members=everyone,
    )
    conversation = conversations.by_id(tx, conversation_id)
    tx.tell(ConversationChanged(conversation_id, conversation, added=tuple(everyone), removed=()))
    return view(tx, rules, actor, conversation), True


def get(snapshot: Snapshot, rules: Rules, actor: Actor, conversation_id: int) -> ConversationView:
    """A conversation of the actor's. Raises Refused `not_found`."""
    place(snapshot, actor, conversation_id)
    return view(snapshot, rules, actor, conversations.by_id(snapshot, conversation_id))


def listed(snapshot: Snapshot, rules: Rules, actor: Actor, page: ConversationPage) -> list[ConversationView]:
    """The actor's conversations, newest activity first."""
    found = conversations.of_user(snapshot, actor.user_id, page.before, page.limit)
    return [view(snapshot, rules, actor, conversation) for conversation in found]


def rename(
    tx: Transaction, rules: Rules, actor: Actor, conversation_id: int, command: Rename
) -> ConversationView:
    """Give a group another title. Raises Refused: `not_found`, `forbidden`."""
    owned(tx, actor, conversation_id)
    if conversations.title(tx, conversation_id) != command.title:
        conversations.rename(tx, conversation_id, command.title)
        changed(tx, conversation_id)
    return get(tx, rules, actor, conversation_id)


def told_of_change(snapshot: Snapshot, actor: Actor, conversation_id: int) -> int:
    """How many members would hear of a change by the actor; 0 for who is no member and may change nothing."""
    found = conversations.place(snapshot, conversation_id, actor.user_id)
    return 0 if found is None else found.member_count


def changed(
    tx: Transaction, conversation_id: int, *, added: tuple[int, ...] = (), removed: tuple[int, ...] = ()
) -> None:
    """Log that a conversation is now as the database has it, and tell its members."""
    event_id = conversations.change(tx, conversation_id)
    tx.tell(ConversationChanged(event_id, conversations.by_id(tx, conversation_id), added, removed))


def require_users(snapshot: Snapshot, given: list[int], ids: list[int]) -> None:
    """Raise Refused `invalid`, naming their places in the list `given`, where some of `ids` are no users."""
    missing = set(users.missing(snapshot, ids))
    if missing:
        places = (index for index, user_id in enumerate(given) if user_id in missing)
        errors: list[FieldError] = [
            {"field": f"members.{index}", "message": "there is no such user"} for index in islice(places, 20)
        ]
        raise Refused("invalid", f"{errors[0]['field']}: there is no such user.", errors=errors)


def view(snapshot: Snapshot, rules: Rules, actor: Actor, conversation: Conversation) -> ConversationView:
    """A conversation with what only the caller sees of it."""
    at = place(snapshot, actor, conversation["id"])
    last = messages.by_id(snapshot, at.last_message_id) if at.last_message_id else None
    seen: ConversationView = {
        "id": conversation["id"],
        "type": conversation["type"],
        "title": conversation["title"],
        "members": conversation["members"],
        "created_at": conversation["created_at"],
        "created_by": conversation["created_by"],
        "event_id": conversation["event_id"],
        "last_message": seen_by(snapshot, rules, actor, [last])[0] if last else None,
        "unread_count": conversations.unread_count(snapshot, at.conversation_id, actor.user_id, at.read_id),
        "read_id": at.read_id,
    }
    if at.type == "dialog":
        seen["peer_delivered_id"], seen["peer_read_id"] = members.peer(
            snapshot, at.conversation_id, actor.user_id
        )
    return seen
