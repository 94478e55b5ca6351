"""Who acts."""

from dataclasses import dataclass

from protocol.events import Origin


@dataclass(frozen=True, slots=True)
class Actor:
    """A user in one of its sessions. `origin` is the socket it acts through; None over REST."""

    user_id: int
    session_id: int
    origin: Origin = None
