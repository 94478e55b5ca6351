"""What was committed, as it was committed: the truth that clients' logs are held against."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from protocol.events import ConversationChanged, Event, Fact, MessagePosted, UserUpdated

Frame = dict[str, Any]
FOREVER = 2**53


class History:
    """All events in the order of their commits, and who was a member of what when."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._messages: dict[int, MessagePosted] = {}
        self.by_temp_id: dict[tuple[int, str], list[MessagePosted]] = defaultdict(list)
        self._changes: dict[int, list[ConversationChanged]] = defaultdict(list)
        self._stays: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        """By user and conversation: from which event to before which it was a member."""

    @property
    def tip(self) -> int:
        """The latest event's id."""
        return self.events[-1].event_id if self.events else 0

    def record(self, facts: Sequence[Fact]) -> None:
        """A commit brought these."""
        for fact in facts:
            if not isinstance(fact, Event):
                continue
            assert fact.event_id > self.tip, f"{fact} was committed after event {self.tip}"
            self.events.append(fact)
            match fact:
                case MessagePosted():
                    self._messages[fact.event_id] = fact
                    if fact.temp_id is not None:
                        self.by_temp_id[fact.sender_id, fact.temp_id].append(fact)
                case ConversationChanged():
                    self._change(fact)

    def _change(self, fact: ConversationChanged) -> None:
        conversation_id = fact.conversation["id"]
        self._changes[conversation_id].append(fact)
        for user_id in fact.added:
            stays = self._stays[user_id, conversation_id]
            assert not stays or stays[-1][1] < FOREVER, "added twice"
            stays.append((fact.event_id, FOREVER))
        for user_id in fact.removed:
            joined, left = self._stays[user_id, conversation_id].pop()
            assert left == FOREVER, "removed twice"
            self._stays[user_id, conversation_id].append((joined, fact.event_id))

    # Who was where.

    def stays(self, user_id: int, conversation_id: int, *, by: int = FOREVER) -> list[tuple[int, int]]:
        """The user's times in a conversation, as they were known at event `by`."""
        known = self._stays.get((user_id, conversation_id), [])
        return [(joined, left if left <= by else FOREVER) for joined, left in known if joined <= by]

    def is_member(self, user_id: int, conversation_id: int, event_id: int) -> bool:
        """Whether the event found the user in the conversation, or brought it there."""
        return any(joined <= event_id < left for joined, left in self.stays(user_id, conversation_id))

    def members(self) -> set[tuple[int, int]]:
        """All members there are now, as `(user, conversation)`."""
        return {key for key, stays in self._stays.items() if stays[-1][1] == FOREVER}

    def conversations(self) -> Iterable[int]:
        """All there ever were."""
        return self._changes.keys()

    def are_contacts(self, one: int, other: int, *, since: int, by: int) -> bool:
        """Whether the two shared a conversation all the time from event `since` to event `by`."""
        return any(
            any(
                max(mine[0], theirs[0]) <= since and min(mine[1], theirs[1]) > by
                for mine in self.stays(one, conversation_id)
                for theirs in self.stays(other, conversation_id)
            )
            for conversation_id in self.conversations()
        )

    def concerns(self, user_id: int, event: Event) -> bool:
        """Whether the user was to hear of an event when it happened."""
        match event:
            case MessagePosted():
                return self.is_member(user_id, event.conversation_id, event.event_id)
            case ConversationChanged():
                conversation_id = event.conversation["id"]
                return user_id in event.removed or self.is_member(user_id, conversation_id, event.event_id)
        at = event.event_id
        return user_id == event.user_id or self.are_contacts(user_id, event.user_id, since=at, by=at)

    # What it looks like.

    def event(self, event_id: int) -> Event | None:
        """The event with this id."""
        return next((event for event in self.events if event.event_id == event_id), None)

    def message(self, message_id: int, user_id: int) -> Frame:
        """A message as a user sees it."""
        fact = self._messages[message_id]
        seen: Frame = {**fact.message}
        if fact.temp_id is not None and fact.sender_id == user_id:
            seen["temp_id"] = fact.temp_id
        return seen

    def conversation(self, conversation_id: int, event_id: int) -> Frame:
        """A conversation as it was when its latest event was this one."""
        changes = [fact for fact in self._changes[conversation_id] if fact.event_id <= event_id]
        return {**changes[-1].conversation, "event_id": event_id}

    def frame(self, event: Event, user_id: int, connection: int | None) -> Frame:
        """What one of the user's sockets is told of an event as it happens; `connection` is the socket's number."""
        event_id = event.event_id
        match event:
            case MessagePosted():
                message = self.message(event_id, user_id)
                if event.origin is not None and getattr(event.origin, "number", None) == connection:
                    head = {"type": "message_sent", "temp_id": event.temp_id, "event_id": event_id}
                    return {**head, "message": message}
                conversation_id = event.conversation_id
                head = {"type": "new_message", "event_id": event_id, "conversation_id": conversation_id}
                return {**head, "message": message}
            case UserUpdated():
                user = {"id": event.user_id, "username": event.username}
                return {"type": "user_updated", "event_id": event_id, "user": user}
        conversation_id = event.conversation["id"]
        if user_id in event.removed:
            return {"type": "conversation_removed", "event_id": event_id, "conversation_id": conversation_id}
        if user_id in event.added:
            return {
                "type": "conversation_created",
                "event_id": event_id,
                "conversation": {**event.conversation},
            }
        return {
            "type": "conversation_updated",
            "event_id": event_id,
            "conversation_id": conversation_id,
            "conversation": {**event.conversation},
        }
