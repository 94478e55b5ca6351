"""Sessions: what a login makes, and what ends it (docs/protocol.md section 1)."""

from collections.abc import Callable
from typing import TypedDict, TypeVar

from actions.actor import Actor
from actions.rules import Rules
from protocol.commands import Refresh
from protocol.entities import Session
from protocol.errors import Refused, not_found
from protocol.events import SessionEnded, SocketAdmitted
from protocol.times import rfc3339
from storage import Snapshot, Transaction, conversations, refresh_tokens, sessions

S = TypeVar("S", bound=Snapshot)
T = TypeVar("T")

EXPIRED_AT_ONCE = 500


class AccessToken(TypedDict):
    """The answer to a refresh."""

    access_token: str


def require(snapshot: Snapshot, actor: Actor) -> None:
    """Raise Refused `unauthorized` unless the actor's session goes on."""
    if not sessions.is_live(snapshot, actor.session_id, actor.user_id):
        raise Refused("unauthorized", "The session has ended.")


def acting(actor: Actor, action: Callable[[S], T]) -> Callable[[S], T]:
    """`action` as a unit of work that first makes sure that the actor's session goes on.

    Raises Refused `unauthorized` when it runs after the session's end, whatever the token says.
    """

    def unit(snapshot: S) -> T:
        require(snapshot, actor)
        return action(snapshot)

    return unit


def refresh(tx: Transaction, rules: Rules, command: Refresh) -> AccessToken:
    """A new access token. Raises Refused `unauthorized` for any token but the session's own refresh token."""
    claims = rules.tokens.read(command.refresh_token, "refresh")
    session = sessions.by_id(tx, claims.session_id)
    if session is None or session.user_id != claims.user_id:
        raise Refused("unauthorized", "The session has ended.")
    if refresh_tokens.find(tx, session.id, str(claims.refresh_id)) is None:
        raise Refused("unauthorized", "The token is missing, invalid or expired.")
    sessions.touch(tx, session.id)
    return {"access_token": rules.tokens.issue_access(session.user_id, session.id)}


def logout(tx: Transaction, actor: Actor) -> None:
    """End the actor's own session."""
    _end(tx, actor.session_id, actor.user_id)


def listed(snapshot: Snapshot, actor: Actor) -> list[Session]:
    """The actor's sessions, newest first."""
    return [
        {
            "id": session.id,
            "created_at": rfc3339(session.created_at),
            "last_used_at": rfc3339(session.last_used_at),
            "address": session.address,
            "user_agent": session.user_agent,
            "current": session.id == actor.session_id,
        }
        for session in sessions.of_user(snapshot, actor.user_id)
    ]


def end(tx: Transaction, actor: Actor, session_id: int) -> None:
    """End one of the actor's sessions. Raises Refused `not_found` for any other."""
    session = sessions.by_id(tx, session_id)
    if session is None or session.user_id != actor.user_id:
        raise not_found()
    _end(tx, session_id, actor.user_id)


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
            log=tx.value("SELECT name FROM log"),
            conversations=conversations.sizes(tx, actor.user_id),
        )
    )


def _end(tx: Transaction, session_id: int, user_id: int) -> None:
    sessions.delete(tx, session_id)
    tx.tell(SessionEnded(session_id, user_id))
