"""A transport's last moments, where no real one can be made to stand still."""

import asyncio
from dataclasses import replace
from typing import Any, cast

from hub.endpoint import HIGH_WATER_BYTES, Endpoint, State
from tests.support.hub import SETTINGS
from tests.support.timers import FakeTimers


class FakeTransport:
    """Notes what is asked of it. With TLS, a transport cannot end one half of the stream only."""

    def __init__(self, *, tls: bool = False, closing: bool = False) -> None:
        self.calls: list[str] = []
        self.high = 0
        self._tls = tls
        self._closing = closing

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def can_write_eof(self) -> bool:
        return not self._tls

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: bytes) -> None:
        self.calls.append(f"write {data.decode()}")

    def __getattr__(self, name: str) -> Any:
        return lambda: self.calls.append(name)


class Plain(Endpoint):
    """An endpoint that notes what became of it."""

    def __init__(self, transport: FakeTransport, **settings: Any) -> None:
        self.clock = FakeTimers()
        self.told: list[str] = []
        self.set: set[Any] = set()
        super().__init__(self.set, replace(SETTINGS, **settings), self.clock)
        self.connection_made(cast(asyncio.Transport, transport))
        self.state = State.OPEN

    def fall_behind(self, why: str) -> None:
        self.told.append("fall behind")

    def left(self) -> None:
        self.told.append("left")


def test_the_last_words_are_written_and_our_half_ends() -> None:
    transport = FakeTransport()
    endpoint = Plain(transport)
    endpoint._depart(b"bye", is_last=True)
    assert transport.calls == ["write bye", "write_eof", "resume_reading"]
    assert endpoint.state is State.ENDED
    assert endpoint.told == ["left"]


def test_under_tls_the_transport_closes_instead() -> None:
    transport = FakeTransport(tls=True)
    Plain(transport)._depart(b"bye", is_last=True)
    assert transport.calls == ["write bye", "close", "resume_reading"]


def test_to_a_transport_that_is_closing_nothing_is_written() -> None:
    transport = FakeTransport(closing=True)
    endpoint = Plain(transport)
    endpoint._depart(b"bye", is_last=True)
    assert transport.calls == []
    endpoint.clock.advance(2)
    assert transport.calls == ["abort"]


def test_a_client_that_does_not_end_its_half_is_let_go_of_and_one_that_does_is_not() -> None:
    transport = FakeTransport()
    endpoint = Plain(transport, close_seconds=2.0)
    endpoint._depart(b"bye", is_last=False)
    assert endpoint.state is State.CLOSING
    endpoint.clock.advance(1.9)
    assert "abort" not in transport.calls
    endpoint.clock.advance(0.1)
    assert transport.calls[-1] == "abort"
    transport = FakeTransport()
    endpoint = Plain(transport, close_seconds=2.0)
    endpoint._depart(b"bye", is_last=True)
    endpoint.connection_lost(None)
    endpoint.clock.advance(60)
    assert "abort" not in transport.calls
    assert endpoint.set == set()


def test_one_who_ends_its_half_has_time_to_read_what_was_written() -> None:
    transport = FakeTransport()
    endpoint = Plain(transport, close_seconds=2.0)
    endpoint.eof_received()
    assert endpoint.told == ["left"]
    endpoint.clock.advance(2)
    assert transport.calls == ["abort"]


def test_who_is_stuck_for_too_long_falls_behind_and_who_catches_up_does_not() -> None:
    endpoint = Plain(FakeTransport(), stuck_seconds=30.0)
    endpoint.pause_writing()
    endpoint.clock.advance(29)
    endpoint.resume_writing()
    endpoint.clock.advance(60)
    assert endpoint.told == []
    endpoint.pause_writing()
    endpoint.clock.advance(30)
    assert endpoint.told == ["fall behind"]


def test_one_who_was_stuck_before_the_socket_was_open_has_its_time_from_then_on() -> None:
    endpoint = Plain(FakeTransport(), stuck_seconds=30.0)
    endpoint.state = State.ADMITTING
    endpoint.pause_writing()
    endpoint.clock.advance(60)
    assert (endpoint.is_paused, endpoint.told) == (True, [])
    endpoint.state = State.OPEN
    endpoint._await_reading()
    endpoint.clock.advance(29)
    assert endpoint.told == []
    endpoint.clock.advance(1)
    assert endpoint.told == ["fall behind"]


def test_one_who_leaves_while_stuck_does_not_fall_behind() -> None:
    endpoint = Plain(FakeTransport(), stuck_seconds=30.0)
    endpoint.pause_writing()
    endpoint.connection_lost(None)
    endpoint.resume_writing()
    endpoint.pause_writing()
    endpoint.clock.advance(60)
    assert endpoint.told == ["left"]
    assert endpoint.is_gone


def test_a_transport_says_that_it_is_full_before_the_backlog_is_over_its_limit() -> None:
    transport = FakeTransport()
    Plain(transport, backlog_bytes=1000)
    assert transport.high == 1000
    Plain(transport, backlog_bytes=10_000_000)
    assert transport.high == HIGH_WATER_BYTES
