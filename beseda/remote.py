"""The part of the server that speaks to S3, if one is configured; aiobotocore is imported only then."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from actions.links import S3Links
from beseda import keys
from beseda.settings import Attachments

if TYPE_CHECKING:
    from storage.attachments.s3 import S3Files


@contextlib.asynccontextmanager
async def open_remote(
    settings: Attachments, key: bytes, clock: Callable[[], int]
) -> AsyncIterator[tuple["S3Files | None", S3Links | None]]:
    """The bucket and who signs its URLs; None, None where there is none. Nothing is asked of it yet.

    One that is configured while new files go to the local store still serves what was sent before.
    """
    if not settings.s3.is_configured:
        yield None, None
        return
    from storage.attachments.objects import ObjectNames
    from storage.attachments.presigning import Presigner
    from storage.attachments.s3 import S3Settings, open_s3

    s3 = settings.s3
    names = ObjectNames(keys.derive(key, "objects").hex()[:16])
    secret = s3.secret_key.get_secret_value()
    bucket = S3Settings(s3.endpoint, s3.region, s3.bucket, s3.access_key, secret, settings.max_bytes)
    async with open_s3(bucket, names) as files:
        presigner = Presigner(await files.url(), s3.region, s3.access_key, secret)
        yield files, S3Links(presigner, names, settings.url_hours * 3600, clock)
