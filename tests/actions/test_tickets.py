"""Tickets: once, for half a minute, and for nothing but a socket (docs/protocol.md section 6)."""

import pytest

from actions import tickets as module
from actions.tickets import Tickets
from actions.tokens import Claims, Tokens
from protocol.errors import Refused
from tests.support.store import KEY, Clock


@pytest.fixture
def clock() -> Clock:
    """The tickets' clock, in milliseconds."""
    return Clock(5000)


@pytest.fixture
def tickets(clock: Clock) -> Tickets:
    """What issues and redeems them."""
    return Tickets(lambda: clock() / 1000)


def refused(tickets: Tickets, ticket: str) -> Refused:
    """The refusal of a ticket."""
    with pytest.raises(Refused) as caught:
        tickets.redeem(ticket)
    return caught.value


def test_a_ticket_is_good_once(tickets: Tickets) -> None:
    one, other = tickets.issue(7, 3), tickets.issue(7, 3)
    assert tickets.redeem(one) == Claims(7, 3, None)
    assert refused(tickets, one).code == "unauthorized"
    assert tickets.redeem(other) == Claims(7, 3, None)


def test_a_ticket_is_good_for_thirty_seconds(tickets: Tickets, clock: Clock) -> None:
    one, other = tickets.issue(7, 3), tickets.issue(8, 4)
    clock.advance(29.999)
    assert tickets.redeem(one) == Claims(7, 3, None)
    clock.advance(0.001)
    assert refused(tickets, other).code == "unauthorized"


def test_a_used_ticket_stays_used_for_all_its_time(tickets: Tickets, clock: Clock) -> None:
    ticket = tickets.issue(7, 3)
    tickets.redeem(ticket)
    for _ in range(40):
        clock.advance(1)
        tickets.redeem(tickets.issue(7, 3))
        assert refused(tickets, ticket).code == "unauthorized"


def test_what_is_remembered_is_bounded_and_soon_forgotten(
    tickets: Tickets, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_USED", 3)
    for _ in range(1000):
        tickets.issue(7, 3)
    assert len(tickets._used) == 0, "those that are only issued cost nothing"
    for _ in range(3):
        tickets.redeem(tickets.issue(7, 3))
        clock.advance(10)
    # The first one is 30 s old by now.
    tickets.redeem(tickets.issue(7, 3))
    late = tickets.issue(7, 3)
    full = refused(tickets, late)
    assert (full.code, full.retry_after) == ("unavailable", 30)
    clock.advance(10)
    assert tickets.redeem(late) == Claims(7, 3, None), "it was not used up"
    clock.advance(30)
    tickets.redeem(tickets.issue(7, 3))
    assert len(tickets._used) == 1


def test_what_is_none_of_ours_is_refused(tickets: Tickets, clock: Clock) -> None:
    ticket = tickets.issue(7, 3)
    forged = [
        "",
        "-",
        "----",
        "7-3-1-99999999-",
        ticket[:-1],
        ticket + "0",
        ticket.upper(),
        "1" + ticket,
        ticket.replace("7-3", "8-3", 1),
        Tickets(lambda: clock() / 1000).issue(7, 3),
        "ü-é",
        "\udcff",
        "7-3-1-99999999\udcff-00",
        "x" * 20_000,
    ]
    for text in forged:
        assert refused(tickets, text).code == "unauthorized"
    assert tickets.redeem(ticket) == Claims(7, 3, None)


def test_a_ticket_is_no_token(tickets: Tickets) -> None:
    for kind in ("access", "refresh"):
        with pytest.raises(Refused) as caught:
            Tokens(KEY, 900, 900, Clock()).read(tickets.issue(7, 3), kind)
        assert caught.value.code == "unauthorized"
