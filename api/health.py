"""Is the server up, and can it do its work? (docs/operations.md). And what `/ws` says to who does not upgrade."""

import asyncio
import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.problems import answer_to
from api.responses import answer
from api.routing import resource
from protocol.errors import Refused
from storage import Store, Transaction

READY_SECONDS = 1.0
PATIENCE_SECONDS = 4.0


class Readiness:
    """Whether the storage takes writes: asked of the disk at most once a second, however many ask."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked_at = float("-inf")
        self._answer: asyncio.Task[bool] | None = None

    async def prove(self) -> None:
        """Raises Refused `unavailable` where the storage can't be written now."""
        now = time.monotonic()
        if self._answer is None or (self._answer.done() and now - self._asked_at >= READY_SECONDS):
            self._asked_at, self._answer = now, asyncio.create_task(self._ask())
        # Shielded: one who goes away must not take the answer from the others.
        if not await asyncio.shield(self._answer):
            raise Refused("unavailable", "The storage can't be written at the moment.", retry_after=1)

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._store.write(_write_something)
        except (Refused, TimeoutError):
            return False
        return True


def routes() -> list[Route]:
    """What load balancers and supervisors ask."""
    return [
        resource("/healthz", GET=healthz),
        resource("/readyz", GET=readyz),
        resource("/ws", GET=websocket),
    ]


async def healthz(request: Request) -> Response:
    """200: the process is up."""
    return answer({"status": "ok"})


async def readyz(request: Request) -> Response:
    """200: the storage is writable; 503: it is not."""
    readiness: Readiness = request.state.readiness
    await readiness.prove()
    return answer({"status": "ok"})


async def websocket(request: Request) -> Response:
    """426: the hub takes upgrades before they come here, so what comes here is none (RFC 9110, section 15.5.22)."""
    refusal = Refused("upgrade_required", "Connect here with a WebSocket client.")
    return answer_to(refusal, {"Upgrade": "websocket", "Connection": "Upgrade"})


def _write_something(tx: Transaction) -> None:
    # SQLite writes no page, and so syncs nothing, for an update that changes nothing. The log's counter may have
    # gaps, so moving it is the one real write that means nothing.
    tx.new_event_id()
