"""What the hub is told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """`sockets` in all and `sockets_per_user`, 0 for no limit; sizes in bytes, times in seconds.

    `origins` are those let in besides the server's own, `*` for any; `backlog_bytes` is what may wait unsent for
    one socket, `total_backlog_bytes` for all of them together, 0 for no limit; `live_members` is the most members
    with which a conversation has presence, typing and receipts.
    """

    origins: tuple[str, ...]
    public_url: str
    trusted_proxies: tuple[str, ...]
    sockets: int
    sockets_per_user: int
    frame_bytes: int
    backlog_bytes: int
    total_backlog_bytes: int
    live_members: int
    linger_seconds: float
    receipt_seconds: float
    ping_seconds: float = 20.0
    stuck_seconds: float = 30.0
    close_seconds: float = 2.0
