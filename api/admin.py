"""Invitations, and who is an admin (docs/protocol.md section 1). To others there is nothing under `/admin`."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actions import audit, invites
from actions.actor import Actor
from actions.invites import administering
from actions.tokens import unauthorized
from api.charging import paid_body
from api.requests import address, bearer, path_id, query, services
from api.responses import answer, created, no_content
from api.routing import resource
from api.services import Services
from protocol.commands import CreateInvite, InvitePage
from protocol.errors import Refused, not_found


def routes() -> list[Route]:
    """What is under `/admin/invites`."""
    return [
        resource("/admin/invites", GET=listed, POST=create),
        resource("/admin/invites/{id}", DELETE=revoke),
    ]


async def create(request: Request) -> Response:
    """201: a new invitation, with its code."""
    parts, actor = await admin(request)
    made = await invites.create(parts.store, actor, await paid_body(request, actor, CreateInvite))
    audit.record("invite_created", invite_id=made["id"], by=actor.user_id)
    return created(made)


async def listed(request: Request) -> Response:
    """200: the invitations that can still be used."""
    parts, actor = await admin(request)
    page = query(request, InvitePage)
    return answer(
        await parts.store.read(administering(actor, lambda snapshot: invites.listed(snapshot, page)))
    )


async def revoke(request: Request) -> Response:
    """204: the invitation is no more."""
    parts, actor = await admin(request)
    invite_id = path_id(request)
    await parts.store.write(administering(actor, lambda tx: invites.revoke(tx, invite_id)))
    audit.record("invite_revoked", invite_id=invite_id, by=actor.user_id)
    return no_content()


async def admin(request: Request) -> tuple[Services, Actor]:
    """The services, and the admin who asks. Raises Refused `not_found` for everybody else, before anything is read.

    Only an admin whose access token has run out is told so, `unauthorized`; or who asks too often, `rate_limited`.
    """
    parts = services(request)
    try:
        claims = parts.rules.tokens.read(bearer(request), "access", expired_too=True)
    except Refused:
        audit.refused("admin_refused", user_id=None, address=address(request))
        raise not_found() from None
    actor = Actor(claims.user_id, claims.session_id)
    try:
        await parts.store.read(lambda snapshot: invites.require_admin(snapshot, actor))
    except Refused as refusal:
        if refusal.code == "not_found":
            audit.refused("admin_refused", user_id=actor.user_id, address=address(request))
        raise
    if claims.has_expired:
        raise unauthorized()
    # To nobody else does it answer otherwise than a path that does not exist: not even with 429.
    parts.rules.rates.call(actor.user_id)
    return parts, actor
