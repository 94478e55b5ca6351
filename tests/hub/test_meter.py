"""What the frames of one socket cost (docs/protocol.md, Rates)."""

from actions.rates import Rates
from hub.meter import FLOOD, Meter
from protocol.commands import Read, SendMessage, TypingStart
from protocol.errors import Refused
from tests.support.timers import FakeTimers

TYPING = TypingStart(type="typing_start", conversation_id=1)
READ = Read(type="read", conversation_id=1, message_id=1)


def message(chars: int = 5) -> SendMessage:
    """A message of so many characters."""
    return SendMessage(type="send_message", temp_id="t", conversation_id=1, text="x" * chars)


def refused(meter: Meter, frame: SendMessage | TypingStart | Read | None) -> Refused | None:
    """What comes of paying for a frame."""
    try:
        meter.pay(1, frame)
    except Refused as refusal:
        return refusal
    return None


def test_a_message_costs_by_its_length_and_every_other_frame_a_call() -> None:
    meter = Meter(Rates(1, 10, 1, 3, FakeTimers().time))
    meter.pay(1, message(9000))
    meter.pay(1, TYPING)
    meter.pay(1, READ)
    meter.pay(1, None)  # no frame at all
    for frame in (TYPING, READ, None):
        refusal = refused(meter, frame)
        assert refusal is not None
        assert "limits.requests_per_second" in refusal.detail
    meter.pay(1, message())
    refusal = refused(meter, message())
    assert refusal is not None
    assert "limits.messages_per_second" in refusal.detail


def test_a_shorter_message_does_not_overtake_one_that_was_refused() -> None:
    timers = FakeTimers()
    meter = Meter(Rates(1, 10, 1, 1, timers.time))
    meter.pay(1, message(5000))
    long = refused(meter, message(9000))
    assert long is not None
    assert long.retry_after == 4
    timers.advance(1.5)
    short = refused(meter, message())
    assert short is not None
    assert short.retry_after == 3
    assert short.detail == long.detail
    timers.advance(2.5)
    meter.pay(1, message(9000))


def test_another_socket_of_the_user_does_not_wait_for_it() -> None:
    rates = Rates(1, 10, 1, 1, FakeTimers().time)
    one, other = Meter(rates), Meter(rates)
    one.pay(1, message(5000))
    assert refused(one, message(9000))
    other.pay(1, message(5000))


def test_other_frames_do_not_wait_for_a_message_that_was_refused() -> None:
    meter = Meter(Rates(1, 1, 1, 5, FakeTimers().time))
    meter.pay(1, message())
    assert refused(meter, message())
    meter.pay(1, READ)


def test_waiting_costs_nothing_of_the_rate() -> None:
    timers = FakeTimers()
    meter = Meter(Rates(20, 60, 50, 200, timers.time))
    sent = 0
    for _ in range(100 * 30):
        timers.advance(0.01)
        sent += refused(meter, message()) is None
    assert 30 * 20 + 60 - 20 <= sent <= 30 * 20 + 60


def test_hundreds_of_refusals_on_end_are_a_flood() -> None:
    timers = FakeTimers()
    meter = Meter(Rates(1, 1, 1, 1, timers.time))
    meter.pay(1, READ)
    for _ in range(FLOOD - 1):
        assert refused(meter, READ)
    assert not meter.is_flood
    timers.advance(1)
    meter.pay(1, READ)
    for _ in range(FLOOD - 1):
        assert refused(meter, READ)
    assert not meter.is_flood
    assert refused(meter, READ)
    assert meter.is_flood
