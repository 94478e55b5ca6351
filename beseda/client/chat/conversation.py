"""One conversation as its member sees it: messages in the server's order, cursors, who types. No I/O."""

from dataclasses import dataclass, field

from protocol.entities import Attachment, ConversationType, ConversationView, Member, Message
from protocol.entities import Conversation as Told

KEPT = 1_000
"""Messages of the open conversation that stay in memory, the newest."""

KEPT_ASIDE = 200
"""Messages of each other one."""

KEPT_BACK = 5_000
"""Messages up to which one can scroll back."""


@dataclass
class Outgoing:
    """A message on its way. `late`: composed, or sent again, without a connection; then it reads nothing.

    `refused` says why the server does not take it; `after` is the message behind which it then stays on the screen.
    """

    temp_id: str
    conversation_id: int
    text: str
    created_at: str
    attachments: list[Attachment] = field(default_factory=list)
    late: bool = False
    refused: str = ""
    after: int = 0


class Conversation:
    """A conversation, and what is loaded of it: `messages` has no gap, oldest first."""

    def __init__(self, told: Told) -> None:
        self.id = told["id"]
        self.type: ConversationType = told["type"]
        self.title = told["title"]
        self.members = told["members"]
        self.event_id = told["event_id"]
        self.unread = 0
        self.read_id = 0
        self.last: Message | None = None
        self.messages: list[Message] = []
        self.delivered: dict[int, int] = {}
        """For each other member, up to which message they were handed it."""
        self.read: dict[int, int] = {}
        """For each other member, up to which message they have read it; what is read is delivered."""
        self.typing: set[int] = set()
        self.is_loaded = False
        """Whether the newest page and the cursors are here. Live messages are kept before, too."""
        self.has_older = True

    @property
    def newest_id(self) -> int:
        """The newest message's id that is known, 0 if there is none."""
        return self.last["id"] if self.last else 0

    @property
    def may_load_older(self) -> bool:
        """Whether there is something to load before the oldest message, and room for it."""
        return self.is_loaded and self.has_older and len(self.messages) < KEPT_BACK

    def update(self, told: Told) -> None:
        """What an event tells of it: members, title."""
        self.title, self.members = told["title"], told["members"]
        self.event_id = max(self.event_id, told["event_id"])
        self.typing &= set(self.members)

    def view(self, view: ConversationView, me: int) -> None:
        """What REST tells of it: the caller's own view too."""
        self.update(view)
        self.unread, self.last = view["unread_count"], view["last_message"]
        self.read_id = max(self.read_id, view["read_id"])
        if view["type"] == "dialog":
            for peer in self.others(me):
                self.hand(peer, view.get("peer_delivered_id", 0))
                self.see(peer, view.get("peer_read_id", 0))

    def others(self, me: int) -> list[int]:
        """All members but oneself."""
        return [member for member in self.members if member != me]

    def cursors(self, members: list[Member]) -> None:
        """How far each member is."""
        for member in members:
            self.hand(member["user_id"], member["delivered_id"])
            self.see(member["user_id"], member["read_id"])

    def hand(self, user_id: int, message_id: int) -> None:
        """A member was handed all up to this message."""
        self.delivered[user_id] = max(self.delivered.get(user_id, 0), message_id)

    def see(self, user_id: int, message_id: int) -> None:
        """A member has read all up to this message."""
        self.read[user_id] = max(self.read.get(user_id, 0), message_id)
        self.hand(user_id, message_id)

    def take(self, message: Message) -> None:
        """A message, wherever its place is; one that is there already changes nothing."""
        at = len(self.messages)
        while at and self.messages[at - 1]["id"] > message["id"]:
            at -= 1
        if not (at and self.messages[at - 1]["id"] == message["id"]):
            self.messages.insert(at, message)
        if message["id"] > self.newest_id:
            self.last = message

    def load(self, page: list[Message], limit: int) -> None:
        """The newest page, newest first. What was held stays if the page reaches it, so that there is never a gap."""
        held = self.messages
        if held and page and page[-1]["id"] > held[-1]["id"]:
            held = []
        if len(page) < limit:
            self.has_older = False
        elif not held or page[-1]["id"] < held[0]["id"]:
            self.has_older = True
        self.messages = held
        for message in reversed(page):
            self.take(message)
        self.is_loaded = True

    def load_older(self, page: list[Message], limit: int) -> None:
        """The page before the oldest message, newest first."""
        self.messages[:0] = reversed(page)
        self.has_older = len(page) == limit

    def forget(self) -> None:
        """Let go of all messages: events were missed, and it is not worth catching up now."""
        self.messages.clear()
        self.is_loaded, self.has_older = False, True

    def trim(self, kept: int) -> None:
        """Keep only so many of the newest messages."""
        if len(self.messages) > kept:
            del self.messages[:-kept]
            self.has_older = True
