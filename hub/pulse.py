"""The pings of one socket: they prove what was delivered, and that there is still somebody (protocol.md section 6)."""

from collections.abc import Callable

from hub.receipts import Proof
from hub.settings import Settings
from hub.timers import Timer, Timers


class Pulse(Proof):
    """When pings leave. `send(payload)` sends one; `give_up()` is called where no pong came in time."""

    __slots__ = ("_deadline", "_give_up", "_later", "_send", "_settings", "_timers")

    def __init__(
        self, timers: Timers, settings: Settings, send: Callable[[bytes], None], give_up: Callable[[], None]
    ) -> None:
        super().__init__()
        self._timers = timers
        self._settings = settings
        self._send = send
        self._give_up = give_up
        self._later: Timer | None = None
        self._deadline: Timer | None = None

    def beat(self, now: float) -> None:
        """Something was handed over: ping if that may be now, otherwise when it may."""
        if self.pinged_at is not None or self._later is not None:
            return
        wait = self.wait(now, self._settings.receipt_seconds)
        if wait == 0.0:
            self._send(self.ping(now))
        elif wait is not None:
            self._later = self._timers.call_later(wait, self._beat_later)

    def tick(self, now: float) -> None:
        """Ping, or see to it that the last ping is answered in time. To be called every `ping_seconds`.

        So the ping that somebody fails to answer, whatever it left for, is under way at one of these ticks.
        """
        if self.pinged_at is None:
            self._send(self.ping(now))
        elif self._deadline is None:
            due = self.pinged_at + self._settings.ping_seconds
            self._deadline = self._timers.call_later(due - now, self._expire, self.pinged_at)

    def stop(self) -> None:
        """No more pings, and no pong is waited for."""
        for timer in (self._later, self._deadline):
            if timer is not None:
                timer.cancel()

    def let_go(self) -> None:
        """Forget whose pings they were; to be called last."""
        del self._send, self._give_up

    def _beat_later(self) -> None:
        self._later = None
        if self.handed:
            self.beat(self._timers.time())

    def _expire(self, pinged_at: float) -> None:
        self._deadline = None
        if self.pinged_at == pinged_at:
            self._give_up()
