"""Conversations and their members (docs/protocol.md section 3)."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actions import conversations, members
from actions.sessions import acting
from api.charging import caller, paid_body, pay_for_change, teller
from api.requests import path_id, query
from api.responses import answer, created, no_content
from api.routing import resource
from protocol.commands import AddMembers, ConversationPage, CreateConversation, Rename, SetRole


def routes() -> list[Route]:
    """What is under `/chats`, messages aside."""
    return [
        resource("/chats", GET=listed, POST=create),
        resource("/chats/{id}", GET=get, PATCH=rename),
        resource("/chats/{id}/members", GET=list_members, POST=add_members),
        resource("/chats/{id}/members/{user_id}", DELETE=remove_member, PATCH=set_role),
    ]


async def create(request: Request) -> Response:
    """201: a new conversation; 200: the dialog that the two have already."""
    with teller(request) as (parts, actor):
        command = await paid_body(request, actor, CreateConversation)
    parts.rules.rates.change(actor.user_id, len(command.members) + 1)
    conversation, is_new = await parts.store.write(
        acting(actor, lambda tx: conversations.create(tx, parts.rules, actor, command))
    )
    return created(conversation, is_new)


async def listed(request: Request) -> Response:
    """200: a page of the caller's conversations."""
    parts, actor = caller(request)
    page = query(request, ConversationPage)
    return answer(
        await parts.store.read(
            acting(actor, lambda snapshot: conversations.listed(snapshot, parts.rules, actor, page))
        )
    )


async def get(request: Request) -> Response:
    """200: a conversation."""
    parts, actor = caller(request)
    conversation_id = path_id(request)
    return answer(
        await parts.store.read(
            acting(actor, lambda snapshot: conversations.get(snapshot, parts.rules, actor, conversation_id))
        )
    )


async def rename(request: Request) -> Response:
    """200: the conversation with its new title."""
    with teller(request) as (parts, actor):
        conversation_id, command = path_id(request), await paid_body(request, actor, Rename)
    await pay_for_change(parts, actor, conversation_id)
    return answer(
        await parts.store.write(
            acting(actor, lambda tx: conversations.rename(tx, parts.rules, actor, conversation_id, command))
        )
    )


async def list_members(request: Request) -> Response:
    """200: the members."""
    parts, actor = caller(request)
    conversation_id = path_id(request)
    return answer(
        await parts.store.read(
            acting(actor, lambda snapshot: members.listed(snapshot, actor, conversation_id))
        )
    )


async def add_members(request: Request) -> Response:
    """200: the conversation with its new members."""
    with teller(request) as (parts, actor):
        conversation_id, command = path_id(request), await paid_body(request, actor, AddMembers)
    await pay_for_change(parts, actor, conversation_id, more=len(command.members))
    return answer(
        await parts.store.write(
            acting(actor, lambda tx: members.add(tx, parts.rules, actor, conversation_id, command))
        )
    )


async def remove_member(request: Request) -> Response:
    """204: the member is out."""
    with teller(request) as (parts, actor):
        conversation_id, user_id = path_id(request), path_id(request, "user_id")
    await pay_for_change(parts, actor, conversation_id)
    await parts.store.write(acting(actor, lambda tx: members.remove(tx, actor, conversation_id, user_id)))
    return no_content()


async def set_role(request: Request) -> Response:
    """200: the member in its new role."""
    with teller(request) as (parts, actor):
        conversation_id, user_id = path_id(request), path_id(request, "user_id")
        command = await paid_body(request, actor, SetRole)
    await pay_for_change(parts, actor, conversation_id)
    return answer(
        await parts.store.write(
            acting(actor, lambda tx: members.set_role(tx, actor, conversation_id, user_id, command))
        )
    )
