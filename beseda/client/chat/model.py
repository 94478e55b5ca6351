"""All that the chat knows, and how each frame from the server changes it. No I/O, no clock, no screen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from beseda.client.chat.conversation import KEPT_ASIDE, KEPT_BACK, Conversation, Outgoing
from beseda.client.chat.text import one_line
from protocol.entities import Conversation as Told
from protocol.entities import ConversationView, Message, User

Frame = Mapping[str, Any]


@dataclass
class Person:
    """A user, as far as one knows them."""

    username: str
    online: bool = False
    last_seen_at: str | None = None


class Model:
    """The account, its conversations, people, and the messages that are on their way."""

    def __init__(self, user_id: int, username: str) -> None:
        self.me = user_id
        self.username = username
        self.people: dict[int, Person] = {user_id: Person(username, online=True)}
        self.conversations: dict[int, Conversation] = {}
        self.open_id: int | None = None
        """The conversation that is on the screen."""
        self.outbox: dict[str, Outgoing] = {}
        """By `temp_id`, in the order of their composing; the refused ones too."""
        self._appliers = {
            "new_message": self._message,
            "message_sent": self._message,
            "conversation_created": self._created,
            "conversation_updated": self._updated,
            "conversation_removed": self._removed,
            "user_updated": self._user_updated,
            "delivered": self._delivered,
            "read": self._read,
            "unread": self._unread,
            "typing": self._typing,
            "typing_stop": self._typing_stop,
            "online_status": self._online_status,
        }

    # What is asked of it.

    def listed(self) -> list[Conversation]:
        """Its conversations, newest activity first."""
        return sorted(self.conversations.values(), key=lambda each: each.event_id, reverse=True)

    def name(self, user_id: int) -> str:
        """A user's name, fit for the screen."""
        person = self.people.get(user_id)
        return one_line(person.username) if person else f"user {user_id}"

    def peer(self, conversation: Conversation) -> int | None:
        """The other one of a dialog."""
        others = conversation.others(self.me)
        return others[0] if conversation.type == "dialog" and others else None

    def title(self, conversation: Conversation) -> str:
        """What a conversation is called, fit for the screen."""
        if (peer := self.peer(conversation)) is not None:
            return self.name(peer)
        if conversation.title:
            return one_line(conversation.title)
        others = conversation.others(self.me)
        names = ", ".join(map(self.name, others[:3])) + (", …" if len(others) > 3 else "")
        return names or "just you"

    @property
    def open(self) -> Conversation | None:
        """The conversation that is on the screen."""
        return self.conversations.get(self.open_id or 0)

    def unread_elsewhere(self) -> int:
        """Unread messages of all conversations but the open one."""
        return sum(each.unread for each in self.conversations.values() if each.id != self.open_id)

    def unsent(self) -> list[Outgoing]:
        """What is neither stored nor refused, in its order."""
        return [each for each in self.outbox.values() if not each.refused]

    def strangers(self) -> set[int]:
        """Those whose names the list of conversations needs and nobody has told yet."""
        needed: set[int] = set()
        for each in self.conversations.values():
            if not each.title:
                needed.update(each.others(self.me)[:3])
        return needed - self.people.keys()

    # What changes it.

    def meet(self, users: Iterable[User]) -> None:
        """These are people's names and whereabouts."""
        for user in users:
            self.people[user["id"]] = Person(user["username"], user["online"], user["last_seen_at"])

    def reload(self, views: Iterable[ConversationView]) -> None:
        """All conversations, as REST has them. Others are no more, and of these events may have been missed."""
        there: dict[int, Conversation] = {}
        for view in views:
            conversation = self.conversations.get(view["id"]) or Conversation(view)
            there[conversation.id] = conversation
            if conversation.id != self.open_id:
                conversation.forget()
            conversation.is_loaded = False
            conversation.typing.clear()
            conversation.view(view, self.me)
        self.conversations = there

    def part(self) -> None:
        """The connection is lost: nobody knows who types or is online, and what was not acknowledged is late."""
        for conversation in self.conversations.values():
            conversation.typing.clear()
        for user_id, person in self.people.items():
            person.online = person.online and user_id == self.me
        for outgoing in self.outbox.values():
            outgoing.late = True

    def resume(self) -> None:
        """All events that were missed have come, and the receipts of dialogs; those of groups are to be loaded."""
        for conversation in self.conversations.values():
            if conversation.type == "group":
                conversation.is_loaded = False

    def compose(self, outgoing: Outgoing) -> None:
        """A message is to be sent."""
        self.outbox[outgoing.temp_id] = outgoing

    def show(self, conversation_id: int | None) -> None:
        """Another conversation is on the screen: of the last one fewer messages stay in memory."""
        if self.open is not None and conversation_id != self.open_id:
            self.open.trim(KEPT_ASIDE)
        self.open_id = conversation_id

    def refuse(self, temp_id: str, why: str) -> None:
        """The server does not take it."""
        if (outgoing := self.outbox.get(temp_id)) is not None:
            conversation = self.conversations.get(outgoing.conversation_id)
            outgoing.refused, outgoing.after = why, conversation.newest_id if conversation else 0

    def apply(self, frame: Frame) -> None:
        """A frame from the server; of an unknown type, or about what is unknown, it changes nothing."""
        applier = self._appliers.get(frame["type"])
        if applier is not None:
            applier(frame)

    def _find(self, frame: Frame) -> Conversation | None:
        return self.conversations.get(frame["conversation_id"])

    def _message(self, frame: Frame) -> None:
        message: Message = frame["message"]
        outgoing = self.outbox.pop(message.get("temp_id", ""), None)
        conversation = self.conversations.get(message["conversation_id"])
        if conversation is None:
            return
        conversation.take(message)
        conversation.trim(KEPT_BACK if conversation.id == self.open_id else KEPT_ASIDE)
        conversation.typing.discard(message["sender_id"])
        # What was loaded over REST a moment ago counts it already.
        is_news = message["id"] > conversation.event_id
        conversation.event_id = max(conversation.event_id, message["id"])
        if message["sender_id"] != self.me:
            conversation.unread += is_news and message["id"] > conversation.read_id
        elif outgoing and not outgoing.late:
            self.mark_read(conversation, message["id"])

    def mark_read(self, conversation: Conversation, message_id: int) -> None:
        """All up to there is read, to the end."""
        conversation.read_id = max(conversation.read_id, message_id)
        conversation.unread = 0

    def _created(self, frame: Frame) -> None:
        told = _told(frame)
        known = self.conversations.get(told["id"])
        if known is None or known.event_id < frame["event_id"]:
            self.conversations[told["id"]] = Conversation(told)

    def _updated(self, frame: Frame) -> None:
        if (conversation := self._find(frame)) is not None and conversation.event_id < frame["event_id"]:
            conversation.update(_told(frame))

    def _removed(self, frame: Frame) -> None:
        if (conversation := self._find(frame)) is not None and conversation.event_id < frame["event_id"]:
            del self.conversations[conversation.id]

    def _user_updated(self, frame: Frame) -> None:
        user = frame["user"]
        if user["id"] in self.people:
            self.people[user["id"]].username = user["username"]
        if user["id"] == self.me:
            self.username = user["username"]

    def _delivered(self, frame: Frame) -> None:
        if (conversation := self._find(frame)) is not None:
            conversation.hand(frame["user_id"], frame["message_id"])

    def _read(self, frame: Frame) -> None:
        if (conversation := self._find(frame)) is not None:
            conversation.see(frame["user_id"], frame["message_id"])

    def _unread(self, frame: Frame) -> None:
        if (conversation := self._find(frame)) is not None and frame["message_id"] >= conversation.read_id:
            conversation.read_id, conversation.unread = frame["message_id"], frame["unread_count"]

    def _typing(self, frame: Frame) -> None:
        if (conversation := self._find(frame)) is not None:
            conversation.typing.add(frame["user_id"])

    def _typing_stop(self, frame: Frame) -> None:
        if (conversation := self._find(frame)) is not None:
            conversation.typing.discard(frame["user_id"])

    def _online_status(self, frame: Frame) -> None:
        person = self.people.get(frame["user_id"])
        if person is not None:
            person.online = frame["online"]
            if not frame["online"]:
                person.last_seen_at = frame.get("last_seen_at")


def _told(frame: Frame) -> Told:
    """A conversation as of its event: a replay tells it as it is now, and messages from before now are yet to come."""
    return cast(Told, {**frame["conversation"], "event_id": frame["event_id"]})
