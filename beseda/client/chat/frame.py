"""What stands around the open conversation: the list, the heading, the status, an empty screen. Pure."""

from collections.abc import Sequence
from datetime import datetime

from beseda.client.chat.conversation import Conversation
from beseda.client.chat.model import Model
from beseda.client.chat.text import cut, one_line, pad, width, wrap
from beseda.client.chat.thread import day, local
from beseda.client.chat.view import Fragments, View

NO_LIST = 64
"""Columns of the screen below which the list has no place."""

EMPTY = (
    "No conversation yet.",
    "",
    "/dm NAME              talk with someone",
    "/who A                find people whose names begin with A",
    '/group "TITLE" NAME…  talk with several',
    "/help                 all commands and keys",
    "",
    "Whoever talks to you shows up here by itself.",
)

CHOOSE = ("Choose a conversation: Ctrl-N, Alt-1 … Alt-0 or /open NAME.",)

SILENT = ("No message yet: type the first one below.",)


def list_width(columns: int) -> int:
    """Columns for the list of conversations on a screen so wide; 0 for none."""
    return 0 if columns < NO_LIST else 20 if columns < 100 else 30


def conversations(model: Model, columns: int, height: int) -> list[Fragments]:
    """The list, scrolled so that the open conversation is in it."""
    listed = model.listed()
    at = next((place for place, each in enumerate(listed) if each.id == model.open_id), 0)
    first = max(0, min(at - height // 2, len(listed) - height))
    shown = listed[first : first + height]
    return [_listed(model, each, first + place + 1, columns) for place, each in enumerate(shown)]


def _listed(model: Model, conversation: Conversation, number: int, columns: int) -> Fragments:
    peer = model.peer(conversation)
    is_online = peer is not None and peer in model.people and model.people[peer].online
    is_open = conversation.id == model.open_id
    count = "" if not conversation.unread or is_open else f" {min(conversation.unread, 999)}"
    sign = "●" if is_online else "#" if peer is None else "·"
    room = columns - 6 - len(count)
    style = "class:open" if is_open else "class:unread" if count else ""
    return [
        (style, f"{number:>2} "),
        (f"{style} {'class:online' if is_online else 'class:faint'}", sign),
        (style, " " + pad(model.title(conversation), room)),
        (f"{style} class:count", count),
        (style, " "),
    ]


def heading(model: Model, view: View, columns: int, now: datetime) -> Fragments:
    """The open conversation's name, and who of it is there."""
    conversation = model.open
    if conversation is None:
        return [("class:bar", pad(" Beseda", columns))]
    facts = whereabouts(model, view, conversation, now)
    title = " " + cut(model.title(conversation), max(columns - width(facts) - 4, 12))
    return [("class:bar bold", title), ("class:bar", pad("  " + facts, max(columns - width(title), 0)))]


def whereabouts(model: Model, view: View, conversation: Conversation, now: datetime) -> str:
    """Who of a conversation is online, or was last seen when."""
    if view.link != "online":
        return ""
    if (peer := model.peer(conversation)) is not None:
        person = model.people.get(peer)
        if person is None or person.online:
            return "online" if person else ""
        if person.last_seen_at is None:
            return "offline"
        seen = local(person.last_seen_at, now)
        return f"last seen {day(seen, now).lower() if seen.date() == now.date() else day(seen, now)} {seen:%H:%M}"
    there = [
        each for each in conversation.others(model.me) if each in model.people and model.people[each].online
    ]
    count = len(conversation.members)
    return f"{count} member{'s' * (count != 1)}" + (f", {len(there)} online" if there else "")


def status(model: Model, view: View, columns: int) -> Fragments:
    """The connection, who types, how much is unread elsewhere; oneself and the server at the right."""
    style, link = {
        "online": ("class:bar", "● online"),
        "connecting": ("class:bar", "○ connecting …"),
        "lost": ("class:lost", "○ NO CONNECTION, trying again"),
    }[view.link]
    parts = [link]
    if waiting := sum(each.late for each in model.unsent()):
        parts.append(f"{waiting} waiting to be sent")
    if typists := typing(model):
        parts.append(typists)
    if below := view.new_below(model):
        parts.append(f"↓ {below} new below")
    elif view.position is not None:
        parts.append("↓ scrolled back (Esc: to the end)")
    if unread := model.unread_elsewhere():
        parts.append(f"{unread} unread elsewhere")
    right = f"{one_line(model.username)} at {view.server.partition('://')[2]} "
    left = " " + " │ ".join(parts)
    if width(left) + width(right) + 1 > columns:
        right = f"{one_line(model.username)} "
    left = pad(left, max(columns - width(right), 0))
    return [(style, cut(left + right, columns))]


def typing(model: Model) -> str:
    """Who types in the open conversation."""
    names = [cut(model.name(each), 20) for each in sorted(model.open.typing)] if model.open else []
    if not names:
        return ""
    if len(names) > 2:
        return f"{len(names)} people are typing …"
    return " and ".join(names) + (" is typing …" if len(names) == 1 else " are typing …")


def hints(model: Model, view: View, columns: int, height: int) -> list[Fragments]:
    """What to do where there is nothing to show."""
    if view.link == "connecting" or (model.open and not model.open.is_loaded):
        return []
    lines = SILENT if model.open else CHOOSE if model.conversations else EMPTY
    room = max(map(width, lines))
    left = " " * max((columns - room) // 2, 1)
    top: list[Fragments] = [[] for _ in range(max((height - len(lines)) // 2, 0))]
    return [*top, *([("", left + cut(line, columns - 1))] for line in lines)]


def overlay(title: str, lines: Sequence[str], columns: int, height: int) -> list[Fragments]:
    """What a command found, instead of the conversation."""
    shown = [cut(line, columns - 2) for line in lines]
    if len(shown) > height - 2:
        shown = [*shown[: height - 3], f"… and {len(shown) - height + 3} more"]
    head: Fragments = [("bold", f" {cut(title, columns - 16)}"), ("class:faint", "   Esc closes")]
    return [head, [], *([("", " " + line)] for line in shown)]


def notices(view: View, columns: int) -> list[Fragments]:
    """What there is to tell: files that travel, and how the last thing went."""
    found: list[Fragments] = [
        [("class:faint", " " + cut(each, columns - 2))] for each in view.transfers.values()
    ]
    style = "class:error" if view.is_error else ""
    lines = {view.trouble: "class:error", view.notice: style}
    return found + [[(lines[line], " " + row)] for line in lines if line for row in wrap(line, columns - 2)]
