"""`python -m bench` runs what it is told to, and can be broken off."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from bench.__main__ import OWN, trials
from bench.peer import ROOT
from bench.peers import PEERS
from bench.results import load
from bench.scale import Scale
from bench.scenarios import SCENARIOS


def planned(patterns: list[str] | None, *, full: bool = False) -> list[tuple[str, str]]:
    return [(trial.scenario, trial.peer) for trial in trials(patterns, [*PEERS.values()], Scale(1.0, full))]


def test_the_full_form_has_everything() -> None:
    everything = planned(None, full=True)
    assert {scenario for scenario, _ in everything} == {*SCENARIOS, *OWN}
    assert {peer for _, peer in everything} == {*PEERS}


def test_the_short_form_has_some_of_it_and_anything_that_is_named() -> None:
    short = planned(None)
    assert set(short) < set(planned(None, full=True))
    assert not {scenario for scenario, _ in short} & {"room of 2000, 8 senders", "history"}
    assert ("room of 2000, 8 senders", "starlette") in planned(["room of 2000*"])
    assert planned(["hist*"]) == [("history", "beseda")]


def test_a_peer_takes_part_only_in_what_it_is_for() -> None:
    quiet = {scenario for scenario, peer in planned(["*"]) if peer == "beseda-quiet"}
    assert quiet == {"100 dialogs, 1 under way", "100 dialogs, 4 under way"}


def test_broken_off_it_keeps_what_it_has_found_and_leaves_nothing_running(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    how = ["--runs=99", "--seconds=0.1", f"--out={out}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", *how, "--only", "1 dialog*", "--peers", "prototype"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    while "prototype, 1 of 99" not in (line := process.stdout.readline()):
        assert line, "it ended by itself"
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in told
    assert "**1 dialog, 1 under way**" in told
    assert "Traceback" not in told
    assert [len(case.runs) for case in load(out).cases][-1] >= 1
    servers = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in read(path)]
    assert not servers
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""
