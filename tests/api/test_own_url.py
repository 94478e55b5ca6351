"""The server's own URL, as the presign's answer tells it: what the client itself wrote, or what the settings say."""

import json

import pytest

from tests.api.conftest import Cast
from tests.support.fixtures import StartServer
from tests.support.raw import RawSocket
from tests.support.rest import Person, Rest, succeeded
from tests.support.server import ServerProcess

BODY = b'{"filename":"a.png","content_type":"image/png"}'


async def presigned(server: ServerProcess, person: Person, *headers: str, version: str = "1.1") -> str:
    """The URL that a presign with these headers answers with."""
    lines = [f"POST /attachments/presign HTTP/{version}", *headers, "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {person.token}", f"Content-Length: {len(BODY)}", "", ""]
    with await RawSocket.open(server.base_url) as raw:
        await raw.send("\r\n".join(lines).encode("latin-1") + BODY)
        answer = await raw.answer()
    assert answer.status == 201, answer
    url = json.loads(answer.body)["url"]
    assert isinstance(url, str)
    return url


@pytest.mark.parametrize(
    "host", ["chat.example.org", "localhost:8000", "[::1]:8000", "[2001:db8::1]", "a_b.example"]
)
async def test_it_is_at_the_host_that_the_client_wrote(server: ServerProcess, cast: Cast, host: str) -> None:
    assert (await presigned(server, cast.ann, f"Host: {host}")).startswith(f"http://{host}/files/")


@pytest.mark.parametrize(
    "host", ["", "a b", "a/b", "a@b", "a?b", '"><script>', "a:b", "[::1", "\xe9.example", "a,b"]
)
async def test_a_host_that_is_none_is_not_repeated(server: ServerProcess, cast: Cast, host: str) -> None:
    url = await presigned(server, cast.bob, f"Host: {host}")
    assert url.startswith(f"{server.base_url}/files/")


async def test_a_client_without_a_host_gets_the_address_it_reached(server: ServerProcess, cast: Cast) -> None:
    url = await presigned(server, cast.eve, version="1.0")
    assert url.startswith(f"{server.base_url}/files/")


async def test_a_trusted_proxy_tells_the_scheme(server: ServerProcess, cast: Cast) -> None:
    url = await presigned(server, cast.eve, "Host: chat.example.org", "X-Forwarded-Proto: https")
    assert url.startswith("https://chat.example.org/files/")


async def test_a_public_url_overrides_what_the_client_wrote(start_server: StartServer) -> None:
    process = start_server({"server.public_url": "https://chat.example.org/"})
    async with Rest(process) as rest:
        ann = await rest.register()
        body = {"filename": "a.png", "content_type": "image/png"}
        url = succeeded(await rest.post("/attachments/presign", body, ann))["url"]
    assert url.startswith("https://chat.example.org/files/")
