"""Fragments, and what counts as abuse."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from hub.inbox import (
    BAD_FRAMES,
    BAD_FRAMES_SECONDS,
    MAX_CONTROL_BYTES,
    MAX_FRAGMENTS,
    PINGS,
    PINGS_SECONDS,
    Inbox,
    TooBig,
)


def test_the_numbers_are_the_protocols() -> None:
    assert (MAX_FRAGMENTS, BAD_FRAMES, BAD_FRAMES_SECONDS) == (128, 20, 60.0)
    assert (PINGS, PINGS_SECONDS) == (20, 1.0)


def test_a_message_in_one_frame_is_whole() -> None:
    assert Inbox(200).add(Frame(Opcode.TEXT, b"hello")) == b"hello"


def test_fragments_are_one_message_with_the_last_of_them() -> None:
    inbox = Inbox(200)
    assert inbox.add(Frame(Opcode.TEXT, b"he", fin=False)) is None
    assert inbox.add(Frame(Opcode.CONT, b"", fin=False)) is None
    assert inbox.add(Frame(Opcode.CONT, b"llo")) == b"hello"
    assert inbox.add(Frame(Opcode.TEXT, b"again")) == b"again"


def test_fragments_may_all_be_empty() -> None:
    inbox = Inbox(200)
    assert inbox.add(Frame(Opcode.TEXT, b"", fin=False)) is None
    assert inbox.add(Frame(Opcode.CONT, b"")) == b""


def test_128_fragments_are_taken_and_no_more() -> None:
    inbox = Inbox(200)
    for _ in range(2):
        inbox.add(Frame(Opcode.TEXT, b"0", fin=False))
        for _ in range(126):
            assert inbox.add(Frame(Opcode.CONT, b"1", fin=False)) is None
        assert inbox.add(Frame(Opcode.CONT, b"2")) == b"0" + b"1" * 126 + b"2"
    inbox.add(Frame(Opcode.TEXT, b"0", fin=False))
    for _ in range(127):
        inbox.add(Frame(Opcode.CONT, b"1", fin=False))
    with pytest.raises(TooBig):
        inbox.add(Frame(Opcode.CONT, b"2"))


def test_a_message_may_have_so_many_bytes_and_no_more() -> None:
    inbox = Inbox(5)
    for _ in range(2):
        assert inbox.add(Frame(Opcode.TEXT, b"hello")) == b"hello"
        inbox.add(Frame(Opcode.TEXT, b"he", fin=False))
        assert inbox.add(Frame(Opcode.CONT, b"llo")) == b"hello"
    with pytest.raises(TooBig, match="5 bytes"):
        Inbox(5).add(Frame(Opcode.TEXT, b"hello!"))
    inbox.add(Frame(Opcode.TEXT, b"he", fin=False))
    with pytest.raises(TooBig, match="5 bytes"):
        inbox.add(Frame(Opcode.CONT, b"llo!"))


def test_20_bad_frames_within_a_minute_are_abuse() -> None:
    inbox = Inbox(200)
    assert not any(inbox.is_abuse(1000.0 + number) for number in range(19))
    assert inbox.is_abuse(1060.0)


def test_20_bad_frames_over_more_than_a_minute_are_none() -> None:
    inbox = Inbox(200)
    assert not any(inbox.is_abuse(1000.0 + 3.2 * number) for number in range(200))


def test_20_pings_within_a_second_are_taken_and_no_more() -> None:
    inbox = Inbox(200)
    assert not any(inbox.is_ping_flood(1000.0 + number / 21) for number in range(20))
    assert inbox.is_ping_flood(1000.99)


def test_fewer_pings_a_second_may_go_on_for_ever() -> None:
    inbox = Inbox(200)
    assert not any(inbox.is_ping_flood(1000.0 + number * 0.0625) for number in range(1000))


MOST = 300

FRAMES = st.builds(
    lambda opcode, payload, fin: Frame(opcode, payload, fin).serialize(mask=True),
    st.sampled_from((Opcode.TEXT, Opcode.TEXT, Opcode.CONT, Opcode.BINARY)),
    st.binary(max_size=MOST),
    st.booleans(),
)
CONTROL = st.builds(
    lambda opcode, payload: Frame(opcode, payload).serialize(mask=True),
    st.sampled_from((Opcode.PING, Opcode.PONG, Opcode.CLOSE)),
    st.binary(max_size=5),
)
STREAMS = st.lists(st.one_of(FRAMES, FRAMES, CONTROL, st.binary(max_size=20)), max_size=8).map(b"".join)
WHOLE = Frame(Opcode.TEXT, b"whole").serialize(mask=True)


def found_by_the_library(data: bytes) -> tuple[list[tuple[Opcode, bytes]], ServerProtocol]:
    protocol = ServerProtocol(state=OPEN, max_size=MOST + MAX_CONTROL_BYTES)
    protocol.receive_data(data)
    frames = protocol.events_received()
    return [(frame.opcode, bytes(frame.data)) for frame in frames if isinstance(frame, Frame)], protocol


@given(STREAMS, st.lists(st.integers(0, 2000)))
@example(WHOLE * 3, [1, 7, 12])
@example(Frame(Opcode.TEXT, b"part", fin=False).serialize(mask=True) + WHOLE, [])
@example(b"\x81\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00x" + WHOLE, [3, 9])
@example(b"\x81\x00" + WHOLE, [])
@example(b"\xc1\x80\x00\x00\x00\x00" + WHOLE, [4])
@example(b"\x81\xff\x00\x00\x00\x01", [])
@example(b"\x81\xff" + (2**40).to_bytes(8, "big") + WHOLE, [9])
@example(b"\x81\xfe" + (2**15).to_bytes(2, "big") + WHOLE, [3])
def test_however_a_stream_is_cut_it_has_the_frames_that_the_library_finds(
    data: bytes, cuts: list[int]
) -> None:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    inbox, protocol = Inbox(MOST), ServerProtocol(state=OPEN, max_size=MOST + MAX_CONTROL_BYTES)
    frames = [frame for begin, end in pairwise(places) for frame in inbox.split(data[begin:end], protocol)]
    found = [
        (Opcode.TEXT, frame) if isinstance(frame, bytes) else (frame.opcode, bytes(frame.data))
        for frame in frames
    ]
    expected, library = found_by_the_library(data)
    assert found == expected
    assert protocol.state is library.state
    assert protocol.close_sent == library.close_sent


def test_messages_in_one_frame_are_told_apart_from_all_else() -> None:
    inbox, protocol = Inbox(MOST), ServerProtocol(state=OPEN)
    ping = Frame(Opcode.PING, b"").serialize(mask=True)
    first, second, third = inbox.split(WHOLE + ping + WHOLE, protocol)
    assert first == third == b"whole"
    assert isinstance(second, Frame)
    assert protocol.data_to_send() == [Frame(Opcode.PONG, b"").serialize(mask=False)]


def test_a_message_that_is_too_long_for_one_is_left_to_be_refused() -> None:
    inbox, protocol = Inbox(5), ServerProtocol(state=OPEN)
    (frame,) = inbox.split(Frame(Opcode.TEXT, b"hello!").serialize(mask=True), protocol)
    assert isinstance(frame, Frame)
    with pytest.raises(TooBig):
        inbox.add(frame)
