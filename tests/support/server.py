"""A real server process: `python -m beseda serve` on a free port, with a data folder of its own.

Its passwords are cheap (tests/support/cheap.py) unless it is to be `genuine`.

Whoever starts one stops it: as a context manager, or through the fixtures of `tests/conftest.py`. Its methods
block; a test whose sockets must go on reading meanwhile (a drain waits for them) runs them through
`asyncio.to_thread`.
"""

import atexit
import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import secrets

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20.0
STOP_SECONDS = 15.0
"""The server owes 10; the rest is for a busy machine."""

_FIRST_LINE = re.compile(r"Beseda listens on (https?://127\.0\.0\.1:[1-9][0-9]*)")
_BUG = re.compile(r"Traceback \(most recent call last\)|\b[A-Za-z]*Warning: |was never (?:awaited|retrieved)")

UNLIMITED: dict[str, "Setting"] = {
    "limits.messages_per_second": 0,
    "limits.requests_per_second": 0,
    "auth.login_attempts_per_minute": 0,
    "auth.address_attempts_per_minute": 0,
    "auth.registrations_per_minute": 0,
}
"""All tests come from one address, and few have time to be slow."""

Setting = str | int | float | bool | Sequence[str]

current: set["ServerProcess"] = set()
"""Every server that was started and not yet let go of: a failing test shows their output."""


class ServerFailed(AssertionError):
    """The server did not start, did not stop, or wrote what it must never write; tells its output."""


class ServerProcess:
    """One server on one data folder; it may be stopped or killed and started again.

    `settings` are named as in the file ("limits.frame_bytes") and go through the environment, to which `environment`
    adds what is no setting. With `has_rates` people may do as much in a time as on a server with its defaults;
    otherwise without limit. `module`, if one is named, is run in the place of `beseda`; `command`, in that of Python.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Setting] | None = None,
        *,
        data_dir: Path | None = None,
        config: Path | None = None,
        genuine: bool = False,
        has_rates: bool = False,
        environment: Mapping[str, str] | None = None,
        module: str = "",
        command: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir or folder / "data"
        self.base_url = ""
        """`http://127.0.0.1:PORT`; every start takes another port, unless `port` says which."""
        self.port = 0
        self.ws_url = ""
        """`ws://127.0.0.1:PORT/ws`."""
        self.trust: ssl.SSLContext | None = None
        """Set by tests whose server speaks TLS: whose certificates its clients believe."""
        self.may_log_errors = False
        """Set by tests that make the server fail on purpose: a trace in its output is then no bug."""
        self.secrets: set[str] = set()
        """What its clients have said and heard that its output must not hold (tests/support/secrets.py)."""
        # Loud, so that what is logged at any level is searched for secrets.
        loud: dict[str, Setting] = {} if genuine else {"log.level": "debug"}
        self._settings = {**loud, **({} if has_rates else UNLIMITED), **(settings or {})}
        self._config = config
        self._more_environment = dict(environment or {})
        program = module or ("beseda" if genuine else "tests.support.cheap")
        self._command = command or [sys.executable, "-m", program]
        self._stdout = folder / "stdout.txt"
        self._stderr = folder / "stderr.txt"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        """All that it has written since its first start: standard output, then standard error."""
        parts = [path.read_text("utf-8", "replace") for path in (self._stdout, self._stderr) if path.exists()]
        return "".join(parts)

    def complaints(self) -> list[str]:
        """The lines of it that are none of debug."""
        return [line for line in self.output().splitlines() if " DEBUG " not in line]

    def launch(self) -> None:
        """Start the process without waiting for it to serve (a test of a start that is refused)."""
        assert not self.is_running, "the server runs already"
        command = [*self._command, "serve", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--data", str(self.data_dir)]
        if self._config is not None:
            command += ["--config", str(self._config)]
        with self._stdout.open("wb") as stdout, self._stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        current.add(self)

    def start(self) -> Self:
        """Start the process and wait until it says where it listens, as its first line (bounded)."""
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while "\n" not in (text := self._stdout.read_text("utf-8", "replace")):
            if not self.is_running:
                raise self._failure(f"the server ended with exit code {self.wait()} before it listened")
            if time.monotonic() > deadline:
                self.kill()
                raise self._failure(f"the server did not listen within {START_SECONDS:g} s")
            time.sleep(0.01)
        first = _FIRST_LINE.fullmatch(text.partition("\n")[0])
        if first is None:
            self.kill()
            raise self._failure("the server's first line does not say where it listens")
        self.base_url = first[1]
        self.ws_url = self.base_url.replace("http", "ws", 1) + "/ws"
        return self

    def stop(self) -> int:
        """SIGTERM; the exit code (bounded)."""
        if self.is_running:
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL: what it had not made durable is lost."""
        if self.is_running:
            self.signal(signal.SIGKILL)
        self.wait()

    def restart(self) -> Self:
        """Start again on the same data; stops it first where it still runs, and that must end with 0."""
        if self.is_running and (code := self.stop()) != 0:
            raise self._failure(f"the server ended with exit code {code}")
        return self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        assert self._process is not None, "the server is not running"
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code, once the process ends (bounded)."""
        assert self._process is not None, "the server was never started"
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise self._failure(f"the server did not end within {STOP_SECONDS:g} s") from None

    def let_go(self) -> None:
        """End it, whatever it is doing; without a word about how it ended. Its output holds no secret even so."""
        if self.is_running:
            self.kill()
        current.discard(self)
        self.check_secrets()

    def check_output(self) -> None:
        """What no output may hold: a trace or a warning (a bug), a token or a signature."""
        output = self.output()
        if not self.may_log_errors and (bug := _BUG.search(output)):
            raise self._failure(f"the server's output tells of a bug: {bug[0]!r}")
        self.check_secrets()

    def check_secrets(self) -> None:
        """What no output may hold either: tokens, signatures, passwords, and what people wrote."""
        written = secrets.texts(self.data_dir / "beseda.db")
        if secret := secrets.find(self.output(), [*self.secrets, *written]):
            raise self._failure(f"the server's output holds a secret: {secret!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.is_running and (code := self.stop()) != 0:
                raise self._failure(f"the server ended with exit code {code}")
            self.check_output()
        finally:
            self.let_go()

    def _environment(self) -> dict[str, str]:
        # Nothing of the developer's own settings may reach the tests; all else is needed (coverage, PATH).
        ours = ("BESEDA_", "NOTIFY_", "WATCHDOG_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        settings = {variable(name): _text(value) for name, value in self._settings.items()}
        return inherited | self._more_environment | settings

    def _failure(self, reason: str) -> ServerFailed:
        return ServerFailed(f"{reason}; its output:\n{self.output() or '(nothing)'}")


def variable(setting: str) -> str:
    """The environment's name of a setting: `BESEDA_LIMITS__FRAME_BYTES` for "limits.frame_bytes"."""
    return "BESEDA_" + setting.upper().replace(".", "__")


def _text(value: Setting) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value)


@atexit.register
def _end_all() -> None:
    """An interrupted test run leaves no server behind."""
    for server in list(current):
        with contextlib.suppress(ServerFailed):
            server.let_go()
