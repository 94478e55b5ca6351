"""What really happened, read from the database, and whether a client's log is that."""

import contextlib
import itertools
import sqlite3
from bisect import bisect_left
from collections import defaultdict
from pathlib import Path

from bench.reliability.follower import Change, Follower, Message

Members = frozenset[int]


class History:
    """The messages and changes of all conversations, once the server is idle.

    `memberships` are the members of each conversation after each of its changes, its creation first.
    """

    def __init__(self, data_dir: Path, memberships: dict[int, list[Members]]) -> None:
        uri = (data_dir / "beseda.db").absolute().as_uri() + "?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
            self.integrity: str = db.execute("PRAGMA integrity_check").fetchone()[0]
            self.messages: dict[int, dict[int, Message]] = defaultdict(dict)
            for row in db.execute(
                "SELECT id, conversation_id, seq, sender_id, text FROM messages ORDER BY id"
            ):
                self.messages[row[1]][row[0]] = Message(*row)
            self.joined: dict[int, dict[int, int]] = defaultdict(dict)
            for user, conversation, joined in db.execute(
                "SELECT user_id, conversation_id, joined_event_id FROM members"
            ):
                self.joined[user][conversation] = joined
            self.departed: dict[int, dict[int, int]] = defaultdict(dict)
            for user, conversation, event in db.execute(
                "SELECT user_id, conversation_id, event_id FROM departures"
            ):
                self.departed[user][conversation] = event
            changes: dict[int, list[int]] = defaultdict(list)
            for event, conversation in db.execute("SELECT id, conversation_id FROM events ORDER BY id"):
                changes[conversation].append(event)
        self.faults = [] if self.integrity == "ok" else [f"integrity_check: {self.integrity}"]
        self._changes = changes
        self._memberships = memberships
        for conversation, members in memberships.items():
            if len(members) != len(changes[conversation]):
                raise RuntimeError(
                    f"conversation {conversation} has {len(changes[conversation])} changes, not {len(members)}"
                )
        self._check_order()

    def last_for(self, user: int) -> int:
        """The latest event that the user is told of: at its end a client's cursor has come so far."""
        seen = [0, *self.departed[user].values()]
        for conversation in self.joined[user]:
            seen += [
                self._changes[conversation][-1],
                *itertools.islice(reversed(self.messages[conversation]), 1),
            ]
        return max(seen)

    def last_message(self) -> int:
        """The latest message of all."""
        return max(event for messages in self.messages.values() for event in messages)

    def compare(self, user: int, log: Follower) -> list[str]:
        """What is wrong with a user's log: each event once, in order, none lacking, none that was not theirs."""
        faults = list(log.faults)
        faults += [
            f"{log.name} was told {found}, which is not so" for found in log.told if not self._is_true(found)
        ]
        theirs = [(found.id, found.conversation_id) for found in log.told]
        theirs += [(found.event_id, found.conversation_id) for found in log.changes]
        faults += [
            f"{log.name} was told event {event} of conversation {conversation}: none of its business"
            for event, conversation in theirs
            if not self._concerned(user, event, conversation)
        ]
        for conversation, joined in self.joined[user].items():
            faults += self._compare_messages(log, conversation, joined)
            faults += self._compare_changes(log, conversation, joined)
        for conversation, event in self.departed[user].items():
            if conversation not in self.joined[user]:
                faults += self._compare_departure(log, conversation, event)
        for conversation in log.held.keys() - self.joined[user].keys():
            faults.append(f"{log.name} still holds conversation {conversation}")
        return faults

    def _check_order(self) -> None:
        for conversation, messages in self.messages.items():
            if [found.seq for found in messages.values()] != list(range(1, len(messages) + 1)):
                self.faults.append(f"seq of conversation {conversation} has gaps")

    def _is_true(self, found: Message) -> bool:
        return self.messages[found.conversation_id].get(found.id) == found

    def _concerned(self, user: int, event: int, conversation: int) -> bool:
        """Whether the user was a member just before the event, or is with it."""
        changes, memberships = self._changes[conversation], self._memberships[conversation]
        place = bisect_left(changes, event)
        before: Members = memberships[place - 1] if place else frozenset()
        if place < len(changes) and changes[place] == event:
            return user in before | memberships[place]
        return user in before

    def _compare_messages(self, log: Follower, conversation: int, joined: int) -> list[str]:
        if conversation not in log.held:
            return [f"{log.name} does not know of conversation {conversation}"]
        want, held = self.messages[conversation], log.held[conversation]
        due = {event: found for event, found in want.items() if event > joined}
        faults = [f"{log.name} lacks {due[event]}" for event in due.keys() - held.keys()]
        faults += [
            f"{log.name} holds {found}, which is not so"
            for found in held.values()
            if not self._is_true(found)
        ]
        return faults

    def _compare_changes(self, log: Follower, conversation: int, joined: int) -> list[str]:
        want = [
            Change(
                event,
                "conversation_created" if event == joined else "conversation_updated",
                conversation,
            )
            for event in self._changes[conversation]
            if event >= joined and not log.was_loaded(event)
        ]
        got = [
            found
            for found in log.changes
            if found.conversation_id == conversation and found.event_id >= joined
        ]
        return [] if got == want else [f"{log.name}: changes of {conversation} {got} instead of {want}"]

    def _compare_departure(self, log: Follower, conversation: int, event: int) -> list[str]:
        if log.was_loaded(event):
            return []
        got = [found for found in log.changes if found.conversation_id == conversation][-1:]
        want = [Change(event, "conversation_removed", conversation)]
        return [] if got == want else [f"{log.name}: {got} instead of {want}"]
