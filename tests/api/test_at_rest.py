"""What the files of the data folder hold, byte by byte, and what they must not."""

import base64
import json
from pathlib import Path

from tests.support.files import PNG, fresh_url, presign, sent, uploaded
from tests.support.rest import Rest, succeeded
from tests.support.server import ServerProcess


def stored(server: ServerProcess) -> bytes:
    """All bytes of the database, what is not folded in yet among them."""
    files: list[Path] = sorted(server.data_dir.glob("beseda.db*"))
    assert [file.name for file in files] == ["beseda.db", "beseda.db-shm", "beseda.db-wal"]
    return b"".join(file.read_bytes() for file in files)


def forms(secret: str) -> set[bytes]:
    """A secret as it might be stored: as it is, or as the bytes that it writes."""
    padded = secret + "=" * (-len(secret) % 4)
    return {secret.encode(), base64.urlsafe_b64decode(padded)}


async def test_no_byte_of_the_database_helps_to_be_someone(server: ServerProcess, rest: Rest) -> None:
    ann, bob = await rest.people("ann", "bob")
    rotated = succeeded(
        await rest.post("/auth/refresh", {"refresh_token": ann.refresh_token, "rotate": True})
    )
    ticket = succeeded(await rest.post("/auth/ticket", None, ann))["ticket"]
    chat = await rest.dialog(ann, bob)
    attachment = await uploaded(rest, ann, PNG)
    urls = [
        (await presign(rest, ann))["url"],
        await sent(rest, ann, chat, attachment),
        await fresh_url(rest, bob, attachment),
    ]
    tokens = [ann.token, ann.refresh_token, bob.token, rotated["access_token"], rotated["refresh_token"]]
    held = stored(server)
    claims = json.loads(base64.urlsafe_b64decode(rotated["refresh_token"].split(".")[1] + "=="))
    assert claims["jti"].encode() in held, "there is nothing to look at"
    assert ann.email.encode() in held
    for token in tokens:
        # The header is the same for all, and no secret.
        for part in token.split(".")[1:]:
            assert not [form for form in forms(part) if form in held]
    for url in urls:
        assert url.partition("signature=")[2].encode() not in held
    for secret in (ticket, ann.password):
        assert secret.encode() not in held
    assert (server.data_dir / "signing.key").read_bytes() not in held
