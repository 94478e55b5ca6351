"""Holds what clients were told, and what the database has, against the history."""

from typing import Any

from actions import conversations, messages
from protocol.commands import ConversationPage, HistoryPage
from protocol.events import ConversationChanged, Event, MessagePosted, UserUpdated
from storage import Snapshot
from tests.simulation.client import Client
from tests.simulation.history import FOREVER, Frame, History
from tests.simulation.loading import as_told
from tests.simulation.records import Visit
from tests.simulation.world import World

EVENTS = {
    "message_sent",
    "new_message",
    "conversation_created",
    "conversation_updated",
    "conversation_removed",
    "user_updated",
}
PRESENCE = {"hello", "online_status", "error"}


def check(world: World) -> None:
    """Raise AssertionError where anything is not as docs/protocol.md has it. The world must have finished."""
    view = Snapshot(world.server.threads[1].db, 0)
    _check_database(world.history, view)
    for client in world.clients:
        _check_acks(world.history, client)
        for number, visit in enumerate(client.visits, 1):
            Told(world.history, client, visit).check(is_last=number == len(client.visits))
        _check_state(world, client, view)


def _check_database(history: History, view: Snapshot) -> None:
    stored = view.rows("SELECT id, conversation_id, sender_id, temp_id, text FROM messages ORDER BY id")
    told = [event for event in history.events if not isinstance(event, ConversationChanged | UserUpdated)]
    assert stored == [
        (fact.event_id, fact.conversation_id, fact.sender_id, fact.temp_id, fact.message["text"])
        for fact in told
    ], "the messages stored are not those committed"
    for conversation_id in history.conversations():
        rows = view.rows("SELECT seq FROM messages WHERE conversation_id = ? ORDER BY id", conversation_id)
        assert [seq for (seq,) in rows] == list(range(1, len(rows) + 1)), f"seq in {conversation_id}: {rows}"
    members = set(view.rows("SELECT user_id, conversation_id FROM members"))
    assert members == history.members(), "the members stored are not those committed"
    for key, facts in history.by_temp_id.items():
        assert len(facts) == 1, f"{key} was stored {len(facts)} times"


def _check_acks(history: History, client: Client) -> None:
    acks = [
        (heard.frame["temp_id"], heard.frame["message"], heard.tip)
        for visit in client.visits
        for heard in visit.frames
        if heard.frame["type"] == "message_sent"
    ]
    for temp_id, message, tip in [*acks, *((*post, FOREVER) for post in client.posts)]:
        draft, facts = client.drafts[temp_id], history.by_temp_id[client.actor.user_id, temp_id]
        assert facts, f"{temp_id} was acknowledged and is not stored"
        assert facts[0].event_id <= tip, f"{temp_id} was acknowledged before it was committed"
        assert message == history.message(facts[0].event_id, client.actor.user_id)
        assert (message["conversation_id"], message["text"]) == (draft.conversation_id, draft.text)


def _check_state(world: World, client: Client, view: Snapshot) -> None:
    """What the client holds is what REST would tell it now."""
    rules, actor = world.server.rules, client.actor
    listed = conversations.listed(view, rules, actor, ConversationPage(limit=200))
    assert sorted(client.held) == sorted(found["id"] for found in listed), f"{client.name}'s conversations"
    for found in listed:
        held = client.held[found["id"]]
        stored, _ = messages.history(view, rules, actor, found["id"], HistoryPage(limit=200))
        wanted = {message["id"]: message for message in stored if message["id"] > held.since}
        have = {number: message for number, message in held.messages.items() if number > held.since}
        assert have == wanted, (
            f"{client.name}'s messages of {found['id']}: {sorted(have)}, not {sorted(wanted)}"
        )
        latest = max([held.conversation["event_id"], *held.messages])
        assert {**held.conversation, "event_id": latest} == as_told({**found}), (
            f"{client.name}'s {found['id']}"
        )


class Told:
    """All that one connection was told, frame by frame: a replay if it resumed, then the live traffic."""

    def __init__(self, history: History, client: Client, visit: Visit) -> None:
        self._history = history
        self._user_id = client.actor.user_id
        self._visit = visit
        self._where = f"{client.name}, connection {visit.number} since {visit.since}"
        self._cursor = visit.since or 0
        self._seen: set[int] = set()
        self._gone: set[int] = set()
        self._pending: list[Event] | None = None
        """In the live traffic: what must come next, oldest first."""

    def check(self, *, is_last: bool) -> None:
        """Check every frame; of the client's last connection also that nothing is missing at its end."""
        frames = self._visit.frames
        for place, heard in enumerate(frames):
            assert (heard.frame["type"] == "hello") == (place == 0), f"{self._where}: {heard.frame}"
            self._check(heard.frame, heard.tip)
        if is_last:
            assert self._pending == [], f"{self._where} was never told {self._pending}"
        elif self._pending is None and frames:
            self._check_owed(self._cursor, frames[-1].tip)

    def _check(self, frame: Frame, tip: int) -> None:
        kind = frame["type"]
        event_id: Any = frame.get("event_id")
        match kind:
            case "hello":
                assert (frame["user_id"], frame["log"]) == (self._user_id, "simulated")
                if self._visit.since is None:
                    self._go_live(event_id)
            case "resync":
                assert self._pending is None, f"{self._where}: resync in the live traffic"
                self._go_live(event_id)
            case "resumed":
                assert self._pending is None, f"{self._where}: resumed twice"
                assert event_id >= self._cursor, f"{self._where}: resumed at {event_id}, after {self._cursor}"
                self._check_owed(event_id, event_id)
                self._go_live(event_id)
            case _ if kind in EVENTS and event_id is not None:
                self._check_event(frame, event_id, tip)
            case _ if kind == "message_sent":
                if self._pending is not None:
                    self._check_is_not_gone(frame, frame["message"]["conversation_id"])
            case _:
                assert kind not in EVENTS, f"{self._where}: no event_id in {frame}"
                if kind not in PRESENCE:
                    self._check_is_not_gone(frame, frame["conversation_id"])
                if kind == "unread":
                    self._check_count(frame)

    def _check_event(self, frame: Frame, event_id: int, tip: int) -> None:
        assert event_id <= tip, f"{self._where} was told {event_id} before it was committed"
        assert event_id > self._cursor, f"{self._where} was told {event_id} after {self._cursor}"
        if self._pending is None:
            self._check_replayed(frame, event_id, tip)
        else:
            assert self._pending, f"{self._where} was told what is not for it: {frame}"
            event = self._pending.pop(0)
            wanted = self._history.frame(event, self._user_id, self._visit.number)
            assert _essence(frame) == wanted, f"{self._where} was told {frame}, not {wanted}"
        self._cursor = event_id
        self._seen.add(event_id)
        conversation_id = frame.get("conversation_id") or frame.get("conversation", {}).get("id")
        if frame["type"] == "conversation_removed":
            self._gone.add(conversation_id)
        elif frame["type"] == "conversation_created":
            self._gone.discard(conversation_id)
        self._check_is_not_gone(frame, None if frame["type"] == "conversation_removed" else conversation_id)

    def _check_replayed(self, frame: Frame, event_id: int, tip: int) -> None:
        event = self._history.event(event_id)
        assert event is not None, f"{self._where}: there is no event {event_id}"
        # Over whichever connection it was sent: a replay tells it as new.
        wanted = self._history.frame(event, self._user_id, None)
        is_theirs = self._history.concerns(self._user_id, event) or isinstance(event, UserUpdated)
        assert is_theirs, f"{self._where} was replayed what is not for it: {frame}"
        if "conversation" in frame:
            present: int = frame["conversation"]["event_id"]
            assert event_id <= present <= tip, f"{self._where}: {frame}"
            wanted["conversation"] = self._history.conversation(frame["conversation"]["id"], present)
        assert _essence(frame) == wanted, f"{self._where} was replayed {frame}, not {wanted}"

    def _check_owed(self, up_to: int, by: int) -> None:
        """The replay has told all up to an event that was not made idle by what followed, up to the event `by`."""
        for event in self._history.events:
            if (self._visit.since or 0) < event.event_id <= up_to and self._is_owed(event, by):
                assert event.event_id in self._seen, f"{self._where} was not replayed {event}"

    def _is_owed(self, event: Event, by: int) -> bool:
        if not self._history.concerns(self._user_id, event):
            return False
        if isinstance(event, UserUpdated):
            return self._is_name_owed(event, by)
        conversation_id = (
            event.conversation["id"] if isinstance(event, ConversationChanged) else event.conversation_id
        )
        joined, left = self._history.stays(self._user_id, conversation_id, by=by)[-1]
        return event.event_id >= joined if left == FOREVER else event.event_id == left

    def _is_name_owed(self, event: UserUpdated, by: int) -> bool:
        later = (
            other
            for other in self._history.events
            if isinstance(other, UserUpdated) and other.user_id == event.user_id
        )
        if any(event.event_id < other.event_id <= by for other in later):
            return False
        return event.user_id == self._user_id or self._history.are_contacts(
            self._user_id, event.user_id, since=event.event_id, by=by
        )

    def _go_live(self, event_id: int) -> None:
        self._cursor = event_id
        self._pending = [
            event
            for event in self._history.events
            if event.event_id > event_id and self._history.concerns(self._user_id, event)
        ]

    def _check_count(self, frame: Frame) -> None:
        """The count is of this very place in the order: all before it was told, nothing after it is counted."""
        unread = [
            event.event_id
            for event in self._history.events
            if isinstance(event, MessagePosted)
            and event.conversation_id == frame["conversation_id"]
            and event.sender_id != self._user_id
            and frame["message_id"] < event.event_id <= self._cursor
        ]
        assert frame["unread_count"] == len(unread), (
            f"{self._where} was told {frame}, and {unread} are unread"
        )

    def _check_is_not_gone(self, frame: Frame, conversation_id: int | None) -> None:
        assert conversation_id not in self._gone, f"{self._where} was told of what it has left: {frame}"


def _essence(frame: Frame) -> dict[str, Any]:
    """A frame without what says who is online."""
    if frame["type"] == "user_updated":
        return {**frame, "user": {name: frame["user"][name] for name in ("id", "username")}}
    return frame
