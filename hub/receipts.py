"""Delivered, proved and not hoped (docs/protocol.md section 6).

A pong answers the ping before it, and with it all that was handed to the socket before that ping. So a
connection notes what it hands over, pings when it may, and when the pong comes knows what arrived.
"""

import itertools

_payloads = itertools.count(1)


class Proof:
    """What one socket was handed and what it has proved: conversation → highest message id.

    At most one ping is under way; the next leaves no sooner than `interval` seconds after the last.
    """

    __slots__ = ("_last_ping_at", "_payload", "_under_way", "handed", "pinged_at")

    def __init__(self) -> None:
        self.handed: dict[int, int] = {}
        """Since the last ping. The hub writes here as it hands messages over."""
        self.pinged_at: float | None = None
        """When the ping left whose pong has not come yet."""
        self._last_ping_at = float("-inf")
        self._under_way: dict[int, int] = {}
        self._payload = b""

    def wait(self, now: float, interval: float) -> float | None:
        """In how many seconds a ping may prove what was handed over; None while another is under way."""
        if self.pinged_at is not None:
            return None
        return max(0.0, self._last_ping_at + interval - now)

    def ping(self, now: float) -> bytes:
        """The payload of a ping that leaves now, and will prove all handed over before."""
        self._under_way, self.handed = self.handed, {}
        self._payload = next(_payloads).to_bytes(8, "big")
        self.pinged_at = self._last_ping_at = now
        return self._payload

    def pong(self, payload: bytes) -> dict[int, int]:
        """What a pong proves. One that answers no ping of ours proves nothing."""
        if self.pinged_at is None or payload != self._payload:
            return {}
        proved, self._under_way = self._under_way, {}
        self.pinged_at = None
        return proved
