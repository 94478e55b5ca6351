"""Sessions: what a login makes, and what ends it (docs/protocol.md section 1)."""

import secrets
from collections.abc import Callable
from typing import Literal, TypeVar

from actions import audit
from actions.actor import Actor
from actions.rules import Rules
from actions.tokens import Claims
from protocol.commands import Refresh
from protocol.entities import AccountSession, Refreshed, Session
from protocol.errors import Refused, not_found
from protocol.events import SessionEnded, SocketAdmitted
from protocol.times import rfc3339
from storage import Snapshot, Store, Transaction, conversations, events, refresh_tokens, sessions
from storage.refresh_tokens import StoredToken

S = TypeVar("S", bound=Snapshot)
T = TypeVar("T")

EXPIRED_AT_ONCE = 500
"""So many sessions end in one unit of work, so that others get their turn."""

REUSE_MILLISECONDS = 10_000
"""So long after its successor's first use a replaced token still answers: two tabs, or a lost answer."""


def goes_on(snapshot: Snapshot, actor: Actor) -> bool:
    """Whether the actor's session has not ended."""
    return sessions.is_live(snapshot, actor.session_id, actor.user_id)


def require(snapshot: Snapshot, actor: Actor) -> None:
    """Raise Refused `unauthorized` unless the actor's session goes on."""
    if not goes_on(snapshot, actor):
        raise Refused("unauthorized", "The session has ended.")


def acting(actor: Actor, action: Callable[[S], T]) -> Callable[[S], T]:
    """`action` as a unit of work that first makes sure that the actor's session goes on.

    Raises Refused `unauthorized` when it runs after the session's end, whatever the token says.
    """

    def unit(snapshot: S) -> T:
        require(snapshot, actor)
        return action(snapshot)

    return unit


async def refresh(store: Store, rules: Rules, command: Refresh, address: str = "") -> Refreshed:
    """A new access token, and where `rotate` asks for it the refresh token that replaces this one.

    It costs its user a call. Raises Refused: `unauthorized`, `rate_limited`. A genuine token that comes back although
    it was replaced for good is someone else's copy, of either token: it ends the session.
    """
    claims = rules.tokens.read(command.refresh_token, "refresh")
    rules.rates.call(claims.user_id)
    new_id = secrets.token_urlsafe(16) if command.rotate else None
    refreshed = await store.write(lambda tx: _refresh(tx, rules, claims, new_id))
    if refreshed == "reused":
        audit.record("token_reused", user_id=claims.user_id, session_id=claims.session_id, address=address)
    if isinstance(refreshed, str):
        raise Refused("unauthorized", "The session has ended.")
    return refreshed


def logout(tx: Transaction, actor: Actor) -> None:
    """End the actor's own session."""
    _end(tx, actor.session_id, actor.user_id)


def listed(snapshot: Snapshot, actor: Actor) -> list[Session]:
    """The actor's sessions, newest first."""
    return [
        {**session, "current": session["id"] == actor.session_id}
        for session in of_user(snapshot, actor.user_id)
    ]


def of_user(snapshot: Snapshot, user_id: int) -> list[AccountSession]:
    """A user's sessions, newest first."""
    return [
        {
            "id": session.id,
            "created_at": rfc3339(session.created_at),
            "last_used_at": rfc3339(session.last_used_at),
            "address": session.address,
            "user_agent": session.user_agent,
        }
        for session in sessions.of_user(snapshot, user_id)
    ]


def end(tx: Transaction, actor: Actor, session_id: int) -> None:
    """End one of the actor's sessions. Raises Refused `not_found` for any other."""
    end_one(tx, actor.user_id, session_id)


def end_one(tx: Transaction, user_id: int, session_id: int) -> None:
    """End one of a user's sessions. Raises Refused `not_found` for any other."""
    session = sessions.by_id(tx, session_id)
    if session is None or session.user_id != user_id:
        raise not_found()
    _end(tx, session_id, user_id)


def end_others(tx: Transaction, actor: Actor) -> None:
    """End all of the actor's sessions but its own."""
    end_all(tx, actor.user_id, besides=actor.session_id)


def end_all(tx: Transaction, user_id: int, *, besides: int = 0) -> None:
    """End all of a user's sessions, but for one that is named."""
    for session_id in sessions.ids_of_user(tx, user_id):
        if session_id != besides:
            _end(tx, session_id, user_id)


def end_expired(tx: Transaction) -> int:
    """End sessions whose refresh token has run out, some at a time; how many."""
    expired = sessions.expired(tx, EXPIRED_AT_ONCE)
    for session_id, user_id in expired:
        _end(tx, session_id, user_id)
    return len(expired)


def admit(tx: Transaction, actor: Actor) -> None:
    """Let the actor's socket listen from here on. Raises Refused `unauthorized`.

    It runs among the writers so that its place in the order of commits is known: what was committed before is in
    the log up to `event_id`, what comes after reaches the socket.
    """
    require(tx, actor)
    tx.tell(
        SocketAdmitted(
            origin=actor.origin,
            user_id=actor.user_id,
            session_id=actor.session_id,
            event_id=tx.last_event_id,
            log=events.log_name(tx),
            conversations=conversations.sizes(tx, actor.user_id),
        )
    )


def _refresh(
    tx: Transaction, rules: Rules, claims: Claims, new_id: str | None
) -> Refreshed | Literal["over", "reused"]:
    """Whether the session is over; it may be by this very token, and a refused unit could not have ended it."""
    session = sessions.by_id(tx, claims.session_id)
    if session is None or session.user_id != claims.user_id:
        return "over"
    token = refresh_tokens.find(tx, session.id, str(claims.refresh_id))
    if token is None or _is_replaced_for_good(tx, session.id, token):
        _end(tx, session.id, session.user_id)
        return "reused"
    sessions.touch(tx, session.id)
    refresh_tokens.use(tx, session.id, token.jti)
    refreshed: Refreshed = {"access_token": rules.tokens.issue_access(session.user_id, session.id)}
    if new_id is not None:
        successor = _successor(tx, rules, session.id, token, new_id)
        refreshed["refresh_token"] = rules.tokens.issue_refresh(
            session.user_id, session.id, successor.jti, (successor.issued_at, successor.expires_at)
        )
    return refreshed


def _is_replaced_for_good(tx: Transaction, session_id: int, token: StoredToken) -> bool:
    if token.successor is None:
        return False
    successor = refresh_tokens.find(tx, session_id, token.successor)
    if successor is None:
        return True
    return successor.used_at is not None and tx.now > successor.used_at + REUSE_MILLISECONDS


def _successor(
    tx: Transaction, rules: Rules, session_id: int, token: StoredToken, new_id: str
) -> StoredToken:
    """The token's one successor: the one that it has, or else a new one, with which the session's life begins anew."""
    if token.successor is None:
        expires_at = tx.now + rules.refresh_seconds * 1000
        refresh_tokens.forget(tx, session_id, before=tx.now - REUSE_MILLISECONDS)
        refresh_tokens.replace(tx, session_id, token.jti, new_id, expires_at)
        sessions.extend(tx, session_id, expires_at)
    successor = refresh_tokens.find(tx, session_id, token.successor or new_id)
    assert successor is not None
    return successor


def _end(tx: Transaction, session_id: int, user_id: int) -> None:
    sessions.delete(tx, session_id)
    tx.tell(SessionEnded(session_id, user_id))
