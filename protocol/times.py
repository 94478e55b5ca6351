"""Times: kept as integer milliseconds since the epoch, said as RFC 3339 in UTC (docs/protocol.md section 0)."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

from pydantic import Field

Time = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
        json_schema_extra={"format": "date-time"},
    ),
]
"""A time as clients read it."""


@lru_cache(maxsize=256)  # all that one commit brings has one time
def rfc3339(milliseconds: int) -> str:
    """`1763903100123` as `"2025-11-23T13:05:00.123Z"`."""
    days, rest = divmod(milliseconds, 86_400_000)
    minutes, rest = divmod(rest, 60_000)
    clock = (minutes // 60, minutes % 60, rest // 1000, rest % 1000)
    return _date(days) + "T%02d:%02d:%02d.%03dZ" % clock  # noqa: UP031 - it takes half as long as an f-string


@lru_cache(maxsize=256)  # a page of history is of few days, and its messages are of many times
def _date(days: int) -> str:
    return datetime.fromtimestamp(days * 86_400, UTC).date().isoformat()
