"""Times: kept as integer milliseconds since the epoch, said as RFC 3339 in UTC (docs/protocol.md section 0)."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=256)  # all that one commit brings has one time
def rfc3339(milliseconds: int) -> str:
    """`1763903100123` as `"2025-11-23T13:05:00.123Z"`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest:03}Z"
