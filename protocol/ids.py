"""Ids: positive integers below 2^53, and integers only (docs/protocol.md section 0)."""

import re
from typing import Annotated

from pydantic import Field

MAX_ID = 2**53 - 1
"""The largest integer that every JSON client keeps exactly."""

Id = Annotated[int, Field(strict=True, ge=1, le=MAX_ID)]
Cursor = Annotated[int, Field(strict=True, ge=0, le=MAX_ID)]
"""An id, or 0 for the place before the first one."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


def parse_id(text: str, *, least: int = 1) -> int | None:
    """The id that `text` writes in canonical decimal; None where it is no id (`01`, `+1`, `1.0`, 2^53)."""
    if _DECIMAL.fullmatch(text) is None:
        return None
    number = int(text)
    return number if least <= number <= MAX_ID else None
