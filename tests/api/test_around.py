"""What lies around all routes: paths and methods that are none, headers, other origins, health."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
from starlette.routing import Route

from api import health
from api.app import build
from api.health import Readiness
from api.services import Services
from protocol.errors import Refused
from storage import Settings, Store, Transaction, open_store
from storage.writer import unavailable
from tests.api.conftest import Cast
from tests.support.fixtures import StartServer
from tests.support.rest import Rest, lasting, refused

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


def routes() -> list[Route]:
    """All routes of the application."""
    application = build(cast(Services, SimpleNamespace(store=None, origins=())))
    return [route for route in application.routes if isinstance(route, Route)]


def example(path: str) -> str:
    return path.replace("{id}", "1").replace("{user_id}", "1")


# Paths and methods.


@pytest.mark.parametrize(
    "path",
    [
        "/", "/nothing", "/chat", "/chats/", "/chats/1/", "/chats/1/nothing", "/chats//1", "//chats", "/CHATS",
        "/chats/1/messages/1", "/%00", "/%ff", "/..%2f", "/" + "x" * 5000, "/auth", "/auth/login/",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", METHODS)
async def test_a_path_that_is_none_is_not_found_and_never_redirected(
    rest: Rest, cast: Cast, method: str, path: str
) -> None:
    response = await rest.request(method, path, by=cast.ann)
    assert response.status_code == 404
    if method != "HEAD":
        refused(response, 404, "not_found")


async def test_a_path_that_is_none_answers_as_what_one_may_not_see(rest: Rest, cast: Cast) -> None:
    unknown = await rest.get("/nothing", cast.eve)
    for path in (
        f"/chats/{cast.group}",
        "/chats/999999",
        "/users/999999",
        "/chats/x",
        "/chats/01",
        "/users/-1",
    ):
        hidden = await rest.get(path, cast.eve)
        assert (hidden.status_code, hidden.content) == (404, unknown.content), path
        assert lasting(hidden) == lasting(unknown)


@pytest.mark.parametrize(
    "route",
    # What is under /admin tells nobody that it is there.
    [route for route in routes() if not route.path.startswith("/admin/")],
    ids=lambda route: route.path,
)
async def test_a_method_that_a_path_does_not_have_is_told_with_those_it_has(
    rest: Rest, cast: Cast, route: Route
) -> None:
    path, own = example(route.path), route.methods or set()
    # `/attachments/presign` might be an attachment's id, too, and as that there is none.
    alike = [other.methods or set() for other in routes() if other.path_regex.match(path)]
    others = set(METHODS).difference(*alike)
    assert others
    for method in others:
        response = await rest.request(method, path, by=cast.ann)
        assert response.status_code == 405
        assert response.headers["allow"] == ", ".join(sorted(own))
        if method != "HEAD":
            refused(response, 405, "method_not_allowed")


async def test_head_answers_as_get_without_the_body(rest: Rest, cast: Cast) -> None:
    for path in ("/users/me", "/chats", "/healthz", f"/chats/{cast.dialog}/messages"):
        full, head = await rest.get(path, cast.eve), await rest.request("HEAD", path, by=cast.eve)
        assert head.status_code == full.status_code
        assert lasting(head) == lasting(full)
        assert head.content == b""


# Headers.


async def test_every_answer_says_that_it_is_not_to_be_kept_guessed_at_or_told_on(
    rest: Rest, cast: Cast
) -> None:
    answers = [
        await rest.get("/users/me", cast.ann),
        await rest.get("/users/me"),
        await rest.get("/nothing"),
        await rest.request("DELETE", "/chats", by=cast.ann),
        await rest.post("/chats", {}, cast.ann),
        await rest.post("/auth/login", None),
        await rest.get("/ws"),
        await rest.get("/readyz"),
        await rest.post(f"/chats/{cast.dialog}/read", {"message_id": 1}, cast.bob),
    ]
    assert len({answer.status_code for answer in answers}) > 6
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers
        assert answer.headers["date"]


async def test_every_401_names_the_scheme(rest: Rest, cast: Cast) -> None:
    for response in (
        await rest.get("/users/me"),
        await rest.post("/auth/refresh", {"refresh_token": "x"}),
        await rest.post("/auth/login", {"email": "nobody@x.org", "password": "x"}),
    ):
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"


async def test_an_address_for_sockets_asks_others_to_upgrade(rest: Rest) -> None:
    response = await rest.get("/ws?token=x")
    refused(response, 426, "upgrade_required")
    assert response.headers["upgrade"] == "websocket"
    assert response.headers["connection"] == "Upgrade"


# Other origins.


@pytest_asyncio.fixture
async def page(start_server: StartServer) -> AsyncIterator[httpx.AsyncClient]:
    process = start_server({"server.origins": ["https://Chat.example.org:443/"]})
    async with httpx.AsyncClient(base_url=process.base_url, trust_env=False) as client:
        yield client


PREFLIGHT = {
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "authorization, content-type",
}


async def test_a_page_of_an_allowed_origin_may_use_the_server(page: httpx.AsyncClient) -> None:
    origin = {"Origin": "https://chat.example.org"}
    asked = await page.options("/chats/1", headers={**origin, **PREFLIGHT})
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == "https://chat.example.org"
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert method in asked.headers["access-control-allow-methods"]
    answer = await page.get("/users/me", headers=origin)
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "https://chat.example.org"
    assert "Retry-After" in answer.headers["access-control-expose-headers"]
    assert "origin" in answer.headers["vary"].lower()
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://chat.example.org", "https://chat.example.org.evil"]
)
async def test_a_page_of_another_origin_may_not(page: httpx.AsyncClient, origin: str) -> None:
    asked = await page.options("/chats/1", headers={"Origin": origin, **PREFLIGHT})
    assert asked.status_code == 400
    assert "access-control-allow-origin" not in asked.headers
    assert (
        "access-control-allow-origin" not in (await page.get("/healthz", headers={"Origin": origin})).headers
    )


async def test_a_star_lets_in_every_page(start_server: StartServer) -> None:
    process = start_server({"server.origins": ["*"]})
    async with httpx.AsyncClient(base_url=process.base_url, trust_env=False) as client:
        answer = await client.get("/healthz", headers={"Origin": "https://any.example"})
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_without_allowed_origins_no_page_is_told_anything(rest: Rest) -> None:
    headers = {"Origin": "https://chat.example.org"}
    answer = await rest.request("GET", "/healthz", headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    refused(
        await rest.request("OPTIONS", "/chats", headers={**headers, **PREFLIGHT}), 405, "method_not_allowed"
    )


# Health.


async def test_a_server_that_works_is_up_and_ready(rest: Rest) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await rest.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(Settings(tmp_path, "full")) as opened:
        yield opened


async def test_ready_means_that_something_was_really_written(store: Store, tmp_path: Path) -> None:
    wal = tmp_path / "beseda.db-wal"
    before = wal.stat().st_size if wal.exists() else 0
    await Readiness(store).prove()
    assert wal.stat().st_size > before


async def test_many_who_ask_at_once_cost_one_write(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[Any] = []
    write = store.write

    async def counted(unit: Any) -> Any:
        writes.append(unit)
        return await write(unit)

    monkeypatch.setattr(store, "write", counted)
    readiness = Readiness(store)
    for _ in range(20):
        await readiness.prove()
    assert len(writes) == 1
    monkeypatch.setattr(health, "READY_SECONDS", 0.0)
    await readiness.prove()
    assert len(writes) == 2


async def test_a_storage_that_cannot_be_written_is_not_ready_until_it_can(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "READY_SECONDS", 0.0)
    readiness = Readiness(store)

    async def refuse(unit: Any) -> None:
        raise unavailable()

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", refuse)
        with pytest.raises(Refused) as refusal:
            await readiness.prove()
        assert (refusal.value.status, refusal.value.retry_after) == (503, 1)
    await readiness.prove()


async def test_a_storage_that_does_not_answer_is_not_ready(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.05)

    def submit(unit: Any, done: Any, by: Any = None) -> None:
        """Nobody ever answers."""

    monkeypatch.setattr(store, "submit", submit)
    with pytest.raises(Refused, match="unavailable"):
        await Readiness(store).prove()


async def test_asking_moves_no_message(store: Store) -> None:
    await Readiness(store).prove()

    def unit(tx: Transaction) -> tuple[int, int]:
        return tx.value("SELECT count(*) FROM messages"), tx.value("SELECT count(*) FROM events")

    assert await store.write(unit) == (0, 0)


async def test_a_server_that_cannot_write_is_up_but_not_ready(start_server: StartServer) -> None:
    process = start_server()
    # Another process that holds the database: what anyone may do with the sqlite3 shell.
    with contextlib.closing(sqlite3.connect(process.data_dir / "beseda.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with Rest(process) as rest:
            assert (await rest.get("/healthz")).status_code == 200
            response = await rest.get("/readyz")
            refused(response, 503, "unavailable")
            assert response.headers["retry-after"] == "1"
            other.execute("ROLLBACK")
            async with asyncio.timeout(20):
                while (await rest.get("/readyz")).status_code != 200:
                    await asyncio.sleep(0.1)
