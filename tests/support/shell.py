"""A shell that reads what a page tells its reader to type, and the tools that the page takes for granted.

`make test` asks a machine for Python and make alone. So where `curl` or `sqlite3` is missing a few lines here stand in
for what the pages use of them; `python3` is this Python, and `beseda` this code.
"""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0
_MARK = "--- the end of the block ---"

CURL = """
import sys, urllib.error, urllib.request
arguments, headers, data, url = iter(sys.argv[1:]), {}, None, ""
for argument in arguments:
    if argument == "-H":
        name, _, value = next(arguments).partition(":")
        headers[name] = value.strip()
    elif argument == "-d":
        data = next(arguments).encode()
    elif argument != "-s":
        assert not argument.startswith("-"), f"what is {argument}?"
        url = argument
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, data, headers))
except urllib.error.HTTPError as error:
    answer = error
sys.stdout.buffer.write(answer.read())
"""

SQLITE3 = """
import sqlite3, sys
*options, path, sql = sys.argv[1:]
assert options in ([], ["-readonly"]), options
database = sqlite3.connect(f"file:{path}?mode={'ro' if options else 'rw'}", uri=True, isolation_level=None)
for row in database.execute(sql):
    print(*row, sep="|")
"""


def blocks(page: str, language: str = "sh") -> list[str]:
    """The fenced blocks of a page in this language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


class Shell:
    """One shell that runs block after block in `folder`, as a reader's terminal does; a command that fails ends it.

    `tools` is a folder to be made for what goes before the machine's own tools: with `stand_ins` all that there are,
    otherwise those that the machine has not.
    """

    def __init__(self, folder: Path, tools: Path, *, stand_ins: bool) -> None:
        self._folder = folder
        self._tools = tools
        self._stand_ins = stand_ins

    async def __aenter__(self) -> Self:
        _make_tools(self._tools, self._stand_ins)
        path = os.pathsep.join([str(self._tools), os.environ.get("PATH", os.defpath)])
        self._process = await asyncio.create_subprocess_exec(
            shutil.which("bash") or "sh",
            cwd=self._folder,
            env=os.environ | {"PATH": path, "NO_PROXY": "*", "no_proxy": "*"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        await self.run("set -eu")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end(self._process)

    async def run(self, block: str) -> str:
        """What a block prints. It must succeed."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{block}\necho '{_MARK}'\n".encode())
        printed = await until(self._process, _MARK + "\n")
        return printed.removesuffix(_MARK + "\n")


async def until(process: asyncio.subprocess.Process, text: str) -> str:
    """What a process prints, up to this text (bounded)."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            return (await process.stdout.readuntil(text.encode())).decode()
    except asyncio.IncompleteReadError as error:
        raise AssertionError(f"it ended before {text!r}: {error.partial.decode()}") from None
    except TimeoutError:
        raise AssertionError(f"no {text!r} within {PATIENCE:g} s") from None


async def end(process: asyncio.subprocess.Process) -> None:
    """Close a process's input and wait for its end; kill it where that takes too long."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(PATIENCE):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError("the process did not end") from None


def _make_tools(folder: Path, stand_ins: bool) -> None:
    folder.mkdir()
    _write(folder / "python3", ['exec "$PYTHON" "$@"'])
    _write(folder / "beseda", [f'PYTHONPATH=\'{ROOT}\' exec "$PYTHON" -m beseda "$@"'])
    for name, source in (("curl", CURL), ("sqlite3", SQLITE3)):
        if stand_ins or shutil.which(name) is None:
            script = folder / f"instead_of_{name}.py"
            script.write_text(source, "utf-8")
            _write(folder / name, [f'exec "$PYTHON" "{script}" "$@"'])


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("\n".join(["#!/bin/sh", f"PYTHON='{sys.executable}'", *lines]) + "\n", "utf-8")
    path.chmod(0o755)
