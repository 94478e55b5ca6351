"""The open conversation in rows: days, authors, messages with their ticks. Pure."""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache

from beseda.client.chat.conversation import Conversation, Outgoing
from beseda.client.chat.model import Model
from beseda.client.chat.text import cut, one_line, size, width, wrap
from beseda.client.chat.view import Fragments, Row
from protocol.entities import Attachment, Message

WIDEST = 100
"""Columns of text beyond which rows are hard to read."""

GUTTER = 7
"""Columns for the time."""

GROUPED = timedelta(minutes=10)
"""Messages of one author stand together while no more than this is between them."""

COLOURS = 5
"""How many styles for other people's names there are."""


Item = Message | Outgoing


def rows(
    model: Model,
    conversation: Conversation,
    columns: int,
    now: datetime,
    *,
    around: int | str | None = None,
    margin: int = sys.maxsize,
) -> list[Row]:
    """A conversation on a screen of so many columns; `now` tells the time zone, too.

    Of a long one only so many rows above and below the message `around` are made (None: above the end).
    """
    drawing = _Drawing(model, conversation, columns, now)
    items = _items(model, conversation)
    at = next((place for place, item in enumerate(items) if _key(item) == around), len(items) - 1)
    above: list[list[Row]] = []
    below: list[Row] = []
    place, made = at, 0
    while place >= 0 and made < margin:
        above.append(drawing.block(items[place], items[place - 1] if place else None))
        made += len(above[-1])
        place -= 1
    for place in range(at + 1, len(items)):
        if len(below) >= margin:
            break
        below += drawing.block(items[place], items[place - 1])
    return [row for block in reversed(above) for row in block] + below


class _Drawing:
    """Draws one message after the other for one screen."""

    def __init__(self, model: Model, conversation: Conversation, columns: int, now: datetime) -> None:
        self._model = model
        self._conversation = conversation
        self._columns = min(columns, WIDEST + GUTTER)
        self._room = max(min(columns - GUTTER - 1, WIDEST), 10)
        self._now = now
        own = (each["id"] for each in reversed(conversation.messages) if each["sender_id"] == model.me)
        self._last_own = next(own, 0)

    def block(self, item: Item, before: Item | None) -> list[Row]:
        """A message's rows, and what has to stand above it after the one before."""
        key, author, at = _key(item), self._author(item), self._at(item)
        last = self._at(before) if before else None
        rows: list[Fragments] = []
        is_new_day = last is None or last.date() != at.date()
        is_new_group = (
            is_new_day or (before and self._author(before) != author) or (last and at - last > GROUPED)
        )
        if is_new_day:
            rows += [[], _day(at, self._now, self._columns)]
        elif is_new_group:
            rows.append([])
        if is_new_group:
            rows.append(_author(self._model, author, self._room))
        minute = f"{at:%H:%M}"
        clock = "" if last and not is_new_group and f"{last:%H:%M}" == minute else minute
        tail = _tail(self._model, self._conversation, item, is_last=key == self._last_own)
        rows += _body(item, clock, tail, self._room)
        return [Row(key, fragments) for fragments in rows]

    def _author(self, item: Item) -> int:
        return item["sender_id"] if isinstance(item, dict) else self._model.me

    def _at(self, item: Item) -> datetime:
        return local(item["created_at"] if isinstance(item, dict) else item.created_at, self._now)


def _key(item: Item) -> int | str:
    return item["id"] if isinstance(item, dict) else item.temp_id


def _items(model: Model, conversation: Conversation) -> list[Item]:
    """Messages in the server's order, what was refused in its place, what is on its way at the end."""
    own = [each for each in model.outbox.values() if each.conversation_id == conversation.id]
    refused = sorted((each for each in own if each.refused), key=lambda each: each.after)
    items: list[Item] = []
    for message in conversation.messages:
        while refused and refused[0].after < message["id"]:
            items.append(refused.pop(0))
        items.append(message)
    return [*items, *refused, *(each for each in own if not each.refused)]


@lru_cache(4096)
def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def local(text: str, now: datetime) -> datetime:
    """The protocol's time in the time zone of `now`."""
    return _moment(text).astimezone(now.tzinfo)


def day(at: datetime, now: datetime) -> str:
    """A day, for people."""
    days = (now.date() - at.date()).days
    if days in (0, 1):
        return ("Today", "Yesterday")[days]
    return f"{at:%A}, {at.day} {at:%B}" + (f" {at.year}" if at.year != now.year else "")


def _day(at: datetime, now: datetime, columns: int) -> Fragments:
    text = f"── {day(at, now)} "
    return [("class:faint", text + "─" * (columns - width(text) - 1))]


def _author(model: Model, author: int, room: int) -> Fragments:
    if author == model.me:
        return [("", " " * GUTTER), ("class:me", "you")]
    return [("", " " * GUTTER), (f"class:name{author % COLOURS}", cut(model.name(author), room))]


def _body(item: Item, clock: str, tail: Fragments, room: int) -> Iterator[Fragments]:
    text = item["text"] if isinstance(item, dict) else item.text
    attachments = item["attachments"] if isinstance(item, dict) else item.attachments
    lines: list[Fragments] = [[("", row)] for row in wrap(text, room)] if text else []
    for each in attachments:
        lines += _attachment(each, room)
    used = sum(width(part) for _, part in lines[-1]) if lines else 0
    if not lines or used + 2 + sum(width(part) for _, part in tail) > room:
        lines.append(tail)
    elif tail:
        lines[-1] = [*lines[-1], ("", "  "), *tail]
    for at, line in enumerate(filter(None, lines)):
        yield [("class:faint", f"{clock if at == 0 else '':>5}  "), *line]
    if isinstance(item, Outgoing) and item.refused:
        for row in wrap("✗ Not sent: " + item.refused, room):
            yield [("", " " * GUTTER), ("class:error", row)]


def _attachment(attachment: Attachment, room: int) -> list[Fragments]:
    facts = f"{size(attachment['size'])}  /save {attachment['id']}"
    name = "▣ " + one_line(attachment["filename"])
    beside = room - width(facts) - 2
    if beside < 12:
        return [[("class:file", cut(name, room))], [("class:faint", cut(facts, room))]]
    return [[("class:file", cut(name, beside)), ("class:faint", "  " + facts)]]


def _tail(model: Model, conversation: Conversation, item: Item, *, is_last: bool) -> Fragments:
    """The ticks behind an own message; behind the last one in words, too."""
    if isinstance(item, Outgoing):
        return [] if item.refused else [("class:faint", "· waiting" if item.late else "· sending")]
    if item["sender_id"] != model.me:
        return []
    others = conversation.others(model.me)
    read = sum(conversation.read.get(each, 0) >= item["id"] for each in others)
    delivered = sum(conversation.delivered.get(each, 0) >= item["id"] for each in others)
    if others and read == len(others):
        return [("class:read", "✓✓ read" if is_last else "✓✓")]
    is_group = conversation.type == "group"
    words = f" read by {read} of {len(others)}" if is_group and read else ""
    if others and delivered == len(others):
        return [("class:faint", "✓✓" + (words or " delivered" if is_last else ""))]
    return [("class:faint", "✓" + (words or " sent" if is_last else ""))]
