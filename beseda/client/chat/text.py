"""Text from others, made fit for a terminal: it is data, and never a command to the screen."""

import re
import sys
import unicodedata
from functools import lru_cache

from prompt_toolkit.utils import get_cwidth

MAX_MARKS = 4
"""Combining marks on one character: more of them climb over the rows above."""

_ZWJ = "\u200d"
_REPLACEMENT = "\ufffd"


def _table() -> dict[int, str | None]:
    controls = [*range(0x20), *range(0x7F, 0xA0)]
    # They reorder what stands beside them: a name or a file could read as another one.
    directions = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C]
    # Terminals disagree about their widths, or show nothing: variation selectors, skin tones, tags, soft hyphens.
    unclear = [*range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400), *range(0xE0000, 0xE0200), 0xAD, 0xFEFF]
    fillers = [0x115F, 0x1160, 0x3164, 0xFFA0, *range(0xFFF9, 0xFFFC)]
    surrogates = range(0xD800, 0xE000)
    return {
        **dict.fromkeys([*controls, *surrogates], _REPLACEMENT),
        **dict.fromkeys([*directions, *unclear, *fillers], None),
        ord("\n"): "\n",
        ord("\t"): "    ",
        0x85: "\n",
        0x2028: "\n",
        0x2029: "\n",
    }


_TABLE = _table()


@lru_cache(4096)
def clean(text: str) -> str:
    """Text whose characters only show themselves: no control but the newline, no reordering, widths all agree on."""
    kept: list[str] = []
    marks = 0
    for char in text.replace("\r\n", "\n").translate(_TABLE):
        if char != "\n" and get_cwidth(char) == 0:
            marks += 1
            if marks > MAX_MARKS or not kept or (char == _ZWJ and unicodedata.category(kept[-1]) == "So"):
                continue
        else:
            marks = 0
        kept.append(char)
    return "".join(kept)


def one_line(text: str) -> str:
    """The same for names and titles: no newline either."""
    return " ".join(clean(text).split()) or "?"


def width(text: str) -> int:
    """Columns that a cleaned text takes."""
    return sum(map(get_cwidth, text))


def cut(text: str, room: int) -> str:
    """A line in at most `room` columns, with … where it was longer."""
    if width(text) <= room:
        return text
    kept, used = "", 1
    for char in text:
        used += get_cwidth(char)
        if used > room:
            break
        kept += char
    return kept + "…" if room > 0 else ""


def pad(text: str, room: int) -> str:
    """A line in exactly `room` columns."""
    text = cut(text, room)
    return text + " " * (room - width(text))


@lru_cache(8192)
def wrap(text: str, room: int) -> tuple[str, ...]:
    """A text in rows of at most `room` columns, broken between words where that is possible."""
    return tuple(row for line in clean(text).split("\n") for row in _wrap_line(line, max(room, 2)))


def _wrap_line(line: str, room: int) -> list[str]:
    rows: list[str] = []
    start = used = gap = 0
    for at, char in enumerate(line):
        columns = get_cwidth(char)
        if used + columns > room and char != " ":
            # A row of blanks alone would tell nothing: a long word after them is broken instead.
            end = gap if line[start:gap].strip() else at
            rows.append(line[start:end].rstrip(" "))
            start, used = end, width(line[end:at])
        used += columns
        if char == " ":
            gap = at + 1
        elif columns == 2:
            gap = at + 1 if used <= room else gap
    return [*rows, line[start:].rstrip(" ")]


def size(count: int) -> str:
    """A number of bytes, for people."""
    if count < 1024:
        return f"{count} B"
    kib = count / 1024
    return f"{kib:.0f} KiB" if kib < 1000 else f"{kib / 1024:.1f} MiB"


def bare_name(filename: str) -> str:
    """A name under which a file from someone else may be saved: no folder, nothing hidden, nothing that deceives."""
    name = re.split(r"[/\\]", " ".join(clean(filename).split()))[-1]
    name = re.sub(r'[<>:"|?*\ufffd]', "_", name).strip(". ")
    stem, dot, suffix = name.rpartition(".")
    # Most file systems take 255 bytes; a suffix that is longer is none.
    room = 200 - len(suffix.encode())
    if dot and stem and room > 100:
        name = stem.encode()[:room].decode(errors="ignore") + dot + suffix
    return name.encode()[:200].decode(errors="ignore") or "file"


def plain(text: str) -> str:
    """One line for standard error or output."""
    encoding = sys.stdout.encoding or "utf-8"
    return one_line(text).encode(encoding, "replace").decode(encoding)
