"""What the hub counts: plain numbers, so that counting costs nothing, and whoever watches the server reads them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from protocol.errors import Code

By = Literal["server", "client"]


@dataclass(slots=True)
class Counts:
    """Since the start.

    `deliveries`: messages handed to sockets of members that have not sent them. `replayed`: events of replays.
    `closed`: by whom sockets were, and with which code. `refusals` of frames, `turned_away` of upgrades.
    """

    messages: int = 0
    deliveries: int = 0
    opened: int = 0
    resumed: int = 0
    resyncs: int = 0
    replayed: int = 0
    closed: Counter[tuple[By, str]] = field(default_factory=Counter)
    refusals: Counter[Code] = field(default_factory=Counter)
    turned_away: Counter[Code] = field(default_factory=Counter)
