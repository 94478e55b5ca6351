"""Token buckets: how often something may be done. Pure, but for the clock that is handed in.

What is kept of a bucket is the moment at which it will be full again: an idle one need not be kept at all.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from protocol.errors import Refused

K = TypeVar("K", bound=Hashable)

MOST = 100_000
"""So many buckets are kept. Past that the one that was used longest ago is forgotten, and begins full."""

_EPSILON = 1e-6
"""Seconds: sums of fractions must not make the last of a burst one too many."""


class Buckets(Generic[K]):
    """A bucket for each key, which holds `burst` and is filled at `per_second`; no limit where either is 0.

    `setting` names the limit in refusals, `what` is there too much of. `clock` gives seconds, and is never set back.
    """

    def __init__(
        self, setting: str, what: str, per_second: float, burst: int, clock: Callable[[], float]
    ) -> None:
        self._detail = f"Too many {what} ({setting})."
        self._burst = burst
        self._is_limited = per_second > 0 and burst > 0
        self._seconds_each = 1 / per_second if self._is_limited else 0.0
        self._seconds_in_all = burst * self._seconds_each + _EPSILON
        self._clock = clock
        self._full_at: OrderedDict[K, float] = OrderedDict()
        """When each bucket will be full; the one that was used longest ago first."""

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: K, cost: int = 1) -> None:
        """Take so much from a bucket, never more than a whole one. Raises Refused `rate_limited`, and takes nothing."""
        if self._is_limited:
            now = self._clock()
            full_at = self._after(key, now, cost)
            if key in self._full_at:
                self._full_at.move_to_end(key)
            else:
                self._make_room(now)
            self._full_at[key] = full_at

    def require(self, key: K, cost: int = 1) -> None:
        """Take nothing; raise Refused `rate_limited` where so much could not be taken."""
        if self._is_limited:
            self._after(key, self._clock(), cost)

    def give_back(self, key: K) -> None:
        """What was taken for one was not used."""
        if key in self._full_at:
            self._full_at[key] -= self._seconds_each

    def refusal(self, wait: float) -> Refused:
        """What who has to wait for so many seconds is told."""
        return Refused("rate_limited", self._detail, retry_after=max(1, math.ceil(wait)))

    def _after(self, key: K, now: float, cost: int) -> float:
        """When the bucket will be full, if so much is taken from it now."""
        full_at = max(now, self._full_at.get(key, now)) + min(self._burst, cost) * self._seconds_each
        wait = full_at - now - self._seconds_in_all
        if wait > 0:
            raise self.refusal(wait)
        return full_at

    def _make_room(self, now: float) -> None:
        """Forget buckets that are full again; and where there are too many, one that is not."""
        while self._full_at and (
            len(self._full_at) >= MOST or self._full_at[next(iter(self._full_at))] <= now
        ):
            self._full_at.popitem(last=False)
