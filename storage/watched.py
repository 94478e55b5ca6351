"""Looking up now and then from what SQLite does in one long step."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator

from storage.failures import result_code

STEPS = 10_000
"""Instructions of SQLite's between two looks; some milliseconds."""


@contextlib.contextmanager
def watched(db: sqlite3.Connection, look: Callable[[], None]) -> Iterator[None]:
    """Call `look` now and then while SQLite works. What it raises, or a signal that came, ends the block with it."""
    raised: BaseException | None = None

    def step() -> int:
        nonlocal raised
        try:
            look()
        except BaseException as error:  # noqa: BLE001 - SQLite is stopped, and then it goes on its way
            raised = error
            return 1
        return 0

    db.set_progress_handler(step, STEPS)
    try:
        yield
    except sqlite3.Error as error:
        if raised is not None:
            raise raised from None
        if result_code(error) == sqlite3.SQLITE_INTERRUPT:
            # A signal's own exception, raised before `step` was there to catch it. The database is none the worse.
            raise KeyboardInterrupt from None
        raise
    finally:
        db.set_progress_handler(None, STEPS)
