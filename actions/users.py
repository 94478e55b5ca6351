"""Users, as they see themselves and each other (docs/protocol.md section 2)."""

from collections.abc import Callable, Iterable

from actions.actor import Actor
from actions.rules import Rules
from protocol import names
from protocol.commands import UserLookup, UserSearch
from protocol.entities import OwnUser, User
from protocol.errors import not_found
from protocol.times import rfc3339
from storage import Snapshot, Transaction, users
from storage.users import StoredUser

Presence = Callable[[int], bool]
"""Whether a user is online now."""


def me(snapshot: Snapshot, actor: Actor, presence: Presence) -> OwnUser:
    """The actor itself."""
    return own(snapshot, actor.user_id, online=presence(actor.user_id))


def own(snapshot: Snapshot, user_id: int, *, online: bool) -> OwnUser:
    """A user as it sees itself. It must exist."""
    user = users.by_id(snapshot, user_id)
    assert user is not None
    return {
        "id": user.id,
        "username": user.username,
        "online": online,
        "last_seen_at": None if user.last_seen_at is None else rfc3339(user.last_seen_at),
        "email": user.email,
        "is_admin": bool(user.is_admin),
        "created_at": rfc3339(user.created_at),
    }


def get(snapshot: Snapshot, rules: Rules, actor: Actor, user_id: int, presence: Presence) -> User:
    """A user. Raises Refused `not_found`."""
    user = users.by_id(snapshot, user_id)
    if user is None:
        raise not_found()
    return _seen_by(snapshot, rules, actor, user, presence)


def search(
    snapshot: Snapshot, rules: Rules, actor: Actor, command: UserSearch, presence: Presence
) -> list[User]:
    """Users whose name starts with the query, without case, in any script."""
    found = users.starting_with(snapshot, names.username_key(command.query), command.limit)
    return [_seen_by(snapshot, rules, actor, user, presence) for user in found]


def by_ids(
    snapshot: Snapshot, rules: Rules, actor: Actor, command: UserLookup, presence: Presence
) -> list[User]:
    """Those of these users who exist, each once, in the order asked for."""
    found = [users.by_id(snapshot, user_id) for user_id in dict.fromkeys(command.ids)]
    return [_seen_by(snapshot, rules, actor, user, presence) for user in found if user is not None]


def seen(tx: Transaction, user_ids: Iterable[int], at: int) -> None:
    """These users were here until `at`, in milliseconds since the epoch."""
    for user_id in user_ids:
        users.set_last_seen(tx, user_id, at)


def _seen_by(snapshot: Snapshot, rules: Rules, actor: Actor, user: StoredUser, presence: Presence) -> User:
    # Who is no contact learns nothing of when the other is there.
    is_near = user.id == actor.user_id or users.are_contacts(
        snapshot, actor.user_id, user.id, rules.live_members
    )
    return {
        "id": user.id,
        "username": user.username,
        "online": is_near and presence(user.id),
        "last_seen_at": rfc3339(user.last_seen_at) if is_near and user.last_seen_at is not None else None,
    }
