"""What is on the screen besides the model: where one has scrolled to, notices, the connection. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from beseda.client.chat.conversation import KEPT, KEPT_BACK, Conversation
from beseda.client.chat.model import Model

Fragments = list[tuple[str, str]]
"""A row: styles and texts, as prompt_toolkit takes them."""

Link = Literal["connecting", "online", "lost"]


@dataclass(frozen=True)
class Row:
    """A row of the open conversation. `key` is its message: an id, or a `temp_id`."""

    key: int | str
    fragments: Fragments


@dataclass(frozen=True)
class Position:
    """Scrolled back: the lowest row that shows is this message's row of this number. `tip` was the newest message."""

    key: int | str
    row: int
    tip: int


@dataclass
class View:
    """The state of the screen."""

    server: str
    link: Link = "connecting"
    position: Position | None = None
    """None at the end, where new messages come in."""
    trouble: str = ""
    """Why there is no connection; empty if there is one, or if it was merely lost."""
    notice: str = ""
    """How the last thing that one did went. Nothing that happens by itself takes its place unread."""
    is_error: bool = False
    overlay: tuple[str, Sequence[str]] | None = None
    """A title, and rows: what a command found. Any key closes it."""
    transfers: dict[str, str] = field(default_factory=dict)
    """Files that travel, and how far they are."""
    is_loading: bool = False
    is_focused: bool = True
    """Whether the terminal's window has the focus, as far as it tells: nobody reads what lies behind other windows."""

    def tell(self, notice: str, *, error: bool = False) -> None:
        """Say something in a line; nothing, to take it back."""
        self.notice, self.is_error = notice, error

    def window(self, rows: list[Row], height: int) -> list[Row]:
        """Those of the conversation's rows that show."""
        end = self._end(rows)
        return rows[max(0, end - height) : max(end, min(height, len(rows)))]

    def scroll(self, rows: list[Row], height: int, by: int, newest_id: int) -> bool:
        """Go up by so many rows (down, if negative). Whether the top is reached, and older messages are wanted."""
        end = min(max(self._end(rows) - by, min(height, len(rows))), len(rows))
        if end == len(rows) and by <= 0:
            self.position = None
        elif rows and end < len(rows):
            key = rows[end - 1].key
            first = next(at for at, row in enumerate(rows) if row.key == key)
            tip = self.position.tip if self.position else newest_id
            self.position = Position(key, end - 1 - first, tip)
        return end - height <= 0

    def _end(self, rows: list[Row]) -> int:
        position = self.position
        if position is None:
            return len(rows)
        places = [at for at, row in enumerate(rows) if row.key == position.key]
        if not places:
            return len(rows)
        return min(places[0] + position.row, places[-1]) + 1

    def new_below(self, model: Model) -> int:
        """How many messages from others came in below while one has scrolled back."""
        if self.position is None or model.open is None:
            return 0
        tip = self.position.tip
        return sum(each["id"] > tip and each["sender_id"] != model.me for each in model.open.messages)

    def settle(self, model: Model) -> None:
        """After a change: at the end only so many messages stay in memory, and so it is where the place is gone."""
        if model.open is None:
            return
        key = self.position.key if self.position else None
        if key not in model.outbox and all(each["id"] != key for each in model.open.messages):
            self.position = None
        model.open.trim(KEPT if self.position is None else KEPT_BACK)

    def to_read(self, model: Model) -> tuple[Conversation, int] | None:
        """What is before one's eyes and not marked as read yet: the conversation and its newest message's id."""
        conversation = model.open
        if conversation is None or self.position or self.overlay:
            return None
        if self.link != "online" or not self.is_focused:
            return None
        if not conversation.is_loaded or not conversation.unread or not conversation.messages:
            return None
        return conversation, conversation.messages[-1]["id"]
