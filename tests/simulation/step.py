"""A step of a run, as plain data: drawn by hypothesis, printed where one fails, and run again from there."""

from dataclasses import dataclass
from typing import TypeVar

from tests.simulation.client import Client
from tests.simulation.world import World

T = TypeVar("T")

LENGTHS = (0, 10, 100, 900)
"""How much is added to a message's text, in characters."""


@dataclass(frozen=True)
class Step:
    """Somebody does something; then `moves` things happen that could by themselves, chosen by `order`.

    `who`, `what` and `amount` are numbers that each kind of step takes as it needs them.
    """

    kind: str
    who: int = 0
    what: int = 0
    amount: int = 0
    moves: int = 0
    order: int = 0


NOTHING = Step("nothing")


def client_of(world: World, step: Step) -> Client:
    """Whose step it is, where a client takes it."""
    return world.clients[step.who % len(world.clients)]


def one_of(found: list[T], number: int) -> T:
    """The one that the number stands for."""
    return found[number % len(found)]
