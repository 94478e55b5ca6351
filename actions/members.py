"""Members of groups, and their roles (docs/protocol.md section 3)."""

from actions.actor import Actor
from actions.conversations import changed, get, owned, place, require_users
from actions.rules import Rules
from protocol.commands import AddMembers, SetRole
from protocol.entities import ConversationView, Member
from protocol.errors import Refused, invalid, not_found
from protocol.times import rfc3339
from storage import Snapshot, Transaction, conversations, members
from storage.members import StoredMember


def listed(snapshot: Snapshot, actor: Actor, conversation_id: int) -> list[Member]:
    """All members, by user id. Raises Refused `not_found`."""
    place(snapshot, actor, conversation_id)
    return [_member(stored) for stored in members.of_conversation(snapshot, conversation_id)]


def add(
    tx: Transaction, rules: Rules, actor: Actor, conversation_id: int, command: AddMembers
) -> ConversationView:
    """Add users to a group; those who are in it already are no error.

    Raises Refused: `not_found`, `forbidden`, `invalid`.
    """
    at = owned(tx, actor, conversation_id)
    wanted = list(dict.fromkeys(command.members))
    if len(wanted) > rules.group_members:
        raise _too_many(rules)
    require_users(tx, command.members, wanted)
    new = [user_id for user_id in wanted if conversations.place(tx, conversation_id, user_id) is None]
    if at.member_count + len(new) > rules.group_members:
        raise _too_many(rules)
    if new:
        # The event that changed() is about to log is the one they join with.
        members.insert(tx, conversation_id, new, tx.last_event_id + 1, at.last_message_id)
        changed(tx, conversation_id, added=tuple(new))
    return get(tx, rules, actor, conversation_id)


def remove(tx: Transaction, actor: Actor, conversation_id: int, user_id: int) -> None:
    """Take a member out of a group, or leave it. Raises Refused: `not_found`, `forbidden`.

    The last owner's leaving makes the longest-standing member owner.
    """
    at = place(tx, actor, conversation_id)
    if at.type == "dialog":
        raise Refused("forbidden", "A dialog's members never change.")
    if user_id != actor.user_id and at.role != "owner":
        raise Refused("forbidden", "Only owners may do this.")
    if conversations.place(tx, conversation_id, user_id) is None:
        raise not_found()
    take_out(tx, conversation_id, user_id)


def take_out(tx: Transaction, conversation_id: int, user_id: int) -> None:
    """Remove who is a member of a group. Has it no owner then, the longest-standing member becomes one."""
    members.delete(tx, conversation_id, user_id, tx.last_event_id + 1)
    heir = None if members.owners(tx, conversation_id) else members.longest_standing(tx, conversation_id)
    if heir is not None:
        members.set_role(tx, conversation_id, heir, "owner")
    changed(tx, conversation_id, removed=(user_id,))


def set_role(tx: Transaction, actor: Actor, conversation_id: int, user_id: int, command: SetRole) -> Member:
    """Make a member owner, or an owner member. Raises Refused: `not_found`, `forbidden`, `last_owner`."""
    owned(tx, actor, conversation_id)
    found = members.find(tx, conversation_id, user_id)
    if found is None:
        raise not_found()
    if found.role != command.role:
        if command.role == "member" and len(members.owners(tx, conversation_id)) == 1:
            raise Refused("last_owner", "A group needs an owner: make another member owner first.")
        members.set_role(tx, conversation_id, user_id, command.role)
        changed(tx, conversation_id)
    return _member(found._replace(role=command.role))


def _member(stored: StoredMember) -> Member:
    return {
        "user_id": stored.user_id,
        "username": stored.username,
        "role": stored.role,
        "joined_at": rfc3339(stored.joined_at),
        "delivered_id": stored.delivered_id,
        "read_id": stored.read_id,
    }


def _too_many(rules: Rules) -> Refused:
    return invalid("members", f"a group has at most {rules.group_members} members (limits.group_members)")
