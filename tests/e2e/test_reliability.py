"""The scenarios of `python -m bench.reliability` in short: what is promised, not how fast (docs/reliability.md)."""

import asyncio
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bench.reliability.follower import Follower
from bench.reliability.history import History
from bench.seed import seed
from tests.support.server import ROOT

SECONDS = 150.0
"""For what takes some ten on an idle core."""


async def holds(scenario: str) -> None:
    """Run it in a process of its own: what it does to its sockets no event loop of a test should see."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bench.reliability", "--short", scenario),
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("BESEDA_")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()


async def test_after_drops_of_every_kind_each_clients_log_is_the_history() -> None:
    await holds("drops")


async def test_readers_that_stop_cost_their_backlog_and_have_everything_after_they_return() -> None:
    await holds("stalled")


async def test_all_come_back_at_once_after_a_restart_and_get_what_they_missed() -> None:
    await holds("herd")


async def test_every_login_of_a_storm_is_answered_and_no_message_is_lost() -> None:
    await holds("logins")


async def test_memory_comes_back_after_messages_connects_and_disconnects() -> None:
    await holds("leaks")


def told(group: int, number: int, **more: object) -> dict[str, object]:
    """A frame as the server tells the message `number`, which is the event after the group's making."""
    event = group + number
    message = {"id": event, "conversation_id": group, "seq": number, "sender_id": 1, "text": f"text {number}"}
    return {
        "type": "new_message",
        "event_id": event,
        "conversation_id": group,
        "message": {**message, **more},
    }


@pytest.mark.parametrize(
    ("numbers", "changed", "fault"),
    [
        ([1, 2, 3], {}, None),
        ([1, 3], {}, "lacks"),
        ([1, 2, 2, 3], {}, "after"),
        ([1, 3, 2], {}, "after"),
        ([1, 2, 3], {"text": "other"}, "not so"),
        ([1, 2, 3, 4], {}, "not so"),
    ],
)
def test_the_comparison_sees_what_is_lost_doubled_out_of_order_or_wrong(
    tmp_path: Path, numbers: list[int], changed: dict[str, object], fault: str | None
) -> None:
    crowd = seed(tmp_path, 4, [[0, 1, 2]])
    [group] = crowd.conversations
    with closing(sqlite3.connect(tmp_path / "beseda.db")) as db:
        rows = [(group + number, group, number, f"text {number}") for number in (1, 2, 3)]
        db.executemany("INSERT INTO messages VALUES (?, ?, ?, 1, 0, 0, NULL, ?)", rows)
        db.commit()
    history = History(tmp_path, {group: [frozenset(crowd.ids[:3])]})
    log = Follower("ann")
    log.take({"type": "conversation_created", "event_id": group, "conversation": {"id": group}})
    for number in numbers:
        log.take(told(group, number, **(changed if number == 2 else {})))
    assert history.faults == []
    faults = history.compare(crowd.ids[0], log)
    assert any(fault in found for found in faults) if fault else faults == []
    # The same log in the hands of who is no member is none of its business.
    assert any("none of its business" in found for found in history.compare(crowd.ids[3], log))
