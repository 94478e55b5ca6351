"""What the server writes while it runs: no secret, and every bug with its trace."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest

from beseda.log import TALKATIVE, set_up
from tests.beseda.inside import serving, settings
from tests.support.fixtures import Connect, StartServer
from tests.support.raw import RawSocket, upgrade_bytes
from tests.support.rest import Rest

pytestmark = pytest.mark.genuine


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_token_password_or_signature_ever_reaches_the_output(
    start_server: StartServer, connect: Connect, form: str
) -> None:
    process = start_server({"log.level": "debug", "log.format": form})
    async with Rest(process) as rest, httpx.AsyncClient(base_url=process.base_url, trust_env=False) as client:
        ann = await rest.register(password="CANARY password")
        socket = await connect(ann)
        await socket.send({"type": "CANARY"})
        await socket.next("error")
        await client.get("/ws?token=CANARY")
        await client.get(f"/nothing?token={ann.token}&x=CANARY")
        await client.get("/files/1?expires=1&signature=CANARY")
        await client.get("/users/me", headers={"Authorization": "Bearer CANARY"})
        await client.post("/auth/refresh", json={"refresh_token": "CANARY"})
        await client.post("/auth/login", json={"email": "CANARY", "password": "CANARY"})
        await client.post("/auth/register", json={"email": "CANARY", "password": "CANARY"})
        for data in (
            upgrade_bytes("/ws?token=CANARY"),
            b"CANARY\r\n\r\n",
            b"GET /ws?token=CANARY HTTP/7\r\n\r\n",
        ):
            with await RawSocket.open(process.base_url) as raw:
                await raw.send(data)
                assert (await raw.answer()).status in (400, 401)
        with await RawSocket.open(process.base_url) as raw:
            await raw.send(upgrade_bytes("/ws?token=" + "CANARY" * 2000))
            assert (await raw.answer()).status == 431
    assert await asyncio.to_thread(process.stop) == 0
    output = process.output()
    assert output.startswith("Beseda listens on"), "there was nothing to look at"
    for secret in ("CANARY", ann.token[:20], ann.refresh_token[:20]):
        assert secret not in output


@pytest.mark.parametrize("level", ["debug", "error"])
@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_secret_stands_in_the_trace_of_a_bug(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    level: Literal["debug", "error"],
    form: Literal["text", "json"],
) -> None:
    def broken(*arguments: object) -> None:
        raise ValueError(f"a bug that tells {secrets}")

    monkeypatch.setattr("api.auth.sessions.refresh", broken)
    async with serving(settings(tmp_path / "data")) as (url, server):
        token = server._hub.rules.tokens.issue_access(1, 1)
        secrets = f"{url}/ws?token=CANARY&x=1, {token!r}, Bearer CANARY, /files/1?expires=1&signature=CANARY"
        with logging_to_stderr(level, form):
            async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
                answer = await client.post("/auth/refresh?token=CANARY", json={"refresh_token": token})
            logging.getLogger("uvicorn.error").error("%s - cannot be served", secrets)
    assert answer.status_code == 500
    output = capsys.readouterr().err
    assert "a bug that tells http" in output
    assert "cannot be served" in output
    assert answer.headers["x-request-id"] in output, "whose trace it is"
    assert "Traceback" in output
    for secret in ("CANARY", token[:10], token[-10:]):
        assert secret not in output + answer.text


@contextlib.contextmanager
def logging_to_stderr(level: str, form: Literal["text", "json"]) -> Iterator[None]:
    """The server's own logging, for a while."""
    root = logging.getLogger()
    handlers, before = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in TALKATIVE}
    set_up(level, form)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(before)
        for name, was in levels.items():
            logging.getLogger(name).setLevel(was)


async def test_a_bug_is_logged_with_its_trace_and_tells_the_client_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object) -> None:
        raise ValueError("a secret of the house")

    monkeypatch.setattr("api.users.users.me", broken)
    async with (
        serving(settings(tmp_path / "data")) as (url, server),
        httpx.AsyncClient(trust_env=False) as client,
    ):
        monkeypatch.setattr("actions.sessions.require", lambda *arguments: None)
        token = server._hub.rules.tokens.issue_access(1, 1)
        answer = await client.get(f"{url}/users/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["connection"] == "close", "for it is closed"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Internal error",
        "status": 500,
        "code": "internal",
    }
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert any(record.exc_info and "a secret of the house" in str(record.exc_info[1]) for record in errors)
