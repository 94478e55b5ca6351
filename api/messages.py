"""Messages: sending, history and the read cursor (docs/protocol.md section 4)."""

import logging

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actions import messages, receipts, sending
from actions.actor import Actor
from actions.sessions import acting
from api.charging import caller, paid_body, teller
from api.requests import path_id, query
from api.responses import answer, created, no_content
from api.routing import resource
from api.services import Services
from protocol.commands import HistoryPage, MarkRead, PostMessage
from storage import Transaction
from storage.writer import Outcome

logger = logging.getLogger(__name__)


def routes() -> list[Route]:
    """What of `/chats/{id}` concerns messages."""
    return [
        resource("/chats/{id}/messages", GET=history, POST=send),
        resource("/chats/{id}/read", POST=read),
    ]


async def send(request: Request) -> Response:
    """201: the message is stored; 200: it was already, under this `temp_id`."""
    with teller(request) as (parts, actor):
        conversation_id, command = path_id(request), await paid_body(request, actor, PostMessage)
    parts.rules.rates.message(actor.user_id, len(command.text))
    # A script that posts has not been reading: unlike a message from a socket, one from here reads nothing.
    sent = await sending.send(
        parts.store, parts.rules, parts.s3, actor, conversation_id, command, command.temp_id, read=False
    )
    return created(*sent)


async def history(request: Request) -> Response:
    """200: a page of messages, newest first. Once it is on its way, the caller has been handed them."""
    parts, actor = caller(request)
    conversation_id, page = path_id(request), query(request, HistoryPage)
    found, delivered_id = await parts.store.read(
        acting(actor, lambda snapshot: messages.history(snapshot, parts.rules, actor, conversation_id, page))
    )
    if not delivered_id or request.method == "HEAD":
        # Who asks for the head alone is handed nothing.
        return answer(found)
    return answer(found, background=BackgroundTask(_deliver, parts, actor, conversation_id, delivered_id))


async def read(request: Request) -> Response:
    """204: all up to the message is read."""
    parts, actor = caller(request)
    conversation_id, command = path_id(request), await paid_body(request, actor, MarkRead)
    await parts.store.write(
        acting(actor, lambda tx: receipts.read(tx, parts.rules, actor, conversation_id, command.message_id))
    )
    return no_content()


async def _deliver(parts: Services, actor: Actor, conversation_id: int, message_id: int) -> None:
    def unit(tx: Transaction) -> None:
        receipts.deliver(tx, parts.rules, actor, conversation_id, message_id)

    # Submitted and not awaited: nobody waits for it, and one that is lost is made good by the next page read.
    parts.store.submit(acting(actor, unit), _log_failure)


def _log_failure(outcome: Outcome) -> None:
    if outcome.error is not None:
        logger.info("A delivered cursor was not moved: %s", outcome.error)
