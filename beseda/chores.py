"""What the server does now and then by itself: clearing away what nobody needs any more."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from actions import attachments, sessions
from actions.attachments import AttachmentRules
from protocol.errors import Refused
from storage import Store, invites
from storage.attachments.local import LocalFiles

if TYPE_CHECKING:
    from storage.attachments.s3 import S3Files

logger = logging.getLogger(__name__)

EVERY_SECONDS = 3600.0
SESSIONS_EVERY_SECONDS = 60.0
"""Who is logged out should not go on listening for long."""


@contextlib.asynccontextmanager
async def doing_chores(
    store: Store, files: LocalFiles, limits: AttachmentRules, s3: "S3Files | None" = None
) -> AsyncIterator[None]:
    """Do them at once and then again and again, for as long as the block lasts."""
    tasks = [
        asyncio.create_task(_repeat(partial(end_sessions, store), SESSIONS_EVERY_SECONDS)),
        asyncio.create_task(_repeat(partial(clear_away, store, files, limits, s3), EVERY_SECONDS)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def end_sessions(store: Store) -> None:
    """Every minute: end sessions that have expired. Raises Refused `unavailable`."""
    while await store.write(sessions.end_expired) >= sessions.EXPIRED_AT_ONCE:
        pass


async def clear_away(
    store: Store, files: LocalFiles, limits: AttachmentRules, s3: "S3Files | None" = None
) -> None:
    """Every hour: remove invitations that have expired, and uploads that were never sent.

    Raises Refused `unavailable`.
    """
    await store.write(invites.delete_expired)
    await attachments.sweep(store, files, limits)
    if s3 is not None:
        # The last one: when S3 is down all others are done.
        await attachments.sweep_s3(store, s3, limits)


async def _repeat(chore: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        try:
            await chore()
        except Refused as refusal:
            logger.warning("A clean-up was not done: %s", refusal.detail)
        except Exception:
            logger.exception("A clean-up failed")
        await asyncio.sleep(seconds)
