"""Whatever a client sends: no 1011, no trace, and the server goes on."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.hub import House, open_house
from tests.support.raw import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame_bytes, upgrade_bytes
from tests.support.rest import Person

ALLOWED = {1000, 1001, 1002, 1003, 1007, 1008, 1009, *range(3000, 5000)}
"""What may come back: what was wrong, or the echo of a valid code of the client's own."""

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\0", "\ud800", "1", "x" * 70, "x" * 11_000, 1, 2, 2**53, True])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
names = ["temp_id", "conversation_id", "text", "attachments", "read", "message_id"]
kinds = st.sampled_from(["send_message", "typing_start", "typing_stop", "read", "hello", "new_message"])
plausible = st.fixed_dictionaries(
    {"type": kinds},
    optional={
        "temp_id": st.text(min_size=1, max_size=8) | values,
        "conversation_id": st.integers(1, 12) | values,
        "message_id": st.integers(1, 12) | values,
        "text": st.text(max_size=30) | values,
        "attachments": st.lists(st.integers(1, 3), max_size=3) | values,
        "read": st.booleans() | values,
    },
)
objects = plausible | st.dictionaries(
    st.sampled_from([*names, "type"]) | st.text(max_size=5), values, max_size=6
)
texts = (objects | values).map(
    lambda value: frame_bytes(TEXT, json.dumps(value).encode("utf-8", "surrogatepass"))
)
frames = st.builds(
    frame_bytes,
    st.sampled_from([TEXT, BINARY, CONT, PING, PONG, CLOSE, TEXT, CONT]) | st.integers(0, 15),
    st.binary(max_size=140) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 0, 1, 4]),
    mask=st.sampled_from([True, True, True, False]),
)
segments = st.lists(st.lists(texts | texts | frames | st.binary(max_size=50), max_size=4), max_size=5)


HEADERS = [
    *("Host", "Origin", "Authorization", "Connection", "X-Forwarded-For", "X-Forwarded-Proto"),
    *("Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"),
]
bounded = settings(
    max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


class Target:
    """A house that stands for all examples, and the loop that it lives on."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.stack = contextlib.AsyncExitStack()
        self.run(self.open(folder))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(work)

    async def open(self, folder: Path) -> None:
        self.house: House = await self.stack.enter_async_context(open_house(folder, close_seconds=0.5))
        self.ann, self.bob = await self.house.people("ann", "bob")
        self.dialog = await self.house.dialog(self.ann, self.bob)
        self.seen: set[int | str] = set()

    async def throw(self, person: Person, reads: list[list[bytes]]) -> None:
        """Send all this over a new socket, then close, and see how it ends."""
        with await self.house.raw(person) as client:
            with contextlib.suppress(ConnectionError):
                for read in reads:
                    await client.send(b"".join(read))
                    await asyncio.sleep(0)
                await client.send(frame_bytes(CLOSE, b"\x03\xe8"))
                client.shut_down()
            close = await client.until_over()
            if close is not None and close.payload:
                assert close.close_code in ALLOWED
                self.seen.add(close.close_code)
            told = [frame.json for frame in client.passed if frame.opcode == TEXT]
            self.seen.update(str(frame.get("code", frame["type"])) for frame in told)

    async def check(self) -> None:
        """The server still does what it is for, and nobody's socket is left."""
        await self.house.until(lambda: not self.house.state.connections, "that the server lets go")
        sender, reader = await self.house.raw(self.ann), await self.house.raw(self.bob)
        message = {"type": "send_message", "temp_id": f"check {id(sender)}", "text": "still there?"}
        await sender.send_json({**message, "conversation_id": self.dialog})
        await sender.text("message_sent")
        await reader.text("new_message")
        sender.close()
        reader.close()
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
    @bounded
    @given(segments)
    # Refused without asking the database: what is asked of it may be answered to nobody, since all of them hang up.
    @example([[frame_bytes(TEXT, b'{"type": "typing_start", "conversation_id": 999999}')]])
    def throw(reads: list[list[bytes]]) -> None:
        target.run(target.throw(target.ann, reads))
        assert errors(caplog) == []

    throw()
    assert {1000, 1002, "malformed", "invalid", "not_found", "unknown_type"} <= target.seen


def test_no_upgrade_makes_a_5xx_or_a_trace(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    text = st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30
    )
    headers = st.dictionaries(
        st.sampled_from(HEADERS),
        text | st.sampled_from(["Upgrade", "null", "http://[", "13", f"Bearer {'x' * 30}", "1.2.3.4, ::1"]),
        max_size=4,
    )
    target_text = text.map(lambda text: text.replace(" ", ""))
    urls = (
        st.builds("/ws?{}".format, target_text)
        | st.builds("/{}".format, target_text)
        | st.builds("/ws?token={}".format, target_text)
        | st.sampled_from(["*", "//[", "http://[", "/ws?%", "/ws#?token=1", f"/ws?token={target.ann.token}"])
    )
    statuses = set()

    async def ask(url: str, more: dict[str, str]) -> None:
        with await target.house.dial() as client:
            await client.send(upgrade_bytes(url, more))
            client.shut_down()
            try:
                status = (await client.answer()).status
            except AssertionError:
                return  # an answer to a client that is gone by then
            assert status < 500
            statuses.add(status)

    @bounded
    @given(urls, headers)
    def throw(url: str, more: dict[str, str]) -> None:
        target.run(ask(url, more))
        assert errors(caplog) == []

    throw()
    assert {400, 401, 404} <= statuses
