"""What may happen in a run, and how often."""

from collections.abc import Callable

from hypothesis import strategies as st

from tests.simulation import on_sockets, over_rest
from tests.simulation.step import Step
from tests.simulation.world import World


def take(world: World, step: Step) -> None:
    """Do a step, and let happen what it says."""
    _KINDS[step.kind][1](world, step)
    if step.moves >= FULL:
        world.rest()
    else:
        world.move(step.moves, step.order)


def _wait(world: World, step: Step) -> None:
    world.server.loop.advance(WAITS[step.amount % len(WAITS)])


def _crash(world: World, step: Step) -> None:
    world.restart()


def _stop(world: World, step: Step) -> None:
    world.stop()


def _nothing(world: World, step: Step) -> None:
    """Only let things happen."""


FULL = 12
"""So many moves stand for all there are."""

WAITS = (0.1, 0.6, 3.0, 10.0, 25.0)

_KINDS: dict[str, tuple[int, Callable[[World, Step], None]]] = {
    "nothing": (3, _nothing),
    "say": (12, on_sockets.say),
    "post": (8, over_rest.post),
    "connect": (7, on_sockets.connect),
    "cut": (4, on_sockets.cut),
    "come back": (8, on_sockets.come_back),
    "make": (3, over_rest.make),
    "add": (4, over_rest.add),
    "remove": (6, over_rest.remove),
    "title": (2, over_rest.title),
    "rename": (2, over_rest.rename),
    "promote": (1, over_rest.promote),
    "repeat": (2, on_sockets.repeat),
    "post draft": (2, over_rest.post_draft),
    "read": (2, on_sockets.read),
    "read elsewhere": (1, over_rest.read_elsewhere),
    "pace": (3, on_sockets.pace),
    "hang up": (1, on_sockets.hang_up),
    "forget": (1, on_sockets.forget),
    "wait": (2, _wait),
    "crash": (1, _crash),
    "stop": (1, _stop),
}

_numbers = st.integers(0, 31)
steps = st.builds(
    Step,
    kind=st.sampled_from([kind for kind, (weight, _) in _KINDS.items() for _ in range(weight)]),
    who=_numbers,
    what=_numbers,
    amount=_numbers,
    moves=st.sampled_from([0, 1, 2, 3, 4, 6, 8, FULL]),
    order=st.integers(0, 999),
)
