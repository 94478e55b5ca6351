"""Showing how far something is, where a person watches."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from beseda.archives.telling import Tell


@contextlib.contextmanager
def progress() -> Iterator["Tell"]:
    """A bar on the terminal, on standard error; where that is none, nothing is shown.

    SIGTERM ends the block as Ctrl-C does, so that it clears up behind itself.
    """
    from beseda.archives.telling import telling_nobody

    before = signal.signal(signal.SIGTERM, _stop)
    try:
        if not sys.stderr.isatty():
            yield telling_nobody
            return
        with _bar() as tell:
            yield tell
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _bar() -> Iterator["Tell"]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None)
        now = ""

        def tell(step: str, done: int, total: int) -> None:
            nonlocal task, now
            if step != now:
                # Rich keeps a task's total where it is told that there is none.
                shown.remove_task(task)
                task, now = shown.add_task(step, total=total or None), step
            shown.update(task, completed=done)

        yield tell


def _stop(number: int, frame: FrameType | None) -> None:
    # A second one must not break off the clearing up.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
