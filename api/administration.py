"""Looking after the server: accounts, their sessions, and how much there is (docs/protocol.md section 1)."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actions import administration, audit
from actions.actor import Actor
from actions.invites import administering
from api.admin import admin
from api.charging import paid_body
from api.requests import path_id, query
from api.responses import answer, created, no_content
from api.routing import resource
from protocol.commands import CreateUser, UpdateUser, UserPage
from protocol.entities import Stats


def routes() -> list[Route]:
    """What is under `/admin`, invitations aside."""
    return [
        resource("/admin/users", GET=listed, POST=create),
        resource("/admin/users/{id}", GET=get, PATCH=update, DELETE=remove),
        resource("/admin/users/{id}/sessions", GET=sessions, DELETE=end_sessions),
        resource("/admin/users/{id}/sessions/{session_id}", DELETE=end_session),
        resource("/admin/stats", GET=stats),
    ]


async def listed(request: Request) -> Response:
    """200: a page of the accounts."""
    parts, actor = await admin(request)
    page = query(request, UserPage)
    return answer(
        await parts.store.read(administering(actor, lambda snapshot: administration.listed(snapshot, page)))
    )


async def create(request: Request) -> Response:
    """201: a new account."""
    parts, actor = await admin(request)
    command = await paid_body(request, actor, CreateUser)
    account = await administration.create(parts.store, parts.passwords, actor, command)
    audit.record("user_added", user_id=account["id"], is_admin=account["is_admin"], by=actor.user_id)
    return created(account)


async def get(request: Request) -> Response:
    """200: an account."""
    parts, actor = await admin(request)
    user_id = path_id(request)
    return answer(
        await parts.store.read(administering(actor, lambda snapshot: administration.get(snapshot, user_id)))
    )


async def update(request: Request) -> Response:
    """200: the account with another password, disabled, enabled, an admin's, or not."""
    parts, actor = await admin(request)
    user_id, command = path_id(request), await paid_body(request, actor, UpdateUser)
    account = await administration.update(parts.store, parts.passwords, actor, user_id, command)
    _record_update(actor, user_id, command)
    return answer(account)


async def remove(request: Request) -> Response:
    """204: the account is no more."""
    parts, actor = await admin(request)
    user_id = path_id(request)
    await administration.remove(parts.store, parts.rules, parts.files, actor, user_id)
    audit.record("user_deleted", user_id=user_id, by=actor.user_id)
    return no_content()


async def sessions(request: Request) -> Response:
    """200: an account's sessions."""
    parts, actor = await admin(request)
    user_id = path_id(request)
    return answer(
        await parts.store.read(
            administering(actor, lambda snapshot: administration.sessions_of(snapshot, user_id))
        )
    )


async def end_sessions(request: Request) -> Response:
    """204: the account has no sessions any more."""
    parts, actor = await admin(request)
    user_id = path_id(request)
    await parts.store.write(administering(actor, lambda tx: administration.end_sessions(tx, user_id)))
    audit.record("sessions_ended", user_id=user_id, by=actor.user_id)
    return no_content()


async def end_session(request: Request) -> Response:
    """204: one of the account's sessions is over."""
    parts, actor = await admin(request)
    user_id, session_id = path_id(request), path_id(request, "session_id")
    await parts.store.write(
        administering(actor, lambda tx: administration.end_session(tx, user_id, session_id))
    )
    audit.record("session_ended", user_id=user_id, session_id=session_id, by=actor.user_id)
    return no_content()


async def stats(request: Request) -> Response:
    """200: how much there is of everything, and who is connected."""
    parts, actor = await admin(request)
    held = await parts.store.read(administering(actor, administration.stats))
    connections, online = parts.connected()
    told: Stats = {**held, "connections": connections, "online": online}
    return answer(told)


def _record_update(actor: Actor, user_id: int, command: UpdateUser) -> None:
    if command.password is not None:
        audit.record("password_reset", user_id=user_id, by=actor.user_id)
    if command.disabled is not None:
        audit.record(
            "user_disabled" if command.disabled else "user_enabled", user_id=user_id, by=actor.user_id
        )
    if command.is_admin is not None:
        audit.record(
            "admin_granted" if command.is_admin else "admin_revoked", user_id=user_id, by=actor.user_id
        )
