"""The other end: commands given to the server of a data folder, or carried out here where none runs on it."""

import asyncio
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beseda.control.folder import require_data, socket_path
from protocol.codec import decode, encode, parse
from protocol.errors import Refused
from storage import Held, Unusable

if TYPE_CHECKING:
    from beseda.settings import Config

ANSWER_SECONDS = 20.0
"""A server that can't store gives up after 5."""

PATIENCE_SECONDS = 5.0
"""How long to wait for a server that starts or stops at the moment, or for someone else's command."""


class Failed(Exception):
    """It was not done. `code` is a refusal's; `detail` a sentence that says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class NoServer(Exception):
    """Nobody listens on the folder's control socket."""


def do(config: "Config", command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Have a command of `beseda.control.commands` carried out; its result. Raises Failed, Refused, Unusable."""
    from beseda.control.commands import OPERATIONS

    folder = config.server.data_dir.absolute()
    require_data(folder)
    # Not everything that can be typed can be sent.
    parse(OPERATIONS[command].arguments, arguments)
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask(folder, command, arguments)
        except NoServer:
            pass
        try:
            return asyncio.run(_do_here(config, folder, command, arguments))
        except Held:
            # A server between its lock and its socket, or someone else who does without one, as we do.
            if time.monotonic() > until:
                raise Held(
                    f"{folder}: a server holds the folder and takes no commands. It starts or stops at the moment,"
                    " or is of an earlier version."
                ) from None
        time.sleep(0.1)


def ask(folder: Path, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the folder's server answers. Raises NoServer, Failed, Unusable."""
    request = encode({"command": command, "arguments": arguments}) + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking, socket_path(folder) as path:
            asking.connect(path)
            asking.settimeout(ANSWER_SECONDS)
            answer = _exchange(asking, request)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NoServer from None
    except OSError as error:
        raise Unusable(f"{folder}: the server can't be asked: {error.strerror or error}.") from None
    if "error" in answer:
        raise Failed(answer["error"]["code"], answer["error"]["detail"])
    result: dict[str, Any] = answer["result"]
    return result


def _exchange(asking: socket.socket, request: bytes) -> dict[str, Any]:
    try:
        asking.sendall(request)
        with asking.makefile("rb") as file:
            return decode(file.readline())
    except TimeoutError:
        raise Failed(
            "unavailable", f"The server did not answer within {ANSWER_SECONDS:g} s: it may still do it."
        ) from None
    except (ConnectionError, Refused):
        raise Failed("unavailable", "The server ended before it answered: see whether it was done.") from None


async def _do_here(
    config: "Config", folder: Path, command: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    from beseda.control.commands import Desk, perform
    from storage import Settings, looking, open_store
    from storage.attachments.local import LocalFiles

    # An upgrade, after which the version from before can't go on, is nothing that a command does in passing.
    with looking(folder):
        pass
    try:
        async with open_store(Settings(folder, config.storage.synchronous)) as store:
            desk = Desk(store, LocalFiles(folder), config.limits.live_members)
            return {**await perform(desk, command, arguments)}
    except Refused as refusal:
        raise Failed(refusal.code, refusal.detail) from None
