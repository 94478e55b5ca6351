"""Socket.IO on Node, with better-sqlite3: its packages are installed when it is first asked for."""

import contextlib
import functools
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.peers.script import Script

FOLDER = Path(__file__).with_name("socketio")
INSTALL_SECONDS = 600.0
# Its binding is downloaded, or else built, by a script of its own.
INSTALL = (
    ["npm", "install", "--loglevel=error"],
    ["npm", "rebuild", "better-sqlite3", "--ignore-scripts=false", "--loglevel=error"],
)
PROBE = "new (require('better-sqlite3'))(':memory:'); require('socket.io')"


class SocketIo(Script):
    """The server in `socketio/server.cjs`."""

    def __init__(self) -> None:
        super().__init__("socketio", "socketio")

    def command(self) -> Sequence[str]:
        return ["node", str(FOLDER / "server.cjs")]

    @functools.cache  # noqa: B019 (there is one)
    def missing(self) -> str | None:
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                return f"there is no {program}: install node 20 or newer and npm (on Debian: apt install nodejs npm)"
        for command in ([], *INSTALL):
            if command:
                # Whatever comes of it is seen by the probe.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    subprocess.run(
                        command, cwd=FOLDER, capture_output=True, check=False, timeout=INSTALL_SECONDS
                    )
            probed = subprocess.run(
                ["node", "-e", PROBE], cwd=FOLDER, capture_output=True, text=True, check=False
            )
            if probed.returncode == 0:
                return None
        return (
            "better-sqlite3 could neither be downloaded nor built, which takes python3, make and g++ (on Debian: apt "
            f"install python3 make g++ nodejs): npm install in {FOLDER} says more"
        )
