"""Beseda as one executable file, which PyInstaller makes of it (binary/beseda.spec).

Such a file is two processes. The one that was started unpacks into a temporary folder and runs the other, which is
this program. It passes on every signal that it gets, and in the end removes the folder and exits as the other did.
Killed, it does nothing of that: what then remains to be done is done here.
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

IS_FROZEN: bool = getattr(sys, "frozen", False)

RAN = "ran"
"""A file in the unpacked folder once its program has begun."""

MARK = Path("beseda", "commit")
"""By this file in it an unpacked folder is one of ours."""

UNPACKED_SECONDS = 60.0
"""After so long nobody is still unpacking."""

ECHO_SECONDS = 1.0
"""How soon after a signal the same one is only its echo."""

_NAME = re.compile(r"_MEI([0-9a-f]{8}).{6}")
"""What the unpacking process calls the folder: its own id stands in it."""

_PR_SET_PDEATHSIG = 1

_came: dict[int, float] = {}
_held: list[int] = []


def enter() -> None:
    """Be a good child of the process that unpacked us. To be called before all else, and where `IS_FROZEN` only."""
    folder = Path(sys._MEIPASS)  # type: ignore[attr-defined]
    _end_with_parent(folder)
    _hold_on_to_file()
    _restore_environment()
    signal.signal(signal.SIGINT, _interrupt)
    _lock(folder)
    sweep(folder)


def command() -> list[str]:
    """How Beseda calls itself: what goes before the arguments, `beseda` by its path or `python -m beseda`."""
    return [sys.executable] if IS_FROZEN else [sys.executable, "-m", "beseda"]


def is_echo(number: int) -> bool:
    """Whether a signal that came is the one before once more, and so means nothing. Only in the executable.

    A terminal and systemd send theirs to both processes, and then the other one passes on what it got.
    """
    now = time.monotonic()
    if not IS_FROZEN or now - _came.get(number, -ECHO_SECONDS) >= ECHO_SECONDS:
        _came[number] = now
        return False
    return True


def sweep(own: Path) -> None:
    """Remove the folders beside `own` that killed executables have left, as far as they were this user's."""
    for folder in _left_behind(own):
        shutil.rmtree(folder, ignore_errors=True)


def _left_behind(own: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for folder in own.parent.glob("_MEI*"):
            named = _NAME.fullmatch(folder.name)
            if folder == own or named is None or _is_running(int(named[1], 16)):
                continue
            # Others' folders can't be looked into, and may go at any time: their own program removes them.
            with contextlib.suppress(OSError):
                if _is_ours(folder) and not _is_in_use(folder):
                    yield folder


def _is_ours(folder: Path) -> bool:
    return folder.lstat().st_uid == os.geteuid() and (folder / MARK).exists()


def _is_in_use(folder: Path) -> bool:
    """Whether a program runs in it, or is still being unpacked: its process may be none that we see, in a container."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return not (folder / RAN).exists() and time.time() - folder.stat().st_mtime < UNPACKED_SECONDS


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _end_with_parent(folder: Path) -> None:
    """Have the kernel kill us when the other process dies: nobody could stop us any more. On Linux only."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    named = _NAME.fullmatch(folder.name)
    # It may have died before that.
    if named is not None and os.getppid() != int(named[1], 16):
        os.kill(os.getpid(), signal.SIGKILL)


def _hold_on_to_file() -> None:
    """Have modules read from the very file that runs: by its name an upgrade would already have another one."""
    if sys.platform == "linux":
        import pyimod02_importers  # type: ignore[import-not-found]

        pyimod02_importers.pyz_archive._filename = "/proc/self/exe"


def _restore_environment() -> None:
    """What we start is to find the environment as we were given it: its libraries are the system's, not ours."""
    for name in [name for name in os.environ if name.startswith("_PYI_")]:
        del os.environ[name]
    original = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    if original is not None:
        os.environ["LD_LIBRARY_PATH"] = original
    else:
        os.environ.pop("LD_LIBRARY_PATH", None)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGINT: an echo of it must not interrupt the tidying up after the first."""
    if not is_echo(number):
        signal.default_int_handler(number, frame)


def _lock(folder: Path) -> None:
    """Lock the folder until this process ends: systemd, which removes what is old in /tmp, leaves it alone."""
    # On a disk that is full now, or knows no locks, nothing but this is lost.
    with contextlib.suppress(OSError):
        _held.append(os.open(folder, os.O_RDONLY))
        fcntl.flock(_held[-1], fcntl.LOCK_EX)
        (folder / RAN).touch()
