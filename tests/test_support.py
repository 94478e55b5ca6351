"""What the other tests rely on without looking: that the harness notices a server that breaks its promises."""

import contextlib
import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve

from protocol.examples import example
from protocol.frames import SERVER_FRAMES
from tests.support import secrets
from tests.support.described import Undescribed
from tests.support.fixtures import StartServer
from tests.support.rest import Person, Rest, succeeded
from tests.support.server import ServerFailed, ServerProcess, variable
from tests.support.socket import open_socket

HELLO = '{"type": "hello", "user_id": 1, "event_id": 5, "log": "k3v9"}'


class Liar:
    """A server that greets, and answers the first frame with what it was told to say."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.says: list[str | bytes] = []

    async def handle(self, connection: ServerConnection) -> None:
        await connection.send(HELLO)
        await connection.recv()
        for frame in self.says:
            await connection.send(frame)
        await connection.wait_closed()


@pytest.fixture
async def liar(tmp_path: Path) -> AsyncIterator[Liar]:
    process = ServerProcess(tmp_path)  # never started: it only lends its address
    liar = Liar(Person(process, 1, "ann", "ann@example.org", "", "", ""))
    async with serve(liar.handle, "127.0.0.1", 0) as server:
        process.ws_url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        yield liar


def event(number: int, kind: str = "new_message") -> str:
    return json.dumps(example(SERVER_FRAMES[kind]) | {"event_id": number})


TYPING = json.dumps(example(SERVER_FRAMES["typing"]))


async def test_a_socket_takes_frames_by_type_and_keeps_their_order(liar: Liar) -> None:
    liar.says += [event(6), event(8, "message_sent"), TYPING, event(9)]
    async with await open_socket(liar.person) as socket:
        await socket.send({})
        assert (await socket.next("message_sent"))["event_id"] == 8
        assert (await socket.next())["event_id"] == 6
        await socket.settle()
        assert [frame["type"] for frame in socket.take()] == ["typing", "new_message"]
        await socket.expect_nothing(0.05)
        assert [frame["type"] for frame in socket.received][:2] == ["hello", "new_message"]
        assert len(socket.received) == 5


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        ([event(7), event(6)], "event_id went from 7 to 6"),
        ([event(7), event(7, "message_sent")], "event_id went from 7 to 7"),
        ([event(5)], "event_id went from 5 to 5"),
        ([HELLO], "hello"),
        ([b"{}"], "binary"),
        (["[]"], "no JSON object"),
        (["{}"], "without a type"),
        (['{"type": "typing", "conversation_id": 7}'], "user_id"),
        (['{"type": "typing", "conversation_id": 7, "user_id": 2, "x": 1}'], "'x'"),
        (['{"type": "novelty"}'], "not described"),
        (["{"], "Expecting property name"),
    ],
)
async def test_a_socket_notices_a_broken_promise(
    liar: Liar, frames: list[str | bytes], complaint: str
) -> None:
    liar.says += frames
    socket = await open_socket(liar.person)
    await socket.send({})
    with pytest.raises(AssertionError, match=complaint):
        await socket.settle()
    with pytest.raises(AssertionError, match=complaint):
        await socket.close()


async def test_a_socket_misses_what_does_not_come_and_what_comes_unexpectedly(liar: Liar) -> None:
    liar.says.append(TYPING)
    async with await open_socket(liar.person) as socket:
        await socket.send({})
        with pytest.raises(AssertionError, match=r"no read within 0\.05 s"):
            await socket.next("read", timeout=0.05)
        with pytest.raises(AssertionError, match="unexpected"):
            await socket.expect_nothing(1)


async def test_an_answer_over_rest_that_is_not_described_is_noticed(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"status": "ok", "mood": "fine"})

    async with Rest(ServerProcess(tmp_path)) as rest:
        rest.http = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://beseda.test")
        with pytest.raises(Undescribed, match="GET /healthz answered 200"):
            await rest.get("/healthz")


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "x.py:1: ResourceWarning: unclosed socket",
        "RuntimeWarning: coroutine 'x' was never awaited",
        "INFO GET /ws?token=abc",
        "INFO GET /files/1?expires=1&signature=abc",
        "DEBUG eyJhbGciOiJIUzI1NiJ9",
        f"DEBUG the rest of a token, .{'s' * 43}",
        f"DEBUG 1-1-1-1790000000000-{'0' * 64}",
        "ERROR not $argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
        "INFO who says the correct horse battery may come in",
    ],
)
def test_the_output_of_a_server_is_searched_for_bugs_and_secrets(tmp_path: Path, line: str) -> None:
    process = ServerProcess(tmp_path)
    (tmp_path / "stderr.txt").write_text("INFO all is well\n")
    process.check_output()
    (tmp_path / "stderr.txt").write_text(f"INFO all is well\n{line}\n")
    with pytest.raises(ServerFailed, match="all is well"):
        process.check_output()


async def test_what_people_say_on_a_server_is_searched_for_in_its_output(
    start_server: StartServer, tmp_path: Path
) -> None:
    process = start_server()
    async with Rest(process) as rest:
        ann = await rest.register()
        group = await rest.group(ann)
        await rest.post("/auth/login", {"email": ann.email, "password": "a word nobody else knows"})
        ticket = succeeded(await rest.post("/auth/ticket", by=ann))["ticket"]
        async with await open_socket(ann) as socket:
            await socket.say(group, "between the two of us")
    stored = sqlite3.connect(process.data_dir / "beseda.db")
    with contextlib.closing(stored), stored:
        stored.execute("UPDATE messages SET text = 'what no client of ours has said'")
    assert process.stop() == 0
    process.check_output()
    for secret in (
        "a word nobody else knows",
        "between the two of us",
        "what no client of ours has said",
        ann.refresh_token[-20:],
        ticket,
    ):
        planted = ServerProcess(tmp_path / "planted", data_dir=process.data_dir)
        planted.secrets = process.secrets
        (tmp_path / "planted/stderr.txt").write_text(f"DEBUG somebody said {secret}\n")
        for search in (planted.check_output, planted.let_go):
            with pytest.raises(ServerFailed, match="holds a secret"):
                search()


@pytest.mark.parametrize("speaker", [*secrets.SPEAKERS, "hub.connection", "uvicorn.error"])
def test_a_line_of_the_log_that_holds_a_secret_is_noticed(speaker: str) -> None:
    with secrets.overhearing() as heard:
        secrets.note({"text": "between the two of us"}, set())
        logging.getLogger(speaker).error("all is well")
        heard.check()
        logging.getLogger(speaker).error("%s, it said", "between the two of us")
        with pytest.raises(AssertionError, match=f"{speaker}: between the two of us, it said"):
            heard.check()


@pytest.mark.parametrize("form", ["message", "field", "trace"])
def test_a_secret_is_noticed_wherever_in_a_line_it_stands(form: str) -> None:
    secret = "between the two of us"
    with secrets.overhearing() as heard:
        secrets.note({"password": secret}, set())
        logger = logging.getLogger("api")
        if form == "message":
            logger.debug(secret)
        elif form == "field":
            logger.info("login", extra={"fields": {"user_agent": secret}})
        else:
            logger.error("it failed", exc_info=ValueError(secret))
        with pytest.raises(AssertionError, match="holds a secret"):
            heard.check()


def test_a_setting_has_its_name_in_the_environment() -> None:
    assert variable("limits.frame_bytes") == "BESEDA_LIMITS__FRAME_BYTES"
    assert variable("attachments.s3.access_key") == "BESEDA_ATTACHMENTS__S3__ACCESS_KEY"


@pytest.mark.parametrize(
    "cost", [pytest.param("$m=65536,t=3,p=4$", marks=pytest.mark.genuine), "$m=8,t=1,p=1$"]
)
async def test_the_passwords_of_a_genuine_server_cost_and_those_of_the_others_do_not(
    fresh_server: ServerProcess, cost: str
) -> None:
    async with Rest(fresh_server) as rest:
        await rest.register()
    with contextlib.closing(sqlite3.connect(fresh_server.data_dir / "beseda.db")) as database:
        [(encoded,)] = database.execute("SELECT password FROM users").fetchall()
    assert cost in encoded
