"""Who is typing: told at most once in 3 s, over after 6 s without another start (docs/protocol.md section 6)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hub.timers import Timer, Timers

PACE_SECONDS = 3.0
EXPIRY_SECONDS = 6.0


@dataclass(slots=True)
class _Entry:
    """One user in one conversation. It outlives the typing it told of until another may be told."""

    source: object
    told_at: float
    is_shown: bool
    timer: Timer


class Typing:
    """Typing of all users. `tell(kind, conversation_id, user_id)` is called when the others should know."""

    def __init__(
        self, timers: Timers, tell: Callable[[Literal["typing", "typing_stop"], int, int], None]
    ) -> None:
        self._timers = timers
        self._tell = tell
        self._entries: dict[int, dict[int, _Entry]] = {}

    def start(self, user_id: int, conversation_id: int, source: object) -> None:
        """The user types there, on the socket `source`."""
        now = self._timers.time()
        entry = self._entries.get(user_id, {}).get(conversation_id)
        if entry is None:
            timer = self._timers.call_later(EXPIRY_SECONDS, self.stop, user_id, conversation_id)
            self._entries.setdefault(user_id, {})[conversation_id] = _Entry(source, now, True, timer)
            self._tell("typing", conversation_id, user_id)
            return
        may_tell = now - entry.told_at >= PACE_SECONDS
        if not entry.is_shown and not may_tell:
            return
        entry.source = source
        entry.timer.cancel()
        entry.timer = self._timers.call_later(EXPIRY_SECONDS, self.stop, user_id, conversation_id)
        entry.is_shown = True
        if may_tell:
            entry.told_at = now
            self._tell("typing", conversation_id, user_id)

    def stop(self, user_id: int, conversation_id: int) -> None:
        """The user types there no more; the others hear of it if they heard that it did."""
        entry = self._entries.get(user_id, {}).get(conversation_id)
        if entry is None or not entry.is_shown:
            return
        entry.is_shown = False
        entry.timer.cancel()
        rest = max(0.0, entry.told_at + PACE_SECONDS - self._timers.time())
        entry.timer = self._timers.call_later(rest, self._forget, user_id, conversation_id)
        self._tell("typing_stop", conversation_id, user_id)

    def stop_all(self, user_id: int, source: object) -> None:
        """A socket is gone, and with it all that was typed on it."""
        for conversation_id, entry in list(self._entries.get(user_id, {}).items()):
            if entry.source is source:
                self.stop(user_id, conversation_id)

    def _forget(self, user_id: int, conversation_id: int) -> None:
        entries = self._entries[user_id]
        del entries[conversation_id]
        if not entries:
            del self._entries[user_id]
