"""What a client holds, what it heard, and what it wants sent."""

from dataclasses import dataclass, field

from tests.simulation.history import Frame


@dataclass
class Held:
    """What the client holds of a conversation: its messages after event `since`, by id."""

    conversation: Frame
    since: int
    messages: dict[int, Frame] = field(default_factory=dict)


@dataclass
class Heard:
    """A frame as it came; `tip` is what was committed by then."""

    frame: Frame
    tip: int


@dataclass
class Visit:
    """One connection of a client's: the server's number for it, where it resumed, and all that it was told."""

    number: int
    since: int | None
    frames: list[Heard] = field(default_factory=list)


@dataclass
class Draft:
    """What the client wants sent, until it is answered; the temp_id is for good."""

    conversation_id: int
    text: str
    is_open: bool = True
