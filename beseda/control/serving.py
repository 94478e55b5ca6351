"""The control socket: the server takes commands from its own machine, from who may write its data folder.

One request a connection, a line of JSON: `{"command": "user.disable", "arguments": {"user": "ann"}}`. The answer is
another: `{"result": {...}}` or `{"error": {"code": "not_found", "detail": "..."}}`.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from beseda.control.commands import Desk, perform
from beseda.control.folder import SOCKET, socket_path
from protocol.codec import decode, encode, parse
from protocol.commands import Command
from protocol.errors import Refused

logger = logging.getLogger(__name__)

REQUEST_BYTES = 64 * 1024
REQUEST_SECONDS = 5.0
"""How long a request may take to come."""

LIVE = "stats.live"
"""The command that only a server can answer: what goes on in it at the moment."""


class Request(Command):
    """A line that was asked."""

    command: str
    arguments: dict[str, Any]


class Control:
    """Answers on the control socket of the desk's folder, whose lock is ours. `live` tells what goes on."""

    def __init__(self, desk: Desk, live: Callable[[], Mapping[str, Any]]) -> None:
        self._desk = desk
        self._live = live
        self._folder = desk.store.settings.data_dir
        self._server: asyncio.Server | None = None
        self._reading: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen. Where that can't be the server does without, and its log says so."""
        try:
            listener = _bind(self._folder)
        except OSError as error:
            logger.warning(
                "%s: commands such as `beseda user` won't reach this server: %s",
                self._folder / SOCKET,
                error.strerror or error,
            )
            return
        self._server = await asyncio.start_unix_server(self._connected, sock=listener, limit=REQUEST_BYTES)

    async def close(self) -> None:
        """Listen no more; what was asked is still answered."""
        if self._server is not None:
            self._server.close()
            self._server = None
            (self._folder / SOCKET).unlink(missing_ok=True)
        for task in self._reading:
            task.cancel()
        while self._answering:
            await asyncio.wait(list(self._answering))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            line = await self._read(task, reader)
            self._answering.add(task)
            # A few bytes: the system takes them at once, whether they are read or not.
            writer.write(encode(await self._answer(line)) + b"\n")
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # nobody waits for an answer any more; and streams log a task that was cancelled as a bug
        finally:
            self._answering.discard(task)
            writer.close()

    async def _read(self, task: asyncio.Task[None], reader: asyncio.StreamReader) -> bytes | None:
        """A request's line; None for one that is too long. Raises TimeoutError, IncompleteReadError, OSError."""
        self._reading.add(task)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await reader.readuntil()
        except asyncio.LimitOverrunError:
            return None
        finally:
            self._reading.discard(task)

    async def _answer(self, line: bytes | None) -> Mapping[str, Any]:
        try:
            if line is None:
                raise Refused("too_large", f"A request has at most {REQUEST_BYTES} bytes.")
            request = parse(Request, decode(line))
            if request.command == LIVE:
                return {"result": self._live()}
            return {"result": await perform(self._desk, request.command, request.arguments)}
        except Refused as refusal:
            return {"error": {"code": refusal.code, "detail": refusal.detail}}
        except Exception:
            logger.exception("A command on the control socket failed")
            return {"error": {"code": "internal", "detail": "The server failed at it: its log says why."}}


def _bind(folder: Path) -> socket.socket:
    """A socket that listens in the folder, for its owner only. Raises OSError."""
    # We hold the folder's lock, so one that lies there is a dead server's.
    (folder / SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # It has its mode from its first moment on; after a chmod someone might be connected already.
    umask = os.umask(0o177)
    try:
        with socket_path(folder) as path:
            listener.bind(path)
        listener.listen()
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(umask)
    return listener
