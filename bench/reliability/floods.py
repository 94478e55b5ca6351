"""What one user can flood the server with, as fast as it can; in a process of its own.

20 sockets, or 8 connections for REST. Whoever is closed comes back at once, and refusals stop nobody.
"""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from bench.rest import Rest
from bench.wire import PING, TEXT, Frame, Rejected, Wire, connect, masked

SOCKETS = 20
CONNECTIONS = 8
AT_ONCE = 50
"""Frames in one write."""

UNSENT_BYTES = 256 * 1024


@dataclass(frozen=True)
class Flooder:
    """Who floods, and what is in reach: a group with others, its own group and the people it can add, a message."""

    port: int
    token: str
    group: int
    own_group: int
    others: list[int]
    message: int
    name: str
    """Something new each time, so that nothing is a repeat."""


Batches = Iterator[bytes]


def _frames(make: Callable[[int], bytes]) -> Batches:
    return (
        b"".join(make(AT_ONCE * batch + place) for place in range(AT_ONCE)) for batch in itertools.count()
    )


def _text(frame: Frame | bytes) -> bytes:
    return masked(TEXT, frame if isinstance(frame, bytes) else orjson.dumps(frame))


def _message(who: Flooder, socket: int, number: int, text: str, *, is_repeat: bool = False) -> bytes:
    name = f"{who.name} {socket} {0 if is_repeat else number}"
    return _text(
        {
            "type": "send_message",
            "temp_id": name,
            "conversation_id": who.group,
            "text": text,
            "attachments": [],
        }
    )


def _simple(who: Flooder, kind: str, **more: int) -> bytes:
    return _text({"type": kind, "conversation_id": who.group, **more})


SOCKET_FLOODS: dict[str, Callable[[Flooder, int], Batches]] = {
    "messages": lambda who, at: _frames(lambda number: _message(who, at, number, "Hello")),
    "long messages": lambda who, at: _frames(lambda number: _message(who, at, number, "x" * 10_000)),
    "repeats": lambda who, at: _frames(lambda number: _message(who, at, number, "Again", is_repeat=True)),
    "reads": lambda who, _: _frames(lambda number: _simple(who, "read", message_id=who.message)),
    "typing": lambda who, _: _frames(
        lambda number: _simple(who, "typing_stop" if number % 2 else "typing_start")
    ),
    "bad frames": lambda who, _: _frames(lambda number: _text(b'{"type": ')),
    "unknown types": lambda who, _: _frames(lambda number: _text({"type": "dance"})),
    "strange conversations": lambda who, _: _frames(
        lambda number: _text({"type": "read", "conversation_id": 2**50, "message_id": 1})
    ),
    "pings": lambda who, _: _frames(lambda number: masked(PING, b"%8d" % number)),
}

Call = Callable[[Rest, int], Awaitable[int]]


def _call(method: str, path: str, body: object = None) -> Call:
    async def call(rest: Rest, number: int) -> int:
        return (await rest.call(method, path, body)).status

    return call


def _changing(who: Flooder) -> Call:
    """Add everyone to the own group, and take one out."""
    path = f"/chats/{who.own_group}/members"

    async def call(rest: Rest, number: int) -> int:
        one = who.others[number % len(who.others)]
        answer = await rest.call("DELETE", f"{path}/{one}")
        await rest.call("POST", path, {"members": who.others})
        return answer.status

    return call


def _uploading(who: Flooder) -> Call:
    """The same place again and again: it may be repeated until it is sent."""
    places: dict[int, str] = {}

    async def call(rest: Rest, number: int) -> int:
        if id(rest) not in places:
            body = {"filename": "a.bin", "content_type": "application/octet-stream"}
            answer = await rest.call("POST", "/attachments/presign", body)
            if answer.status != 201:
                return answer.status
            places[id(rest)] = "/" + answer.json()["url"].partition("//")[2].partition("/")[2]
        return (await rest.call("PUT", places[id(rest)], content=bytes(2**20))).status

    return call


REST_FLOODS: dict[str, Callable[[Flooder], Call]] = {
    "messages over REST": lambda who: _call("POST", f"/chats/{who.group}/messages", {"text": "Hello"}),
    "new groups": lambda who: _call("POST", "/chats", {"type": "group", "members": who.others}),
    "members": _changing,
    "titles": lambda who: (
        lambda rest, number: _call("PATCH", f"/chats/{who.own_group}", {"title": f"{number}"})(rest, number)
    ),
    "names": lambda who: (
        lambda rest, number: _call("PATCH", "/users/me", {"username": f"flooder{number}"})(rest, number)
    ),
    "history": lambda who: _call("GET", f"/chats/{who.group}/messages?limit=200"),
    "conversations": lambda who: _call("GET", "/chats?limit=200"),
    "searches": lambda who: _call("GET", "/users?query=p&limit=100"),
    "tickets": lambda who: _call("POST", "/auth/ticket"),
    "presigns": lambda who: _call(
        "POST", "/attachments/presign", {"filename": "a.bin", "content_type": "text/plain"}
    ),
    "uploads": _uploading,
    "large bodies": lambda who: _call("POST", "/chats", {"type": "group", "title": "x" * 900_000}),
    "many members": lambda who: _call("POST", "/chats", {"type": "group", "members": [10**9] * 90_000}),
    "large logins": lambda who: _call(
        "POST", "/auth/login", {"email": "person0@load.example", "password": 7, "more": [[]] * 10_000}
    ),
    "wrong passwords": lambda who: _call(
        "POST", "/auth/login", {"email": "person0@load.example", "password": "wrong password"}
    ),
}

CONNECT_FLOODS = ("reconnects", "resumes", "bad tokens")

KINDS = (*SOCKET_FLOODS, *REST_FLOODS, *CONNECT_FLOODS)


async def flood(kind: str, who: Flooder, seconds: float) -> Counter[str]:
    """Flood for so long; how often what happened."""
    counts: Counter[str] = Counter()
    deadline = time.monotonic() + seconds
    if kind in SOCKET_FLOODS:
        workers = [_pour(who, SOCKET_FLOODS[kind](who, at), deadline, counts) for at in range(SOCKETS)]
    elif kind in REST_FLOODS:
        numbers = itertools.count()
        call = REST_FLOODS[kind](who)
        workers = [_ask(who, call, numbers, deadline, counts) for _ in range(CONNECTIONS)]
    else:
        workers = [_reconnect(who, kind, deadline, counts) for _ in range(SOCKETS)]
    await asyncio.gather(*workers)
    return counts


async def _open(who: Flooder, deadline: float, counts: Counter[str]) -> Wire | None:
    def on_frame(frame: Frame) -> None:
        counts[frame["code"] if frame["type"] == "error" else frame["type"]] += 1

    while time.monotonic() < deadline:
        try:
            return await connect(who.port, who.token, on_frame)
        except (OSError, Rejected, TimeoutError) as error:
            counts[f"connect: {error}"] += 1
            await asyncio.sleep(0.01)
    return None


async def _pour(who: Flooder, batches: Batches, deadline: float, counts: Counter[str]) -> None:
    while (wire := await _open(who, deadline, counts)) is not None:
        while time.monotonic() < deadline and wire.is_open:
            if wire.transport.get_write_buffer_size() < UNSENT_BYTES:
                wire.write(next(batches))
                counts["sent"] += AT_ONCE
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(0.005)
        if wire.closed.done() or not wire.is_open:
            counts[f"closed with {await wire.closed}"] += 1
        wire.abort()


async def _ask(
    who: Flooder, call: Call, numbers: Iterator[int], deadline: float, counts: Counter[str]
) -> None:
    rest = Rest(who.port, who.token)
    while time.monotonic() < deadline:
        try:
            counts[str(await call(rest, next(numbers)))] += 1
        except (OSError, EOFError, TimeoutError) as error:
            counts[type(error).__name__] += 1
    rest.close()


async def _reconnect(who: Flooder, kind: str, deadline: float, counts: Counter[str]) -> None:
    while time.monotonic() < deadline:
        done = asyncio.Event()
        token = "none" if kind == "bad tokens" else who.token
        query = {"since": 0} if kind == "resumes" else None
        try:
            wire = await connect(who.port, token, partial(_note, counts, done), query)
        except (OSError, Rejected, TimeoutError) as error:
            counts[f"connect: {error}"] += 1
            continue
        if query:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_first(done, wire), max(0.1, deadline - time.monotonic()))
        wire.abort()
        await wire.closed


async def _first(done: asyncio.Event, wire: Wire) -> None:
    told: asyncio.Future[Any] = asyncio.ensure_future(done.wait())
    ends: list[asyncio.Future[Any]] = [told, wire.closed]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()


def _note(counts: Counter[str], done: asyncio.Event, frame: Frame) -> None:
    counts[frame["type"]] += 1
    if frame["type"] in ("resumed", "resync"):
        done.set()
