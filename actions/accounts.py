"""Registering and logging in (docs/protocol.md section 1)."""

import secrets

from actions.passwords import Passwords
from actions.rules import Rules
from actions.users import Presence, own
from protocol import names
from protocol.commands import Login, Register
from protocol.entities import Registered, TokenPair
from protocol.errors import Refused
from storage import Snapshot, Store, Transaction, sessions, users

USER_AGENT_CHARS = 256


async def register(store: Store, rules: Rules, passwords: Passwords, command: Register) -> Registered:
    """A new account; the first becomes the server's admin.

    Raises Refused: `registration_closed`, `invalid`, `email_taken`, `username_taken`, `unavailable`.
    """
    if rules.registration == "closed":
        raise Refused("registration_closed", "This server takes no registrations.")
    username, email = names.username(command.username), names.email(command.email)
    username_key, email_key = names.username_key(username), names.email_key(email)

    def check(snapshot: Snapshot) -> None:
        if users.has_email(snapshot, email_key):
            raise Refused("email_taken", "There is an account with this email.")
        if users.has_username(snapshot, username_key):
            raise Refused("username_taken", "There is an account with this username.")

    # First without the hash, which is dear; then again where nobody can come between.
    await store.read(check)
    password = await passwords.hash(command.password)

    def unit(tx: Transaction) -> Registered:
        check(tx)
        user_id = users.insert(
            tx,
            username=username,
            username_key=username_key,
            email=email,
            email_key=email_key,
            password=password,
            is_admin=not users.has_any(tx),
        )
        return {"id": user_id, "email": email, "username": username}

    return await store.write(unit)


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

    Raises Refused: `invalid_credentials`, the same for a wrong email and a wrong password; or `unavailable`.
    """
    email_key = names.email_key(command.email)
    found = await store.read(lambda snapshot: users.credentials(snapshot, email_key))
    user_id, encoded = found or (0, None)
    if not await passwords.verify(encoded, command.password):
        raise Refused("invalid_credentials", "Wrong email or password.")
    refresh_id = secrets.token_urlsafe(16)

    def unit(tx: Transaction) -> TokenPair:
        session_id = sessions.insert(
            tx,
            user_id=user_id,
            refresh_id=refresh_id,
            expires_at=tx.now + rules.refresh_seconds * 1000,
            address=address,
            user_agent=user_agent[:USER_AGENT_CHARS],
        )
        return {
            "access_token": rules.tokens.issue_access(user_id, session_id),
            "refresh_token": rules.tokens.issue_refresh(user_id, session_id, refresh_id),
            "user": own(tx, user_id, online=presence(user_id)),
        }

    return await store.write(unit)
