"""What a request costs its user (docs/protocol.md, Limits): a call, or an event where others are told of it."""

import contextlib
from collections.abc import Iterator
from typing import TypeVar

from starlette.requests import Request

from actions.actor import Actor
from actions.conversations import told_of_change
from actions.rates import BYTES_EACH
from api.requests import identified, json_bytes, services
from api.services import Services
from protocol.codec import decode, parse
from protocol.commands import Command
from protocol.errors import Refused

C = TypeVar("C", bound=Command)


def caller(request: Request) -> tuple[Services, Actor]:
    """The services, and who asks, who has paid a call for it. Raises Refused: `unauthorized`, `rate_limited`."""
    parts, actor = identified(request)
    parts.rules.rates.call(actor.user_id)
    return parts, actor


@contextlib.contextmanager
def teller(request: Request) -> Iterator[tuple[Services, Actor]]:
    """The services, and who asks for what others are told of. Raises Refused: `unauthorized`, `rate_limited`.

    The block reads the request; one that turns out to be wrong in itself costs a call. What is asked for is to be
    paid after it.
    """
    parts, actor = identified(request)
    # So that of a flood not even the bodies are read.
    parts.rules.rates.require_event(actor.user_id)
    try:
        yield parts, actor
    except Refused as refusal:
        if refusal.code != "rate_limited":
            parts.rules.rates.call(actor.user_id)
        raise


async def paid_body(request: Request, actor: Actor, model: type[C]) -> C:
    """The JSON body as a command; a large one is paid for before it is parsed.

    Raises Refused: `rate_limited`, `malformed`, `invalid`, `too_large` or `unsupported_media_type`.
    """
    data = await json_bytes(request)
    services(request).rules.rates.body(actor.user_id, len(data))
    return parse(model, decode(data))


async def unpaid_body(request: Request, model: type[C]) -> C:
    """The JSON body of who asks without an account, as a command. It is small, and its refusals come slowly.

    Raises Refused: `malformed`, `invalid`, `too_large` or `unsupported_media_type`.
    """
    request.state.is_unpaid = True
    return parse(model, decode(await json_bytes(request, BYTES_EACH)))


async def pay_for_change(parts: Services, actor: Actor, conversation_id: int, more: int = 0) -> None:
    """Pay for a change that the members of a conversation hear of, and `more` users. Raises Refused `rate_limited`."""
    told = await parts.store.read(lambda snapshot: told_of_change(snapshot, actor, conversation_id))
    parts.rules.rates.change(actor.user_id, told + more)
