"""Whatever happens, every client has each event that concerns it once, in order, and none that does not."""

import itertools
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.simulation.check import check
from tests.simulation.plants import PLANTS
from tests.simulation.step import NOTHING, Step
from tests.simulation.steps import steps, take
from tests.simulation.world import World

EXAMPLES = int(os.environ.get("BESEDA_TEST_SIMULATION", "0"))
AT_ONCE = 200
LENGTH = 60

runs = st.lists(steps, min_size=LENGTH, max_size=LENGTH)
"""Of one length, for hypothesis would make most of them short. What is not needed shrinks to `NOTHING`."""


def replay(folder: Path, run: Sequence[Step]) -> World:
    """Run steps in a new world, let everybody come back, and check all that they were told."""
    with World(folder) as world:
        for step in run:
            take(world, step)
        world.finish()
        check(world)
        return world


def search(folder: Path, examples: int, phases: Sequence[Phase], seen: Callable[[World], None]) -> None:
    """Look for a run that fails, among so many; `seen` is shown those that do not."""
    numbers = itertools.count()

    @settings(
        max_examples=examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        phases=phases,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(runs)
    def simulate(run: list[Step]) -> None:
        note("".join(f"\n    {step}," for step in run if step != NOTHING))
        seen(replay(folder / f"{next(numbers)}", run))

    simulate()


@pytest.mark.parametrize("part", range(1, 1 + max(1, EXAMPLES // AT_ONCE)))
def test_whatever_happens_nothing_is_lost_doubled_out_of_order_or_anothers(tmp_path: Path, part: int) -> None:
    counts: Counter[str] = Counter()
    examples = min(EXAMPLES, AT_ONCE) or 60
    search(tmp_path, examples, [Phase.generate, Phase.shrink], lambda world: counts.update(_met(world)))
    never = {name for name in MET if not counts[name]}
    assert not never, f"never met: {never} ({counts})"


MET = {
    "resumed", "resync", "message_sent", "new_message", "conversation_removed", "conversation_updated", "user_updated",
    "acknowledged again", "replayed what was committed meanwhile", "read too slowly", "killed after a commit",
}  # fmt: skip


def _met(world: World) -> Counter[str]:
    """What a run has met with."""
    counts: Counter[str] = Counter({"killed after a commit": world.lost_answers})
    for client in world.clients:
        counts["read too slowly"] += client.ends.count(4008)
        for visit in client.visits:
            frames = [heard.frame for heard in visit.frames]
            kinds = [frame["type"] for frame in frames]
            counts.update(kinds)
            counts["acknowledged again"] += sum(
                frame["type"] == "message_sent" and "event_id" not in frame for frame in frames
            )
            if "resumed" in kinds:
                replayed = frames[1 : kinds.index("resumed")]
                late = (frame.get("event_id", 0) > frames[0]["event_id"] for frame in replayed)
                counts["replayed what was committed meanwhile"] += any(late)
    return counts


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_found(tmp_path: Path, plant: str) -> None:
    planted, sign = PLANTS[plant]
    with planted(), pytest.raises(AssertionError, match=sign):
        search(tmp_path, 200, [Phase.generate], lambda world: None)


def test_the_same_steps_are_the_same_run(tmp_path: Path) -> None:
    told: list[Any] = []

    def twice(world: World) -> None:
        told.append([[visit.frames for visit in client.visits] for client in world.clients])

    for name in ("one", "two"):
        search(tmp_path / name, 5, [Phase.generate], twice)
    half = len(told) // 2
    assert half >= 5
    assert told[:half] == told[half:]
