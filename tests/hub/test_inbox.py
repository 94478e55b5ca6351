"""Fragments, and what counts as abuse."""

import pytest
from websockets.frames import Frame, Opcode

from hub.inbox import (
    BAD_FRAMES,
    BAD_FRAMES_SECONDS,
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
