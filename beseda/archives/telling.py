"""How far it is, for whoever watches."""

from typing import Protocol


class Tell(Protocol):
    """Is told what is being done, and how many bytes of how many are; with `total` 0 nobody knows. May raise."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Tell it."""


def telling_nobody(step: str, done: int, total: int) -> None:
    """Nobody watches."""
