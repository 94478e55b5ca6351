"""The proxies' files in `deploy/`, each with its proxy in front of a real server."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.support import proxies
from tests.support.certificates import Authority
from tests.support.files import presign
from tests.support.fixtures import Connect
from tests.support.proxies import MakeCommand, Proxy
from tests.support.rest import TIMEOUT, Rest, succeeded
from tests.support.server import ServerProcess

pytestmark = pytest.mark.gate

ELSEWHERE = "127.0.0.2"
"""A client's address, another one than the proxy's."""

MIB = 2**20
CANARY = "canary-0123456789"


@pytest.fixture(scope="module", params=[proxies.caddy, proxies.nginx], ids=["caddy", "nginx"])
def proxy(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("proxy")
    authority = Authority(folder)
    authority.issue()
    make_command: MakeCommand = request.param
    proxy = Proxy(folder / "own", authority, make_command)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def server(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that all its clients reach through the proxy."""
    with ServerProcess(tmp_path_factory.mktemp("server"), {"server.public_url": proxy.url}) as process:
        proxy.put_before(process.start())
        yield process


@pytest.fixture
async def rest(server: ServerProcess) -> AsyncIterator[Rest]:
    """REST from another address."""
    async with Rest(server) as rest:
        await rest.http.aclose()
        assert server.trust is not None
        transport = httpx.AsyncHTTPTransport(verify=server.trust, local_address=ELSEWHERE)
        rest.http = httpx.AsyncClient(transport=transport, timeout=TIMEOUT)
        yield rest


async def test_the_server_knows_its_clients_by_their_own_addresses(rest: Rest) -> None:
    ann = await rest.register()
    credentials = {"email": ann.email, "password": ann.password}
    invented = {"X-Forwarded-For": "203.0.113.9"}
    succeeded(await rest.request("POST", "/auth/login", json=credentials, headers=invented))
    sessions = (await rest.get("/auth/sessions", ann)).json()
    assert [session["address"] for session in sessions] == [ELSEWHERE, ELSEWHERE]


async def test_a_socket_goes_through_and_comes_back_after_the_proxy_was_restarted(
    rest: Rest, connect: Connect, proxy: Proxy
) -> None:
    ann, bob = await rest.people("ann", "bob")
    chat = await rest.dialog(ann, bob)
    author, reader = await connect(ann), await connect(bob)
    message = await author.say(chat, "through")
    frame = await reader.next("new_message")
    assert frame["message"]["id"] == message["id"]
    await asyncio.to_thread(proxy.stop)
    await reader.closed()
    await asyncio.to_thread(proxy.start)
    await rest.send(ann, chat, "meanwhile")
    back = await connect(bob, since=frame["event_id"])
    assert (await back.next("new_message"))["message"]["text"] == "meanwhile"


async def test_the_largest_file_goes_up_and_comes_down_in_parts(rest: Rest, proxy: Proxy) -> None:
    ann = await rest.register()
    chat = await rest.group(ann)
    data = bytes(range(256)) * (25 * MIB // 256)
    place = await presign(rest, ann, "film.bin", "application/octet-stream")
    assert place["url"].startswith(f"{proxy.url}/files/")
    assert (await rest.put(place["url"], data)).status_code == 200
    message = await rest.send(ann, chat, "look", attachments=[place["id"]])
    url = message["attachments"][0]["url"]
    assert url.startswith(f"{proxy.url}/files/")
    assert (await rest.get(url)).content == data
    middle = await rest.request("GET", url, headers={"Range": f"bytes={10 * MIB}-{10 * MIB + 99}"})
    assert (middle.status_code, middle.content) == (206, data[10 * MIB : 10 * MIB + 100])


async def test_no_secret_stands_in_the_proxy_s_logs_even_when_the_server_is_down(
    rest: Rest, proxy: Proxy, server: ServerProcess
) -> None:
    secret = {"Authorization": f"Bearer {CANARY}"}
    assert (await rest.http.get(f"{proxy.url}/ws?token={CANARY}")).status_code == 426
    server.kill()
    for path in (f"/ws?token={CANARY}", f"/files/1?expires=1&signature={CANARY}", "/auth/me"):
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"} if "/ws" in path else {}
        answer = await rest.http.get(proxy.url + path, headers=secret | upgrade)
        assert answer.status_code == 502
    await asyncio.to_thread(proxy.stop)
    assert "/files/1" in proxy.logs(), "nothing was logged, so nothing was proved"
    assert CANARY not in proxy.logs()
