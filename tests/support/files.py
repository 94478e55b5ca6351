"""Files for our own tests: up through a presigned URL, sent, and down again."""

import asyncio
from pathlib import Path
from typing import Any

from tests.support.rest import Json, Person, Rest, succeeded
from tests.support.server import ServerProcess

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


async def presign(
    rest: Rest, by: Person, filename: str = "a.png", content_type: str = "image/png", **more: Any
) -> Json:
    body = {"filename": filename, "content_type": content_type, **more}
    return succeeded(await rest.post("/attachments/presign", body, by))


async def uploaded(
    rest: Rest, by: Person, data: bytes = PNG, filename: str = "a.png", content_type: str = "image/png"
) -> int:
    answer = await presign(rest, by, filename, content_type)
    response = await rest.put(answer["url"], data)
    assert response.status_code == 200, response.text
    attachment_id: int = answer["id"]
    return attachment_id


async def fresh_url(rest: Rest, by: Person, attachment_id: int) -> str:
    response = await rest.request(
        "GET", f"/attachments/{attachment_id}", by=by, headers={"Accept": "application/json"}
    )
    url: str = succeeded(response)["url"]
    return url


async def sent(rest: Rest, by: Person, chat: int, attachment_id: int) -> str:
    """Send it; its URL in the message."""
    message = await rest.send(by, chat, "look", attachments=[attachment_id])
    url: str = message["attachments"][0]["url"]
    return url


def kept(server: ServerProcess) -> set[Path]:
    """Every file that the server's attachments take, whole or not."""
    return {path for path in (server.data_dir / "attachments").rglob("*") if not path.is_dir()}


async def until_kept(server: ServerProcess, expected: set[Path]) -> None:
    async with asyncio.timeout(20):
        while kept(server) != expected:
            await asyncio.sleep(0.02)
