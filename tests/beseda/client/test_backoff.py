"""When a client comes back, and whether."""

import pytest

from beseda.client import ClientError, ConnectionLost, LoggedOut, Rejected, Unreachable
from beseda.client.backoff import LONGEST_SECONDS, may_return, pause


def test_attempts_come_later_and_later_and_by_chance() -> None:
    lost = ConnectionLost(1006)
    assert [pause(attempt, lost, 1.0) for attempt in range(4)] == [0.5, 1.0, 2.0, 4.0]
    assert pause(5_000, lost, 1.0) == LONGEST_SECONDS
    assert pause(3, lost, 0.25) == 1.0
    assert pause(3, lost, 0.0) == 0.0


def test_after_a_restart_clients_come_back_within_5_s_spread_by_chance() -> None:
    assert pause(0, ConnectionLost(1012), 0.5) == 2.5
    assert pause(5, ConnectionLost(1012), 0.5) == 8.0


@pytest.mark.parametrize("code", [1008, 4029])
def test_who_flooded_waits_a_minute(code: int) -> None:
    assert pause(0, ConnectionLost(code), 0.0) == 60.0


def test_nobody_comes_earlier_than_the_server_asked_for() -> None:
    assert pause(0, Rejected("unavailable", "", status=503, retry_after=7.0), 0.0) == 7.0
    assert pause(2, Rejected("rate_limited", "", status=429, retry_after=7.0), 1.0) == 9.0


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("Nothing listens."),
        Rejected("unavailable", "Busy.", status=503),
        Rejected("rate_limited", "Slower.", status=429),
        *(ConnectionLost(code) for code in (1000, 1001, 1006, 1008, 1011, 1012, 4000, 4008, 4029, 4499)),
    ],
    ids=str,
)
def test_what_passes_is_tried_again(error: ClientError) -> None:
    assert may_return(error)


@pytest.mark.parametrize(
    "error",
    [
        LoggedOut(),
        Rejected("forbidden_origin", "No.", status=403),
        *(ConnectionLost(code) for code in (1002, 1003, 1007, 1009, 4500, 4501, 4509, 4999)),
    ],
    ids=str,
)
def test_what_would_only_happen_again_is_not(error: ClientError) -> None:
    assert not may_return(error)
