"""What admins do with accounts: over REST, on the command line, and without a server on its data folder.

Functions of a transaction or a snapshot don't ask who does it; those at the end do, for REST (docs/protocol.md section
1): there an admin acts, and one always stays.
"""

from actions import sessions
from actions.accounts import make, named, require_free
from actions.actor import Actor
from actions.invites import administering
from actions.members import take_out
from actions.passwords import Passwords
from actions.profile import tell_renamed
from actions.rules import Rules
from protocol import names
from protocol.commands import CreateUser, UpdateUser, UserPage
from protocol.entities import Account, AccountSession, Registered, Totals
from protocol.errors import Refused, not_found
from protocol.ids import parse_id
from protocol.times import rfc3339
from storage import Snapshot, Store, Transaction, accounts, conversations, members, totals, uploads, users
from storage.attachments.local import LocalFiles
from storage.users import StoredUser

ERASED = "deleted:{}"
"""The name of a deleted user, which is unique: no username may have a colon."""


def find(snapshot: Snapshot, who: str) -> StoredUser:
    """The account with this id, in digits; with this email; or with this username. Raises Refused `not_found`.

    What can be an id is never taken for a username, though one may consist of digits: what is meant must not depend
    on which accounts there are.
    """
    number = parse_id(who)
    if number is not None:
        user = accounts.by_id(snapshot, number)
    elif "@" in who:
        user = accounts.by_email(snapshot, names.email_key(who))
    else:
        user = accounts.by_username(snapshot, names.username_key(who))
    if user is None:
        raise not_found()
    return user


def get(snapshot: Snapshot, user_id: int) -> Account:
    """An account. Raises Refused `not_found`."""
    return account(snapshot, _require(snapshot, user_id))


def listed(snapshot: Snapshot, page: UserPage) -> list[Account]:
    """A page of the accounts, newest first; with a `query`, of those whose username or email begins so."""
    if page.query:
        keys = names.username_key(page.query), names.email_key(page.query)
        found = accounts.matching(snapshot, *keys, page.before, page.limit)
    else:
        found = accounts.page(snapshot, page.before, page.limit)
    return [account(snapshot, user) for user in found]


def account(snapshot: Snapshot, user: StoredUser) -> Account:
    """An account as admins see it."""
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "is_admin": bool(user.is_admin),
        "disabled_at": _time(user.disabled_at),
        "created_at": rfc3339(user.created_at),
        "last_seen_at": _time(user.last_seen_at),
        "sessions": accounts.count_sessions(snapshot, user.id),
    }


def add(tx: Transaction, *, email: str, username: str, encoded: str, is_admin: bool) -> Registered:
    """A new account with this encoded password, whether registrations are taken or not.

    Raises Refused: `invalid`, `email_taken`, `username_taken`.
    """
    return make(tx, named(username, email), encoded, is_admin=is_admin)


def reset_password(tx: Transaction, user_id: int, encoded: str) -> None:
    """Another password, encoded; all sessions end. Raises Refused `not_found`."""
    _require(tx, user_id)
    users.set_password(tx, user_id, encoded)
    sessions.end_all(tx, user_id)


def disable(tx: Transaction, user_id: int) -> None:
    """Nobody logs in to the account any more, and all its sessions end; all else stays. Raises Refused `not_found`."""
    user = _require(tx, user_id)
    if user.disabled_at is None:
        accounts.set_disabled(tx, user_id, tx.now)
    sessions.end_all(tx, user_id)


def enable(tx: Transaction, user_id: int) -> None:
    """The account is disabled no more. Raises Refused `not_found`."""
    _require(tx, user_id)
    accounts.set_disabled(tx, user_id, None)


def set_admin(tx: Transaction, user_id: int, is_admin: bool) -> None:
    """Make the user an admin, or not. Raises Refused `not_found`."""
    _require(tx, user_id)
    accounts.set_admin(tx, user_id, is_admin=is_admin)


def delete(tx: Transaction, user_id: int, *, live_members: int) -> list[str]:
    """Remove the account and what is personal, for good. What it has sent stays, under a name that says so.

    The user is out of all groups as if it had left them. `live_members` is the setting: contacts hear of the name.
    Returns the keys under which the local store has files that were never sent, to be deleted after the commit; the
    clean-up takes those that aren't. Raises Refused `not_found`.
    """
    _require(tx, user_id)
    sessions.end_all(tx, user_id)
    accounts.erase(tx, user_id, ERASED.format(user_id))
    erased = users.by_id(tx, user_id)
    assert erased is not None
    # While its groups are those where it is known.
    tell_renamed(tx, live_members, erased)
    for conversation_id in conversations.groups_of(tx, user_id):
        take_out(tx, conversation_id, user_id)
    members.forget_departures(tx, user_id)
    return uploads.remove_unsent(tx, user_id)


def sessions_of(snapshot: Snapshot, user_id: int) -> list[AccountSession]:
    """A user's sessions, newest first. Raises Refused `not_found`."""
    _require(snapshot, user_id)
    return sessions.of_user(snapshot, user_id)


def end_session(tx: Transaction, user_id: int, session_id: int) -> None:
    """End one of a user's sessions. Raises Refused `not_found`, also for somebody else's."""
    _require(tx, user_id)
    sessions.end_one(tx, user_id, session_id)


def end_sessions(tx: Transaction, user_id: int) -> None:
    """End all of a user's sessions. Raises Refused `not_found`."""
    _require(tx, user_id)
    sessions.end_all(tx, user_id)


def stats(snapshot: Snapshot) -> Totals:
    """How much there is of everything. It walks over no messages."""
    found = totals.totals(snapshot)
    return {
        **found._asdict(),  # type: ignore[typeddict-item]
        "oldest_message_at": _time(found.oldest_message_at),
        "newest_message_at": _time(found.newest_message_at),
    }


async def create(store: Store, passwords: Passwords, actor: Actor, command: CreateUser) -> Account:
    """A new account, made by an admin. Raises what `add` does, and Refused `not_found` or `unavailable`."""
    wanted = named(command.username, command.email)

    def check(snapshot: Snapshot) -> None:
        require_free(snapshot, wanted.email_key, wanted.username_key)

    # First without the hash, which is dear.
    await store.read(administering(actor, check))
    encoded = await passwords.hash(command.password)

    def unit(tx: Transaction) -> Account:
        made = make(tx, wanted, encoded, is_admin=bool(command.is_admin))
        return get(tx, made["id"])

    return await store.write(administering(actor, unit))


async def update(
    store: Store, passwords: Passwords, actor: Actor, user_id: int, command: UpdateUser
) -> Account:
    """Reset the password, disable or enable the account, make it an admin's or not: all at once, or nothing.

    Raises Refused: `not_found`, `last_admin`, `unavailable`.
    """
    await store.read(administering(actor, lambda snapshot: _require(snapshot, user_id)))
    encoded = None if command.password is None else await passwords.hash(command.password)

    def unit(tx: Transaction) -> Account:
        if command.disabled or command.is_admin is False:
            _require_other_admin(tx, user_id)
        if encoded is not None:
            reset_password(tx, user_id, encoded)
        if command.disabled is not None:
            (disable if command.disabled else enable)(tx, user_id)
        if command.is_admin is not None:
            set_admin(tx, user_id, command.is_admin)
        return get(tx, user_id)

    return await store.write(administering(actor, unit))


async def remove(store: Store, rules: Rules, files: LocalFiles, actor: Actor, user_id: int) -> None:
    """Delete an account, and its files that were never sent.

    Raises Refused: `not_found`, `last_admin`, `unavailable`.
    """

    def unit(tx: Transaction) -> list[str]:
        _require_other_admin(tx, user_id)
        return delete(tx, user_id, live_members=rules.live_members)

    for key in await store.write(administering(actor, unit)):
        await files.delete(key)


def _require_other_admin(snapshot: Snapshot, user_id: int) -> None:
    """Raise Refused `last_admin` where nobody else could administer the server."""
    if not accounts.has_other_admin(snapshot, user_id):
        raise Refused("last_admin", "You are the only admin who can log in: make another user admin first.")


def _require(snapshot: Snapshot, user_id: int) -> StoredUser:
    user = accounts.by_id(snapshot, user_id)
    if user is None:
        raise not_found()
    return user


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
