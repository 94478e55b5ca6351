"""What a request costs its user (docs/protocol.md, Limits): a call, or an event where others are told of it."""

import contextlib
from collections.abc import Iterator

from starlette.requests import Request

from actions.actor import Actor
from actions.conversations import told_of_change
from api.requests import identified
from api.services import Services
from protocol.errors import Refused


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
    except Refused:
        parts.rules.rates.call(actor.user_id)
        raise


async def pay_for_change(parts: Services, actor: Actor, conversation_id: int, more: int = 0) -> None:
    """Pay for a change that the members of a conversation hear of, and `more` users. Raises Refused `rate_limited`."""
    told = await parts.store.read(lambda snapshot: told_of_change(snapshot, actor, conversation_id))
    parts.rules.rates.change(actor.user_id, told + more)
