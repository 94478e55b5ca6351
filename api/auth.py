"""Accounts and sessions (docs/protocol.md section 1)."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actions import accounts, audit, sessions
from actions.sessions import acting
from actions.tickets import TICKET_SECONDS
from api.charging import caller, paid_body, unpaid_body
from api.requests import address, path_id, services, user_agent
from api.responses import answer, created, no_content
from api.routing import resource
from protocol.commands import ChangePassword, Login, Refresh, Register
from protocol.entities import Ticket


def routes() -> list[Route]:
    """What is under `/auth`."""
    return [
        resource("/auth/register", POST=register),
        resource("/auth/login", POST=login),
        resource("/auth/refresh", POST=refresh),
        resource("/auth/logout", POST=logout),
        resource("/auth/password", POST=change_password),
        resource("/auth/ticket", POST=ticket),
        resource("/auth/sessions", GET=listed),
        resource("/auth/sessions/{id}", DELETE=end),
    ]


async def register(request: Request) -> Response:
    """201: a new account."""
    parts, command = services(request), await unpaid_body(request, Register)
    return created(
        await accounts.register(parts.store, parts.rules, parts.passwords, command, address(request))
    )


async def login(request: Request) -> Response:
    """200: a new session's tokens, and the user."""
    parts, command = services(request), await unpaid_body(request, Login)
    tokens = await accounts.login(
        parts.store,
        parts.rules,
        parts.passwords,
        parts.presence,
        command,
        address(request),
        user_agent(request),
    )
    parts.counts.logins += 1
    return answer(tokens)


async def refresh(request: Request) -> Response:
    """200: a new access token, and the next refresh token if it is asked for."""
    parts, command = services(request), await unpaid_body(request, Refresh)
    return answer(await sessions.refresh(parts.store, parts.rules, command, address(request)))


async def logout(request: Request) -> Response:
    """204: the caller's session is over."""
    parts, actor = caller(request)
    await parts.store.write(acting(actor, lambda tx: sessions.logout(tx, actor)))
    audit.record("logout", user_id=actor.user_id, session_id=actor.session_id, address=address(request))
    return no_content()


async def change_password(request: Request) -> Response:
    """204: the caller has another password, and no other session."""
    parts, actor = caller(request)
    command = await paid_body(request, actor, ChangePassword)
    await accounts.change_password(
        parts.store, parts.rules, parts.passwords, actor, command, address(request)
    )
    return no_content()


async def ticket(request: Request) -> Response:
    """201: what opens one socket of the caller's session."""
    parts, actor = caller(request)
    await parts.store.read(lambda snapshot: sessions.require(snapshot, actor))
    issued: Ticket = {
        "ticket": parts.rules.tickets.issue(actor.user_id, actor.session_id),
        "expires_in": TICKET_SECONDS,
    }
    return created(issued)


async def listed(request: Request) -> Response:
    """200: the caller's sessions."""
    parts, actor = caller(request)
    return answer(await parts.store.read(acting(actor, lambda snapshot: sessions.listed(snapshot, actor))))


async def end(request: Request) -> Response:
    """204: one of the caller's sessions is over."""
    parts, actor = caller(request)
    session_id = path_id(request)
    await parts.store.write(acting(actor, lambda tx: sessions.end(tx, actor, session_id)))
    audit.record(
        "session_ended",
        user_id=actor.user_id,
        session_id=session_id,
        by=actor.user_id,
        address=address(request),
    )
    return no_content()
