"""Asking S3: an answer in time, or `unavailable`, whatever went wrong on the way."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from protocol.errors import Refused

logger = logging.getLogger(__name__)

RETRY_AFTER = 5

_FAILURES = (
    BotoCoreError,
    ClientError,
    aiohttp.ClientError,
    OSError,
    EOFError,
    ResponseParserError,
    KeyError,
    ValueError,
)
"""What asking S3 may end in. The last three: what answers is no S3, and its answers lack what S3's have."""


@contextlib.asynccontextmanager
async def answering(seconds: float) -> AsyncIterator[None]:
    """A block that S3 has to answer within so many seconds. Raises Refused `unavailable`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        logger.error("S3 did not answer within %g s", seconds)
        raise unavailable() from None
    except _FAILURES as error:
        # None of these tells the keys' secrets, nor a signed URL.
        logger.error("S3 failed: %s", str(error) if isinstance(error, ClientError | OSError) else repr(error))
        raise unavailable() from None


def unavailable() -> Refused:
    """The refusal of what S3 can't do at the moment."""
    return Refused(
        "unavailable", "Files can't be reached at the moment. Send it again.", retry_after=RETRY_AFTER
    )


def status(error: ClientError) -> int:
    """The HTTP status with which S3 refused; 0 where it gave none."""
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status
