"""The server's own composition root in the test's process, on a free port: for tests that must reach into it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from beseda.config import load
from beseda.listening import bind
from beseda.server import Server, assemble
from beseda.settings import Config

TIMEOUT = 20.0


def settings(data_dir: Path, **environ: str) -> Config:
    """The defaults but for the folder, and what `environ` says: `LIMITS__BODY_BYTES="1024"`."""
    variables = {f"BESEDA_{name}": value for name, value in environ.items()}
    return load(None, variables, {"server.data_dir": data_dir, "server.port": 0})


@contextlib.asynccontextmanager
async def serving(config: Config) -> AsyncIterator[tuple[str, Server]]:
    """Serve with these settings: the URL, and the server. It is stopped in good order at the end."""
    sockets = bind(config.server.host, config.server.port)
    async with assemble(config) as server:
        task = asyncio.create_task(server.serve(sockets))
        try:
            async with asyncio.timeout(TIMEOUT):
                while not server.started:
                    assert not task.done(), task
                    await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}", server
        finally:
            server.should_exit = True
            async with asyncio.timeout(TIMEOUT):
                await task


GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
REFRESH = b'{"refresh_token":"x"}'
"""The body of a request to /auth/refresh, which answers 401 and costs little."""


def head(path: str, *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode()
