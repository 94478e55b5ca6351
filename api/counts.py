"""What REST counts: plain numbers, so that counting costs nothing, and whoever watches the server reads them."""

from collections import Counter
from dataclasses import dataclass, field

from protocol.errors import Code


@dataclass(slots=True)
class Counts:
    """Since the start: answers by their status, refusals by their code, and successful logins."""

    answers: Counter[int] = field(default_factory=Counter)
    refusals: Counter[Code] = field(default_factory=Counter)
    logins: int = 0
