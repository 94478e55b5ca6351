"""A terminal for our own tests: a program on a real pty, its screen as one sees it, keys as one presses them."""

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyte

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0
"""A chat waits up to 30 s of its own accord before it tries to connect again."""

KEYS = {
    "enter": "\r",
    "tab": "\t",
    "escape": "\x1b",
    "alt-enter": "\x1b\r",
    "alt-1": "\x1b1",
    "alt-2": "\x1b2",
    "ctrl-c": "\x03",
    "ctrl-d": "\x04",
    "ctrl-n": "\x0e",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "f1": "\x1bOP",
    "focus": "\x1b[I",
    "blur": "\x1b[O",
}


class Terminal:
    """`async with Terminal("chat", url, state=folder) as terminal`: `beseda chat` in a terminal of its own."""

    def __init__(
        self,
        *arguments: str,
        state: Path,
        columns: int = 80,
        lines: int = 24,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (sys.executable, "-m", "beseda"),
    ) -> None:
        self._master, self._slave = pty.openpty()
        self.size(columns, lines)
        self.before = termios.tcgetattr(self._slave)
        self._screen = _Screen(columns, lines, self._write)
        self._stream = pyte.ByteStream(self._screen)
        self.output = bytearray()
        """All bytes that the program has written."""
        self._news = asyncio.Event()
        inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self._process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env=inherited
            | {"XDG_STATE_HOME": str(state), "TERM": "xterm", "LANG": "C.UTF-8"}
            | dict(environment or {}),
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
        )
        asyncio.get_running_loop().add_reader(self._master, self._read)

    @property
    def text(self) -> str:
        """The screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def settings(self) -> list[Any]:
        """What the terminal is set to; a program that leaves must leave `before`."""
        return termios.tcgetattr(self._slave)

    def size(self, columns: int, lines: int) -> None:
        """What the program finds the size of its window to be."""
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int) -> None:
        """The window is dragged to another size."""
        self._screen.resize(lines, columns)
        self.size(columns, lines)
        self._process.send_signal(signal.SIGWINCH)

    def write(self, text: str) -> None:
        """Type a text."""
        self._write(text)

    def press(self, *keys: str) -> None:
        """Press keys."""
        for key in keys:
            self._write(KEYS[key])

    def say(self, line: str) -> None:
        """Type a line and press Enter."""
        self._write(line + "\r")

    async def until(self, *conditions: str | Callable[[str], object]) -> str:
        """Wait until the screen shows these texts, and fulfils these conditions, all at once; the screen (bounded).

        What the program draws arrives in pieces: what must be seen together is to be waited for together.
        """
        try:
            async with asyncio.timeout(SECONDS):
                while not all(
                    condition in self.text if isinstance(condition, str) else condition(self.text)
                    for condition in conditions
                ):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"the screen never showed {conditions!r}; it shows:\n{self.text}") from None
        return self.text

    async def answer(self, question: str, answer: str) -> None:
        """Wait for a question behind all that was asked so far, and answer it."""
        await self.until(lambda text: text.rstrip().endswith(question.rstrip()))
        self.say(answer)

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    async def ended(self) -> int:
        """The exit code, once the program has ended (bounded). What it wrote last may still be on its way here."""
        return await asyncio.to_thread(self._process.wait, SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        if self._process.poll() is None:
            self._process.kill()
        await asyncio.to_thread(self._process.wait)
        os.close(self._slave)
        os.close(self._master)
        if error is not None:
            error.add_note(f"the terminal shows:\n{self.text}")

    def _read(self) -> None:
        data = os.read(self._master, 65536)
        self.output += data
        self._stream.feed(data)
        self._news.set()

    def _write(self, text: str) -> None:
        os.write(self._master, text.encode())


class _Screen(pyte.Screen):
    """Answers when it is asked where its cursor is."""

    def __init__(self, columns: int, lines: int, write: Callable[[str], None]) -> None:
        self._answer = write
        super().__init__(columns, lines)

    def write_process_input(self, data: str) -> None:
        self._answer(data)
