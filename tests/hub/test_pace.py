"""The pace of read receipts, with a clock of its own."""

import pytest

from actions.receipts import DIALOG_RECEIPTS
from hub.pace import Pace
from protocol.events import ReceiptMoved
from tests.support.timers import FakeTimers

ANN, BOB, CAT = 1, 2, 3


def read(
    *messages: tuple[int, int], reader: int = BOB, conversation: int = 7, dialog: bool = False
) -> ReceiptMoved:
    return ReceiptMoved("read", conversation, reader, messages, dialog)


class Told:
    """The pace, and what was told at it."""

    def __init__(self) -> None:
        self.timers = FakeTimers()
        self.receipts: list[ReceiptMoved] = []
        self.pace = Pace(self.timers, 0.5, self.receipts.append)

    def take(self) -> list[ReceiptMoved]:
        told, self.receipts[:] = self.receipts[:], []
        return told


@pytest.fixture
def told() -> Told:
    return Told()


def test_the_first_receipt_is_told_at_once_and_those_that_follow_together(told: Told) -> None:
    told.pace.add(read((ANN, 50)))
    assert told.take() == [read((ANN, 50))]
    told.pace.add(read((ANN, 51), (CAT, 52)))
    told.pace.add(read((ANN, 53)))
    told.timers.advance(0.499)
    assert told.take() == []
    told.timers.advance(0.001)
    assert told.take() == [read((CAT, 52), (ANN, 53))]


def test_the_pace_goes_on_as_long_as_something_waits(told: Told) -> None:
    told_at = []
    for number in range(40):
        told.pace.add(read((ANN, number)))
        if told.take():
            told_at.append(told.timers.time())
        told.timers.advance(0.125)
        if told.take():
            told_at.append(told.timers.time())
    assert told_at == [1000 + 0.5 * step for step in range(11)]


def test_after_a_pause_the_next_receipt_is_told_at_once_again(told: Told) -> None:
    told.pace.add(read((ANN, 50)))
    told.timers.advance(0.5)
    told.take()
    told.pace.add(read((ANN, 51)))
    assert told.take() == [read((ANN, 51))]


def test_in_a_dialog_each_message_is_told_and_the_newest_100_at_most(told: Told) -> None:
    told.pace.add(read((ANN, 1), dialog=True))
    for number in range(2, 10):
        told.pace.add(read((ANN, number), dialog=True))
    told.timers.advance(0.5)
    assert told.take()[1:] == [read(*((ANN, number) for number in range(2, 10)), dialog=True)]
    for number in range(10, 300):
        told.pace.add(read((ANN, number), dialog=True))
    told.timers.advance(0.5)
    (all_others,) = told.take()
    assert [message for _, message in all_others.messages] == list(range(200, 300))
    assert len(all_others.messages) == DIALOG_RECEIPTS == 100


def test_readers_and_conversations_have_a_pace_each(told: Told) -> None:
    receipts = [read((ANN, 50)), read((ANN, 50), reader=CAT), read((ANN, 60), conversation=8)]
    for receipt in receipts:
        told.pace.add(receipt)
    assert told.take() == receipts


def test_nothing_is_kept_of_what_is_told(told: Told) -> None:
    told.pace.add(read((ANN, 50)))
    told.pace.add(read((ANN, 51)))
    told.timers.advance(1)
    assert len(told.take()) == 2
    assert told.timers.waiting == 0
    assert told.pace._waiting == {}
