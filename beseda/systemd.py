"""What systemd is told (sd_notify(3)): that the server is ready, lives, and stops. Nothing where nobody listens.

A datagram each; the libraries for it have no types, and are longer.
"""

import asyncio
import contextlib
import logging
import os
import socket
from pathlib import Path

from hub import Hub
from storage import Store

STATUS_SECONDS = 15.0
"""How often it is told who is there, unless the watchdog wants to hear more often."""

STUCK_SECONDS = 60.0
"""So long a commit may take. Other processes' locks are waited for no longer than 5 s, and then it fails."""

logger = logging.getLogger(__name__)


def notify(*lines: str) -> None:
    """Tell systemd, if it started us with `Type=notify`. Never blocks; what can't be told is logged."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name.startswith(("/", "@")):
        return
    # Linux writes an abstract name with a NUL in front.
    address = "\0" + name[1:] if name.startswith("@") else name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(), address)
    except OSError as error:
        logger.warning("systemd could not be told %s: %s", lines[0], error)


def watchdog_seconds() -> float | None:
    """How often at least the watchdog wants to hear from us; None where there is none.

    It may be our parent's: the single file is started by a process of its own, and `sh -c` is another.
    """
    microseconds, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    is_ours = pid in ("", str(os.getpid()), str(os.getppid()))
    return int(microseconds) / 1_000_000 if microseconds.isdecimal() and is_ours else None


class Supervision:
    """Tells systemd how the server is. On the event loop, so that one that hangs is not heard from."""

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._was_stuck = False
        self._seconds = STATUS_SECONDS
        if watchdog := watchdog_seconds():
            self._seconds = min(self._seconds, watchdog / 2)

    def begin(self) -> None:
        """The server accepts connections."""
        if "NOTIFY_SOCKET" in os.environ:
            notify("READY=1")
            self._tell()

    def end(self) -> None:
        """The server is about to stop."""
        notify("STOPPING=1")

    def is_alive(self) -> bool:
        """Whether the thread that writes gets on. One that waits for a slow disk does: no restart would mend that."""
        if self._store.committing_seconds < STUCK_SECONDS:
            return True
        return _waits_for_disk(self._store.writer_thread)

    def _tell(self) -> None:
        asyncio.get_running_loop().call_later(self._seconds, self._tell)
        is_stuck = not self.is_alive()
        if is_stuck and not self._was_stuck:
            logger.critical("A commit has lasted for %d s, and systemd's watchdog may act", STUCK_SECONDS)
        self._was_stuck = is_stuck
        connections, users = self._hub.connected()
        status = f"STATUS={connections} sockets of {users} users"
        if is_stuck:
            notify(f"{status}; the thread that writes is stuck")
        else:
            notify("WATCHDOG=1", status)


def _waits_for_disk(thread: int | None) -> bool:
    """Whether the kernel has the thread wait for a disk (proc(5), the state D)."""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/self/task/{thread}/stat").read_bytes()
        return state.rpartition(b")")[2].split()[:1] == [b"D"]
    return False
