"""What the executable's program does for itself, as far as it takes no executable; tests/binary has the rest."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beseda import frozen

OLD = 1_000_000_000


@pytest.fixture(scope="module")
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def unpacked(temporary: Path, process: int, *, mark: bool = True, ran: bool = True) -> Path:
    """A folder that this process has unpacked into, long ago."""
    folder = temporary / f"_MEI{process:08x}AbCd12"
    (folder / "beseda").mkdir(parents=True)
    if mark:
        (folder / frozen.MARK).touch()
    if ran:
        (folder / frozen.RAN).touch()
    os.utime(folder, (OLD, OLD))
    return folder


def swept(temporary: Path, folder: Path) -> bool:
    frozen.sweep(temporary / "_MEI00000001AbCd12")
    return not folder.exists()


@pytest.mark.parametrize("ran", [True, False], ids=["it ran", "it was killed while it unpacked"])
def test_what_a_killed_executable_left_is_removed(tmp_path: Path, ended: int, ran: bool) -> None:
    assert swept(tmp_path, unpacked(tmp_path, ended, ran=ran))


def test_what_another_program_left_stays(tmp_path: Path, ended: int) -> None:
    assert not swept(tmp_path, unpacked(tmp_path, ended, mark=False, ran=False))


def test_where_the_process_lives_its_folder_stays(tmp_path: Path) -> None:
    assert not swept(tmp_path, unpacked(tmp_path, os.getpid(), ran=False))


def test_where_the_process_lives_in_another_container_its_folder_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ended: int
) -> None:
    folder = unpacked(tmp_path, ended, ran=False)
    monkeypatch.setattr(frozen, "_held", [])
    frozen._lock(folder)
    os.utime(folder, (OLD, OLD))
    assert not swept(tmp_path, folder)
    os.close(frozen._held[0])
    assert swept(tmp_path, folder)


def test_what_may_still_be_unpacked_stays(tmp_path: Path, ended: int) -> None:
    folder = unpacked(tmp_path, ended, ran=False)
    os.utime(folder)
    assert not swept(tmp_path, folder)


def test_a_folder_of_another_name_stays(tmp_path: Path, ended: int) -> None:
    folder = unpacked(tmp_path, ended).rename(tmp_path / "_MEIxyz")
    assert not swept(tmp_path, folder)


def test_what_is_started_gets_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PYI_ARCHIVE_FILE", "/srv/beseda")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/tmp/_MEI00000001AbCd12:/opt/lib")
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/opt/lib")
    frozen._restore_environment()
    assert os.environ["LD_LIBRARY_PATH"] == "/opt/lib"
    assert not {"_PYI_ARCHIVE_FILE", "LD_LIBRARY_PATH_ORIG"} & os.environ.keys()
    monkeypatch.setenv("LD_LIBRARY_PATH", "/tmp/_MEI00000001AbCd12")
    frozen._restore_environment()
    assert "LD_LIBRARY_PATH" not in os.environ


def test_a_signal_has_an_echo_in_the_executable_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(frozen, "_came", {})
    monkeypatch.setattr("time.monotonic", lambda: now)
    assert [frozen.is_echo(signal.SIGTERM) for _ in range(2)] == [False, False]
    monkeypatch.setattr(frozen, "IS_FROZEN", True)
    now = 200.0
    assert [frozen.is_echo(signal.SIGTERM) for _ in range(2)] == [False, True]
    assert not frozen.is_echo(signal.SIGINT), "it is another one"
    now += frozen.ECHO_SECONDS
    assert not frozen.is_echo(signal.SIGTERM), "this one is meant"


def test_an_interrupt_interrupts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "_came", {})
    monkeypatch.setattr(frozen, "IS_FROZEN", True)
    with pytest.raises(KeyboardInterrupt):
        frozen._interrupt(signal.SIGINT, None)
    monkeypatch.setattr("time.monotonic", lambda: frozen._came[signal.SIGINT])
    frozen._interrupt(signal.SIGINT, None)


def test_beseda_calls_itself_by_the_python_that_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert frozen.command() == [sys.executable, "-m", "beseda"]
    monkeypatch.setattr(frozen, "IS_FROZEN", True)
    assert frozen.command() == [sys.executable]
