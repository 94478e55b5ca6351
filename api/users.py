"""Users (docs/protocol.md section 2)."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actions import profile, users
from actions.actor import Actor
from actions.sessions import acting
from api.charging import caller, paid_body
from api.requests import address, path_id, query
from api.responses import answer
from api.routing import resource
from api.services import Services
from protocol.commands import UpdateProfile, UserLookup, UserSearch
from protocol.errors import invalid


def routes() -> list[Route]:
    """What is under `/users`."""
    return [
        resource("/users", GET=search),
        resource("/users/me", GET=me, PATCH=update),
        resource("/users/{id}", GET=get),
    ]


async def me(request: Request) -> Response:
    """200: the caller."""
    parts, actor = caller(request)
    return answer(
        await parts.store.read(acting(actor, lambda snapshot: users.me(snapshot, actor, parts.presence)))
    )


async def update(request: Request) -> Response:
    """200: the caller, with another name or email."""
    parts, actor = caller(request)
    command = await paid_body(request, actor, UpdateProfile)
    return answer(
        await profile.update(
            parts.store, parts.rules, parts.passwords, parts.presence, actor, command, address(request)
        )
    )


async def get(request: Request) -> Response:
    """200: a user."""
    parts, actor = caller(request)
    user_id = path_id(request)
    return answer(
        await parts.store.read(
            acting(actor, lambda snapshot: users.get(snapshot, parts.rules, actor, user_id, parts.presence))
        )
    )


async def search(request: Request) -> Response:
    """200: users by the start of their names, or by their ids."""
    parts, actor = caller(request)
    if "ids" in request.query_params:
        return await _lookup(request, parts, actor)
    command = query(request, UserSearch)
    return answer(
        await parts.store.read(
            acting(
                actor, lambda snapshot: users.search(snapshot, parts.rules, actor, command, parts.presence)
            )
        )
    )


async def _lookup(request: Request, parts: Services, actor: Actor) -> Response:
    if "query" in request.query_params:
        raise invalid("query", "either this or ids")
    command = query(request, UserLookup)
    return answer(
        await parts.store.read(
            acting(
                actor, lambda snapshot: users.by_ids(snapshot, parts.rules, actor, command, parts.presence)
            )
        )
    )
