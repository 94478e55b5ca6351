"""`beseda serve`, with pings so often that a test can wait for them: `python -m tests.faults.impatient serve`.

That the usual times add up to less than what is promised is held by test_half_open.py.
"""

from dataclasses import replace

from beseda import cli, rooms
from beseda.settings import Config
from hub import Settings

PING_SECONDS = 3.0
"""Longer than a busy machine may leave a client without its turn."""

_usual = rooms.hub_settings


def _impatient(config: Config) -> Settings:
    return replace(_usual(config), ping_seconds=PING_SECONDS)


if __name__ == "__main__":
    rooms.hub_settings = _impatient
    cli.main()
