"""What a client makes of the frames it gets: its log, kept by the rules of docs/protocol.md section 6."""

from typing import Any, NamedTuple

from bench.wire import Frame


class Message(NamedTuple):
    """A message as anyone sees it."""

    id: int
    conversation_id: int
    seq: int
    sender_id: int
    text: str


class Change(NamedTuple):
    """An event that is no message."""

    event_id: int
    kind: str
    conversation_id: int


def message(found: dict[str, Any]) -> Message:
    """A message out of JSON."""
    return Message(found["id"], found["conversation_id"], found["seq"], found["sender_id"], found["text"])


class Follower:
    """A client's log: what it was told, and what it holds of the conversations it is in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cursor = 0
        self.told: list[Message] = []
        """Every message that came with an `event_id`, in its order."""
        self.changes: list[Change] = []
        self.held: dict[int, dict[int, Message]] = {}
        """By conversation, while it is a member."""
        self.holes: list[tuple[int, int]] = []
        """Over which parts of the log it was not told, but loaded what there is: after the first, up to the second."""
        self.faults: list[str] = []

    def take(self, frame: Frame) -> None:
        """Apply one frame that may be an event."""
        kind, event_id = frame["type"], frame.get("event_id")
        if event_id is not None and kind != "hello":
            self._advance(event_id, frame)
        if kind in ("message_sent", "new_message"):
            found = message(frame["message"])
            if event_id is not None:
                self.told.append(found)
                if event_id != found.id:
                    self.faults.append(f"{self.name}: message {found.id} came as event {event_id}")
            self._hold(found)
        elif kind == "conversation_created":
            conversation_id = frame["conversation"]["id"]
            self.changes.append(Change(frame["event_id"], kind, conversation_id))
            self.held[conversation_id] = {}
        elif kind in ("conversation_updated", "conversation_removed"):
            self.changes.append(Change(frame["event_id"], kind, frame["conversation_id"]))
            if kind == "conversation_removed":
                self.held.pop(frame["conversation_id"], None)

    def load(self, up_to: int, loaded: dict[int, list[Message]]) -> None:
        """What REST told after a `resync`: of every conversation it is in, the messages after the cursor, or all."""
        self.holes.append((self.cursor, up_to))
        self.held = {conversation_id: self.held.get(conversation_id, {}) for conversation_id in loaded}
        for messages in loaded.values():
            for found in messages:
                self._hold(found)
        self.cursor = up_to

    def was_loaded(self, event_id: int) -> bool:
        """Whether the event lies where it was not told."""
        return any(after < event_id <= up_to for after, up_to in self.holes)

    def _advance(self, event_id: int, frame: Frame) -> None:
        # `resumed` comes at the last event's place, or later; all else moves on.
        if event_id < self.cursor or (event_id == self.cursor and frame["type"] != "resumed"):
            self.faults.append(f"{self.name}: {frame['type']} with event {event_id} after {self.cursor}")
        self.cursor = event_id

    def _hold(self, found: Message) -> None:
        # Its own ACK may arrive after it was removed: that message is nothing to hold.
        held = self.held.get(found.conversation_id)
        if held is not None and held.setdefault(found.id, found) != found:
            self.faults.append(f"{self.name}: {found} is not what it was: {held[found.id]}")
