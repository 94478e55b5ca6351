"""REST on one connection that is kept: small, since it is not what is measured."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, its body not yet parsed; the headers' names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)


class Rest:
    """One user's connection; it is made anew where the server ended it. One call at a time."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self._port = port
        self._authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: Any = None, content: bytes | None = None) -> Answer:
        """Ask, with a JSON `body` or with bytes. Raises OSError, EOFError or TimeoutError where no answer comes."""
        data = content if content is not None else b"" if body is None else orjson.dumps(body)
        kind = "Content-Type: application/json\r\n" if body is not None else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n{self._authorization}{kind}"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(TIMEOUT):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                reader, writer = self._streams
                writer.write(head.encode() + data)
                return await self._answer(reader)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(status.split()[1]), headers, body)
