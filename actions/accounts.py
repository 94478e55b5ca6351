"""Registering, logging in, and changing what one logs in with (docs/protocol.md section 1)."""

import secrets
from typing import NamedTuple

from actions import audit, invites
from actions.actor import Actor
from actions.passwords import Passwords
from actions.rules import Rules
from actions.sessions import acting, end_others
from actions.users import Presence, own
from protocol import names
from protocol.commands import ChangePassword, Login, Register
from protocol.entities import Registered, TokenPair
from protocol.errors import Refused
from storage import Snapshot, Store, Transaction, sessions, users
from storage import invites as stored_invites
from storage.invites import StoredInvite

USER_AGENT_CHARS = 256


class Named(NamedTuple):
    """What an account is called, and by which keys it is found."""

    username: str
    username_key: str
    email: str
    email_key: str


async def register(
    store: Store, rules: Rules, passwords: Passwords, command: Register, address: str
) -> Registered:
    """A new account; the first becomes the server's admin, and needs no invitation.

    Raises Refused: `registration_closed`, `invalid`, `rate_limited`, `invite_required`, `email_taken`,
    `username_taken`, `unavailable`.
    """
    if rules.registration == "closed":
        raise Refused("registration_closed", "This server takes no registrations.")
    wanted = named(command.username, command.email)

    def check(snapshot: Snapshot) -> StoredInvite | None:
        is_by_invitation = rules.registration == "invite" and users.has_any(snapshot)
        invite = invites.valid(snapshot, command.invite) if is_by_invitation else None
        require_free(snapshot, wanted.email_key, wanted.username_key)
        return invite

    rules.attempts.at_registering(address)
    # First without the hash, which is dear; then again where nobody can come between.
    await store.read(check)
    password = await passwords.hash(command.password)

    def unit(tx: Transaction) -> Registered:
        invite = check(tx)
        made = make(tx, wanted, password, is_admin=not users.has_any(tx))
        if invite is not None:
            stored_invites.spend(tx, invite.id)
        return made

    registered = await store.write(unit)
    audit.record("registered", user_id=registered["id"], address=address)
    return registered


async def login(
    store: Store,
    rules: Rules,
    passwords: Passwords,
    presence: Presence,
    command: Login,
    address: str,
    user_agent: str,
) -> TokenPair:
    """A new session.

    Raises Refused: `invalid_credentials`, the same for a wrong email and a wrong password; `forbidden` where both are
    right and an admin has disabled the account; `rate_limited`, or `unavailable`.
    """
    email_key = names.email_key(command.email)
    found = await store.read(lambda snapshot: users.credentials(snapshot, email_key))
    user_id, encoded = found or (0, None)
    user_agent = user_agent[:USER_AGENT_CHARS]
    # Only now, so that what is under way at once is bounded by the passwords that may wait.
    with rules.attempts.at_password(user_id or email_key, address):
        if not await passwords.verify(encoded, command.password):
            # What was given for an account that there is not may be anything, even a password in the wrong field.
            audit.refused("login_failed", user_id=user_id or None, address=address, user_agent=user_agent)
            raise _wrong_credentials()
    refresh_id = secrets.token_urlsafe(16)

    def unit(tx: Transaction) -> tuple[int, TokenPair]:
        # A change of the password ends all sessions, and this would be one that it has missed.
        if users.password(tx, user_id) != encoded:
            raise _wrong_credentials()
        # Only who knows the password learns of it, and not sooner than anyone learns anything.
        if users.is_disabled(tx, user_id):
            raise Refused("forbidden", "This account is disabled: ask the server's admin.")
        session_id = sessions.insert(
            tx,
            user_id=user_id,
            refresh_id=refresh_id,
            expires_at=tx.now + rules.refresh_seconds * 1000,
            address=address,
            user_agent=user_agent,
        )
        return session_id, {
            "access_token": rules.tokens.issue_access(user_id, session_id),
            "refresh_token": rules.tokens.issue_refresh(user_id, session_id, refresh_id),
            "user": own(tx, user_id, online=presence(user_id)),
        }

    try:
        session_id, tokens = await store.write(unit)
    except Refused as refusal:
        if refusal.code == "forbidden":
            audit.refused("login_refused", user_id=user_id, address=address, user_agent=user_agent)
        raise
    audit.record("login", user_id=user_id, session_id=session_id, address=address, user_agent=user_agent)
    return tokens


async def change_password(
    store: Store, rules: Rules, passwords: Passwords, actor: Actor, command: ChangePassword, address: str
) -> None:
    """Another password; all other sessions of the actor's end.

    Raises Refused: `unauthorized`, `invalid_credentials` (403) where the current password is wrong, `rate_limited`,
    `unavailable`.
    """
    checked = await prove_password(store, rules, passwords, actor, command.current_password, address)
    new = await passwords.hash(command.new_password)

    def unit(tx: Transaction) -> None:
        require_password(tx, actor, checked)
        users.set_password(tx, actor.user_id, new)
        end_others(tx, actor)

    await store.write(acting(actor, unit))
    audit.record("password_changed", user_id=actor.user_id, session_id=actor.session_id, address=address)


def named(username: str, email: str) -> Named:
    """What an account with this username and email will be called. Raises Refused `invalid`."""
    username, email = names.username(username), names.email(email)
    return Named(username, names.username_key(username), email, names.email_key(email))


def make(tx: Transaction, wanted: Named, encoded: str, *, is_admin: bool) -> Registered:
    """A new account with this encoded password. Raises Refused: `email_taken`, `username_taken`."""
    require_free(tx, wanted.email_key, wanted.username_key)
    user_id = users.insert(tx, **wanted._asdict(), password=encoded, is_admin=is_admin)
    return {"id": user_id, "email": wanted.email, "username": wanted.username}


def require_free(snapshot: Snapshot, email_key: str, username_key: str, besides: int = 0) -> None:
    """Raise Refused `email_taken` or `username_taken` where an account has them; `besides` is one that may."""
    if users.has_email(snapshot, email_key, besides):
        raise Refused("email_taken", "There is an account with this email.")
    if users.has_username(snapshot, username_key, besides):
        raise Refused("username_taken", "There is an account with this username.")


async def prove_password(
    store: Store, rules: Rules, passwords: Passwords, actor: Actor, given: str, address: str
) -> str:
    """The encoded password of the actor, which is the given one; `require_password` makes sure that it still is.

    A wrong one counts as a failed login. Raises Refused: `unauthorized`, `invalid_credentials` (403), `rate_limited`,
    `unavailable`.
    """
    encoded = await store.read(acting(actor, lambda snapshot: users.password(snapshot, actor.user_id)))
    with rules.attempts.at_password(actor.user_id, address):
        if not await passwords.verify(encoded, given):
            audit.refused(
                "password_wrong", user_id=actor.user_id, session_id=actor.session_id, address=address
            )
            raise wrong_password()
    return encoded


def require_password(snapshot: Snapshot, actor: Actor, encoded: str | None) -> None:
    """Raise Refused `invalid_credentials` (403) where the password was changed since it was checked."""
    if users.password(snapshot, actor.user_id) != encoded:
        raise wrong_password()


def wrong_password() -> Refused:
    """The refusal of who is logged in and does not prove to know the password."""
    return Refused("invalid_credentials", "The current password is wrong.", status=403)


def _wrong_credentials() -> Refused:
    return Refused("invalid_credentials", "Wrong email or password.")
