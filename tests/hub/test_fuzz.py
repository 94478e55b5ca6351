"""Whatever a client sends: no 1011, no trace, nothing is left of it, and others notice nothing."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import example, given
from hypothesis import strategies as st

from hub import Connection
from tests.support.fuzz import as_frame, bounded, cut, documents, fragmented, frames, mutated
from tests.support.hub import House, open_house
from tests.support.raw import CLOSE, TEXT, frame_bytes, upgrade_bytes
from tests.support.rest import Person

ALLOWED = {1000, 1001, 1002, 1003, 1007, 1008, 1009, *range(3000, 5000)}
"""What may come back: what was wrong, or the echo of a valid code of the client's own."""

HEADERS = [
    *("Host", "Origin", "Authorization", "Connection", "Upgrade", "X-Forwarded-For", "X-Forwarded-Proto"),
    *("Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"),
    *("Content-Length", "Transfer-Encoding", "Cookie", "Expect"),
]
HEADER_VALUES = [
    *("Upgrade", "upgrade, keep-alive", "close", "h2c", "websocket, h2c", "null", "http://[", "*", "chunked"),
    *("13", "8", "13, 8", "-1", "0", "5", "permessage-deflate; client_max_window_bits", ",", ";", '"', "="),
    *(f"Bearer {'x' * 30}", "Bearer", "1.2.3.4, ::1", "100-continue", "x" * 9000, "AAAA", "\xff" * 24),
]
NUMBERS = [
    "0",
    "1",
    "-1",
    "+1",
    "1.0",
    "1e3",
    "01",
    "",
    " ",
    "x",
    "\0",
    "%00",
    "%",
    "%zz",
    "9" * 5000,
    "true",
]


class Target:
    """A house that stands for all examples, the loop that it lives on, and the honest sockets of two others."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.stack = contextlib.AsyncExitStack()
        self.seen: set[int | str] = set()
        self.run(self.open(folder))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(work)

    async def open(self, folder: Path) -> None:
        self.house: House = await self.stack.enter_async_context(open_house(folder, close_seconds=0.5))
        self.eve, ann, bob = await self.house.people("eve", "ann", "bob")
        self.dialog = await self.house.dialog(ann, bob)
        self.group = await self.house.group(ann, bob, self.eve)
        message = await self.house.post(ann, self.group, "hello")
        self.ids = [self.group, self.group, self.group, self.dialog, message, 1, 2, 3, 999_999]
        self.ann, self.bob = await self.house.connect(ann), await self.house.connect(bob)

    async def throw(self, person: Person, segments: list[bytes]) -> None:
        """Send all this over a new socket, then close, and see how it ends."""
        with await self.house.raw(person) as client:
            with contextlib.suppress(ConnectionError):
                for segment in segments:
                    await client.send(segment)
                    await asyncio.sleep(0)
                await client.send(frame_bytes(CLOSE, b"\x03\xe8"))
                client.shut_down()
            close = await client.until_over()
            if close is not None and close.payload:
                assert close.close_code in ALLOWED
                self.seen.add(close.close_code)
            told = [frame.json for frame in client.passed if frame.opcode == TEXT]
            self.seen.update(str(frame.get("code", frame["type"])) for frame in told)
        await self.converse()

    async def converse(self) -> None:
        """The others notice nothing: what one says the other hears."""
        said = await self.ann.say(self.dialog, "still there?")
        await self.bob.next("new_message", where=lambda frame: frame["event_id"] == said["id"])
        self.house.commits.clear()  # It would keep the senders' sockets.
        for socket in (self.ann, self.bob):
            kinds = {frame["type"] for frame in socket.take()}
            # Eve is in the group, and may do all this.
            expected = {
                "new_message",
                "online_status",
                "typing",
                "typing_stop",
                "read",
                "delivered",
                "unread",
            }
            assert kinds <= expected | {"hello", "conversation_created"}
            socket.received.clear()
            socket.received.append({"type": "hello"})

    async def forgotten(self, others: int) -> None:
        """Hardly a socket is in memory but so many, whoever holds it: each that came would otherwise be one more.

        Not to the last one, for a typist's is held for some seconds, and the machine may be slow.
        """
        async with asyncio.timeout(30):
            while self.sockets() > others + 3:
                await asyncio.sleep(0.2)

    def sockets(self) -> int:
        """How many are in memory."""
        gc.collect()
        house = self.house
        return sum(isinstance(one, Connection) and one.hub is house.hub for one in gc.get_objects())

    async def check(self) -> None:
        """Nobody's socket is left but the honest ones, and then not even those."""
        await self.house.until(lambda: len(self.house.state.connections) == 2, "that the server lets go")
        await self.forgotten(2)
        await self.ann.close()
        await self.bob.close()
        await self.house.until(lambda: not self.house.state.connections, "that the server lets go")
        await self.house.gone(self.eve)
        await self.forgotten(0)
        await self.stack.aclose()


@pytest.fixture
def target(tmp_path: Path) -> Any:
    target = Target(tmp_path)
    with target.runner:
        yield target
        target.run(target.check())


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as wrong; asyncio's complaints about a slow machine aside."""
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    return [record.getMessage() for record in records if " took " not in record.getMessage()]


def test_no_frames_make_a_1011_or_a_trace(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    texts = mutated(target.ids) | mutated(target.ids) | documents
    pieces = texts.map(as_frame) | fragmented(texts) | frames | st.binary(max_size=50)

    @bounded(80)
    @given(cut(pieces))
    # Refused without asking the database: what is asked of it may be answered to nobody, since all of them hang up.
    @example([as_frame(b'{"type": "typing_start", "conversation_id": 999999}')])
    @example([as_frame(b"{"), as_frame(b"[]"), as_frame(b"{}"), frame_bytes(TEXT, b"", rsv=4)])
    @example([])
    def throw(segments: list[bytes]) -> None:
        target.run(target.throw(target.eve, segments))
        assert errors(caplog) == []

    throw()
    assert {1000, 1002, "malformed", "invalid", "not_found", "unknown_type"} <= target.seen


def test_no_known_frame_with_spoilt_fields_makes_a_1011_or_a_trace(
    target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    async def answered(payloads: list[bytes]) -> None:
        """Nobody hangs up here, so that the store's answers come as well."""
        with await target.house.raw(target.eve) as client:
            for payload in payloads:
                await client.send_frame(TEXT, payload)
            await client.send_json({"type": "read", "conversation_id": 999_998, "message_id": 1})
            while (frame := await client.frame()).opcode != CLOSE:
                if frame.opcode == TEXT:
                    target.seen.add(str(frame.json.get("code", frame.json["type"])))
                    if frame.json.get("conversation_id") == 999_998:
                        break
            else:
                assert frame.close_code in (1007, 1009)
                target.seen.add(frame.close_code)
        await target.converse()

    @bounded(60)
    @given(st.lists(mutated(target.ids), max_size=15))
    @example([b"{", b"[]", b'{"type": "typing_start", "conversation_id": 999999}'])
    @example([b'{"type": "typing_start", "conversation_id": 1, "text": "\xff"}'])
    @example([b'{"type": "typing_start", "conversation_id": 1, "text": "%b"}' % (b"x" * 66_000)])
    @example([b'{"type": "send_message", "conversation_id": %d, "temp_id": "x", "text": "x"}' % target.group])
    def throw(payloads: list[bytes]) -> None:
        target.run(answered(payloads))
        assert errors(caplog) == []

    throw()
    assert {1007, 1009, "malformed", "invalid", "not_found", "message_sent"} <= target.seen


def test_no_upgrade_makes_a_5xx_or_a_trace(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    text = st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30
    )
    headers = st.dictionaries(
        st.sampled_from(HEADERS),
        text | st.sampled_from(HEADER_VALUES) | st.sampled_from(HEADER_VALUES),
        max_size=4,
    )
    words = text.map(lambda text: text.replace(" ", ""))
    tokens = st.just(target.eve.token) | words
    # Signs of its own, so that what follows the token is looked at too.
    parameters = st.lists(
        st.builds(
            "{}={}".format, st.sampled_from(["since", "log", "token", "x"]), st.sampled_from(NUMBERS) | words
        ),
        max_size=4,
    ).map("&".join)
    urls = (
        st.builds("/ws?{}".format, words)
        | st.builds("/{}".format, words)
        | st.builds("/ws?token={}&{}".format, tokens, parameters.map(lambda text: text.replace(" ", "+")))
        | st.sampled_from(["*", "//[", "http://[", "/ws?%", "/ws#?token=1", f"/ws?token={target.eve.token}"])
    )
    statuses = set()

    async def ask(url: str, more: dict[str, str], method: str) -> None:
        with await target.house.dial() as client:
            await client.send(upgrade_bytes(url.replace("\0", "%00"), more, method=method))
            # Some headers promise more than is sent. Who has gone before it is let in gets no answer.
            timer = asyncio.get_running_loop().call_later(1, client.shut_down)
            try:
                status = (await client.answer()).status
            except (AssertionError, ConnectionError):
                return
            finally:
                timer.cancel()
            assert status < 500
            statuses.add(status)

    @bounded(100)
    @given(urls, headers, st.sampled_from(["GET", "GET", "GET", "POST", "OPTIONS", "HEAD"]))
    @example("/nothing", {}, "GET")
    @example("/ws?token=x&since=0&log=x", {}, "GET")
    @example("/ws", {"Sec-WebSocket-Key": "AAAA"}, "GET")
    @example(f"/ws?token={target.eve.token}", {}, "GET")
    def throw(url: str, more: dict[str, str], method: str) -> None:
        target.run(ask(url, more, method))
        assert errors(caplog) == []

    throw()
    target.run(target.converse())
    assert {101, 400, 401, 404} <= statuses
