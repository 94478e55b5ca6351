"""Loading anew over REST, for a client without a cursor or after `resync` (docs/protocol.md, Loading anew)."""

from collections.abc import Callable, Generator
from typing import Any

from actions import conversations, messages
from actions.actor import Actor
from actions.rules import Rules
from protocol.commands import ConversationPage, HistoryPage
from protocol.errors import Refused
from storage import Snapshot
from tests.simulation.history import Frame

Query = Callable[[Snapshot, Rules, Actor], Any]
Steps = Generator[Query, Any, None]

CHATS_AT_ONCE = 2
MESSAGES_AT_ONCE = 3
"""Small, so that others come between the pages."""


class Loading:
    """Loads what moved after event `cursor`. `held` has for each conversation the last message that is there already.

    REST is asked query by query: `query` is the next, None when all is there.
    """

    def __init__(self, cursor: int, held: dict[int, int]) -> None:
        self.conversations: dict[int, Frame] = {}
        self.messages: dict[int, dict[int, Frame]] = {}
        self.left: set[int] = set()
        self._held = held
        self._steps = self._run(cursor)
        self.query: Query | None = next(self._steps)

    def take(self, result: Any, refusal: Refused | None) -> None:
        """The answer to `query`."""
        assert refusal is None or refusal.code == "not_found", refusal
        try:
            self.query = self._steps.send(None if refusal else result)
        except StopIteration:
            self.query = None

    def _run(self, cursor: int) -> Steps:
        top = cursor
        while True:
            moved, new_top = yield from self._list(top)
            for conversation in moved:
                yield from self._load(conversation)
            if not moved:
                break
            # One may have moved to the top before its page came: then it is there now.
            top = new_top
        for conversation_id in self._held.keys() - self.conversations.keys():
            found = yield lambda view, rules, actor, at=conversation_id: conversations.get(
                view, rules, actor, at
            )  # type: ignore[misc]
            if found is None:
                self.left.add(conversation_id)

    def _list(self, cursor: int) -> Generator[Query, Any, tuple[list[Frame], int]]:
        """The conversations that moved after `cursor`, and the latest event of the first."""
        moved: list[Frame] = []
        before: int | None = None
        while True:
            page = ConversationPage(limit=CHATS_AT_ONCE, before=before)
            listed = yield lambda view, rules, actor, page=page: conversations.listed(
                view, rules, actor, page
            )  # type: ignore[misc]
            fresh = [view for view in listed if view["event_id"] > cursor]
            moved += fresh
            if not listed or len(fresh) < len(listed):
                return moved, moved[0]["event_id"] if moved else cursor
            before = listed[-1]["event_id"]

    def _load(self, view: Frame) -> Steps:
        """The conversation, and its messages after those that are there."""
        conversation_id = view["id"]
        here = self.messages.setdefault(conversation_id, {})
        while True:
            after = max(here, default=self._held.get(conversation_id, 0))
            page = HistoryPage(limit=MESSAGES_AT_ONCE, after_id=after)
            found = yield lambda view, rules, actor, at=conversation_id, page=page: messages.history(  # type: ignore[misc]
                view, rules, actor, at, page
            )
            if found is None:
                self.left.add(conversation_id)
                return
            if not found[0]:
                break
            here.update({message["id"]: message for message in found[0]})
        self.conversations[conversation_id] = as_told(view)


def as_told(view: Frame) -> Frame:
    """A conversation as events tell it: without what is the caller's own view."""
    names = ("id", "type", "title", "members", "created_at", "created_by", "event_id")
    return {name: view[name] for name in names}
