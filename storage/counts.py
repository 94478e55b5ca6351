"""What the store counts: plain numbers, so that counting costs nothing, and whoever watches the server reads them."""

from bisect import bisect_left
from dataclasses import dataclass, field

BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """How many values fell into which bucket: up to the first of the rising `bounds`, ..., past the last of them."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """One value more."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


@dataclass(slots=True)
class Counts:
    """Commits since the start: how many units of work each had, how many seconds it took, and those that failed."""

    units: Histogram = field(default_factory=lambda: Histogram(BATCHES))
    seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    failed: int = 0
