"""When to tell the others that one types. The clock is an argument."""

from typing import Literal

REPEAT_SECONDS = 3.0
"""The protocol's own pace; it forgets a start after 6 s without another."""


class Typing:
    """Which conversation was told, and when."""

    def __init__(self) -> None:
        self._told: int | None = None
        self._at = 0.0

    def edit(
        self, now: float, conversation_id: int | None, text: str
    ) -> list[tuple[Literal["start", "stop"], int]]:
        """The input's text changed, or its conversation: what to tell, and whom. A command is no typing."""
        types = conversation_id is not None and text.strip() != "" and is_message(text)
        news: list[tuple[Literal["start", "stop"], int]] = []
        if self._told is not None and (not types or conversation_id != self._told):
            news.append(("stop", self._told))
            self._told = None
        if types and conversation_id is not None and (self._told is None or now - self._at >= REPEAT_SECONDS):
            news.append(("start", conversation_id))
            self._told, self._at = conversation_id, now
        return news

    def sent(self) -> None:
        """A message was sent, or the connection lost: the server has stopped it by itself."""
        self._told = None


def is_message(text: str) -> bool:
    """Whether the input is a message rather than a command: `//` begins a message with one slash."""
    return not text.startswith("/") or text.startswith("//")
