"""Times as they are said: RFC 3339, in UTC, with milliseconds."""

from datetime import UTC, datetime

import pytest

from protocol.times import rfc3339


@pytest.mark.parametrize(
    "milliseconds, said",
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (1_000, "1970-01-01T00:00:01.000Z"),
        (951_782_399_050, "2000-02-28T23:59:59.050Z"),
        (1_795_439_100_123, "2026-11-23T13:05:00.123Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_said_to_the_millisecond(milliseconds: int, said: str) -> None:
    assert rfc3339(milliseconds) == said


def test_what_is_said_can_be_read_back_and_sorts_as_it_happened() -> None:
    times = [951_782_399_050 + step * 86_399_999 for step in range(0, 10_000, 7)]
    said = [rfc3339(time) for time in times]
    assert said == sorted(said)
    for time, text in zip(times, said, strict=True):
        read = datetime.fromisoformat(text)
        assert read.tzinfo == UTC
        assert round(read.timestamp() * 1000) == time
