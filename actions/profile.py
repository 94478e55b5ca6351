"""Changing one's own name and email (docs/protocol.md section 2)."""

from actions import audit
from actions.accounts import prove_password, require_free, require_password, wrong_password
from actions.actor import Actor
from actions.passwords import Passwords
from actions.rules import Rules
from actions.sessions import acting
from actions.users import Presence, own
from protocol import names
from protocol.commands import UpdateProfile
from protocol.entities import OwnUser
from protocol.events import UserUpdated
from protocol.times import rfc3339
from storage import Snapshot, Store, Transaction, conversations, users
from storage.users import StoredUser


async def update(
    store: Store,
    rules: Rules,
    passwords: Passwords,
    presence: Presence,
    actor: Actor,
    command: UpdateProfile,
    address: str,
) -> OwnUser:
    """The actor's account with another username, another email, or both. A new username is told to contacts.

    Raises Refused: `unauthorized`, `invalid`, `email_taken`, `username_taken`, `rate_limited`, `unavailable`, or
    `invalid_credentials` (403) where the email changes and the current password is missing or wrong. A new username
    costs what a change of all conversations that it is told in would.
    """
    username = None if command.username is None else names.username(command.username)
    email = None if command.email is None else names.email(command.email)
    checked = None
    old, audience = await store.read(
        acting(
            actor,
            lambda snapshot: (_row(snapshot, actor), _audience(snapshot, rules.live_members, actor.user_id)),
        )
    )
    if username not in (None, old.username):
        rules.rates.change(actor.user_id, sum(audience.values()))
    if email not in (None, old.email):
        if command.current_password is None:
            raise wrong_password()
        checked = await prove_password(store, rules, passwords, actor, command.current_password, address)

    def unit(tx: Transaction) -> OwnUser:
        old = _row(tx, actor)
        new = old._replace(username=username or old.username, email=email or old.email)
        if new.email != old.email:
            require_password(tx, actor, checked)
        if new != old:
            _change(tx, rules, old, new)
        return own(tx, actor.user_id, online=presence(actor.user_id))

    user = await store.write(acting(actor, unit))
    if email not in (None, old.email):
        audit.record("email_changed", user_id=actor.user_id, session_id=actor.session_id, address=address)
    return user


def _change(tx: Transaction, rules: Rules, old: StoredUser, new: StoredUser) -> None:
    username_key, email_key = names.username_key(new.username), names.email_key(new.email)
    require_free(tx, email_key, username_key, besides=new.id)
    users.update(
        tx,
        new.id,
        username=new.username,
        username_key=username_key,
        email=new.email,
        email_key=email_key,
    )
    if new.username != old.username:
        tell_renamed(tx, rules.live_members, new)


def tell_renamed(tx: Transaction, live_members: int, user: StoredUser) -> None:
    """Log that a user has another name, and tell its contacts; none are made by what has more than `live_members`."""
    tx.tell(
        UserUpdated(
            event_id=users.log_change(tx, user.id),
            user_id=user.id,
            username=user.username,
            last_seen_at=None if user.last_seen_at is None else rfc3339(user.last_seen_at),
            conversations=tuple(_audience(tx, live_members, user.id)),
        )
    )


def _audience(snapshot: Snapshot, live_members: int, user_id: int) -> dict[int, int]:
    """The conversations that make contacts, and how many members each has."""
    sizes = conversations.sizes(snapshot, user_id)
    return {number: members for number, members in sizes if members <= live_members}


def _row(snapshot: Snapshot, actor: Actor) -> StoredUser:
    user = users.by_id(snapshot, actor.user_id)
    assert user is not None
    return user
