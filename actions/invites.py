"""Invitations to register: admins make them, a code brings someone in (docs/protocol.md section 1)."""

import hashlib
import secrets
from collections.abc import Callable
from typing import TypeVar

from actions.actor import Actor
from protocol.commands import CreateInvite, InvitePage
from protocol.entities import Invite, NewInvite
from protocol.errors import Refused, not_found
from protocol.times import rfc3339
from storage import Snapshot, Store, Transaction, invites, sessions, users
from storage.invites import StoredInvite

S = TypeVar("S", bound=Snapshot)
T = TypeVar("T")


def require_admin(snapshot: Snapshot, actor: Actor) -> None:
    """Raise Refused `not_found` unless the actor's session goes on and is an admin's.

    Nobody else is to learn that there is anything here, not even by being asked to log in.
    """
    user = users.by_id(snapshot, actor.user_id)
    is_live = sessions.is_live(snapshot, actor.session_id, actor.user_id)
    if not is_live or user is None or not user.is_admin:
        raise not_found()


def administering(actor: Actor, action: Callable[[S], T]) -> Callable[[S], T]:
    """`action` as a unit of work that first makes sure that the actor is an admin. Raises Refused `not_found`."""

    def unit(snapshot: S) -> T:
        require_admin(snapshot, actor)
        return action(snapshot)

    return unit


async def create(store: Store, actor: Actor, command: CreateInvite) -> NewInvite:
    """A new invitation, with the code that nobody is told again. Raises Refused `not_found`, `unavailable`."""
    code = new_code()
    return await store.write(administering(actor, lambda tx: make(tx, command, code, actor.user_id)))


def new_code() -> str:
    """A code that nobody can guess."""
    return secrets.token_urlsafe(16)


def make(tx: Transaction, command: CreateInvite, code: str, created_by: int) -> NewInvite:
    """A new invitation with this code, in the name of an admin."""
    seconds = command.expires_in
    invite_id = invites.insert(
        tx,
        code_hash=_hash(code),
        uses=command.uses or 1,
        created_by=created_by,
        expires_at=None if seconds is None else tx.now + seconds * 1000,
    )
    made = invites.by_id(tx, invite_id)
    assert made is not None
    return {**_invite(made), "code": code}


def listed(snapshot: Snapshot, page: InvitePage) -> list[Invite]:
    """The invitations that can still be used, newest first."""
    return [_invite(stored) for stored in invites.page(snapshot, page.before, page.limit)]


def revoke(tx: Transaction, invite_id: int) -> None:
    """Nobody comes in by this invitation any more. Raises Refused `not_found`."""
    if invites.by_id(tx, invite_id) is None:
        raise not_found()
    invites.delete(tx, invite_id)


def valid(snapshot: Snapshot, code: str | None) -> StoredInvite:
    """The invitation that has this code.

    Raises Refused `invite_required`; whether there never was such a code, or is no more, is not told.
    """
    found = None if code is None else invites.by_code(snapshot, _hash(code))
    if found is None:
        raise Refused(
            "invite_required", "Registering here takes the code of an invitation that is still good."
        )
    return found


def _hash(code: str) -> str:
    # Codes are as long as keys, so a plain hash tells nothing of them.
    return hashlib.sha256(code.encode()).hexdigest()


def _invite(stored: StoredInvite) -> Invite:
    return {
        "id": stored.id,
        "uses_left": stored.uses_left,
        "expires_at": None if stored.expires_at is None else rfc3339(stored.expires_at),
        "created_at": rfc3339(stored.created_at),
        "created_by": stored.created_by,
    }
