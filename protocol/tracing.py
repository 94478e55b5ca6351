"""Whose doing something is: the request or the socket that lines of the log name.

What requests do, and tasks of a socket's own, run in a context that knows it. A frame is handled in none, which would
cost each of them: where something goes wrong with one, its socket is named there.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

Fields = Mapping[str, int | str]


class Doer(Protocol):
    """A request or a socket."""

    @property
    def log_fields(self) -> Fields:
        """What lines of the log say of it."""


@dataclass(frozen=True, slots=True)
class Named:
    """One that is known by its fields alone, so that no context keeps a socket in memory."""

    log_fields: Fields


doer: ContextVar[Doer | None] = ContextVar("doer", default=None)


def extra(one: Doer | None) -> dict[str, Any]:
    """The `extra` of a line of the log that is about `one`, whatever the context is."""
    return {} if one is None else {"fields": one.log_fields}
