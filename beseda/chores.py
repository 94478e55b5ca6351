"""What the server does now and then by itself: clearing away what nobody needs any more."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
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


@contextlib.asynccontextmanager
async def doing_chores(
    store: Store, files: LocalFiles, limits: AttachmentRules, s3: "S3Files | None" = None
) -> AsyncIterator[None]:
    """Do them at once and then every hour, for as long as the block lasts."""
    task = asyncio.create_task(_repeat(store, files, limits, s3))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def do_chores(
    store: Store, files: LocalFiles, limits: AttachmentRules, s3: "S3Files | None" = None
) -> None:
    """Once: end what has expired, sessions and invitations; remove uploads that were never sent.

    Raises Refused `unavailable`.
    """
    while await store.write(sessions.end_expired) >= sessions.EXPIRED_AT_ONCE:
        pass
    await store.write(invites.delete_expired)
    await attachments.sweep(store, files, limits)
    if s3 is not None:
        # The last one: when S3 is down all others are done.
        await attachments.sweep_s3(store, s3, limits)


async def _repeat(store: Store, files: LocalFiles, limits: AttachmentRules, s3: "S3Files | None") -> None:
    while True:
        try:
            await do_chores(store, files, limits, s3)
        except Refused as refusal:
            logger.warning("The hourly clean-up was not done: %s", refusal.detail)
        except Exception:
            logger.exception("The hourly clean-up failed")
        await asyncio.sleep(EVERY_SECONDS)
