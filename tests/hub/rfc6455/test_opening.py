"""The opening handshake, byte by byte (RFC 6455 section 4.2). `tests/hub/test_handshake.py` has tokens and origins."""

import base64

import pytest

from tests.hub.rfc6455.parts import answered, asking
from tests.support.hub import House
from tests.support.raw import ACCEPT, KEY, TEXT, Answer, upgrade_bytes
from tests.support.rest import Person

Headers = dict[str, str]


async def ask(house: House, ann: Person, headers: Headers | None = None, **how: str) -> Answer:
    with await house.dial() as client:
        await client.send(upgrade_bytes(f"/ws?token={ann.token}", headers, **how))
        answer = await client.answer()
        if answer.status == 101:
            assert (await client.text())["type"] == "hello"
            await client.send_frame(TEXT, asking("x"))
            await answered(client, "x")
        return answer


async def test_the_answer_proves_that_the_key_was_read(house: House) -> None:
    answer = await ask(house, await house.person())
    assert answer.status == 101
    assert answer.headers.pop("date")
    # No extensions and no subprotocol, and nothing that a 101 may not have.
    assert answer.headers == {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": ACCEPT}


ACCEPTED: dict[str, Headers] = {
    "any case": {"Connection": "uPGRADE", "Upgrade": "WebSocket"},
    "a list, as browsers have it": {"Connection": "keep-alive, Upgrade"},
    "spaces": {"Connection": " keep-alive ,  Upgrade ", "Sec-WebSocket-Key": f" {KEY} "},
    "compression": {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits, x-other"},
    "extensions that nobody can read": {"Sec-WebSocket-Extensions": ';;,="'},
    "subprotocols": {"Sec-WebSocket-Protocol": "chat, superchat"},
    "no body, said so": {"Content-Length": "0"},
    "headers of no concern": {"Cookie": "a=b", "User-Agent": "x", "Sec-Fetch-Mode": "websocket"},
}


@pytest.mark.parametrize("headers", ACCEPTED.values(), ids=ACCEPTED.keys())
async def test_what_is_a_handshake_is_accepted_and_nothing_offered_is_taken_up(
    house: House, headers: Headers
) -> None:
    answer = await ask(house, await house.person(), headers)
    assert answer.status == 101
    assert set(answer.headers) == {"date", "upgrade", "connection", "sec-websocket-accept"}


@pytest.mark.parametrize("version", ["0", "7", "8", "12", "14", "255", "-1", "013", "13, 8", "x"])
async def test_another_version_is_426_and_told_which_one_is_spoken(house: House, version: str) -> None:
    answer = await ask(house, await house.person(), {"Sec-WebSocket-Version": version})
    assert (answer.status, answer.problem["code"]) == (426, "upgrade_required")
    assert answer.headers["sec-websocket-version"] == "13"
    assert answer.headers["upgrade"] == "websocket"


MALFORMED: dict[str, Headers] = {
    "no key": {"Sec-WebSocket-Key": ""},
    "a short key": {"Sec-WebSocket-Key": base64.b64encode(b"x" * 15).decode()},
    "a long key": {"Sec-WebSocket-Key": base64.b64encode(b"x" * 17).decode()},
    "a key that is no base64": {"Sec-WebSocket-Key": "x" * 23 + "!"},
    "two keys": {"Sec-WebSocket-Key": f"{KEY}\r\nSec-WebSocket-Key: {KEY}"},
    "no host": {"Host": ""},
    "two hosts": {"Host": "beseda.test\r\nHost: beseda.test"},
    "no version": {"Sec-WebSocket-Version": ""},
    "a body": {"Content-Length": "5"},
    "a body in chunks": {"Transfer-Encoding": "chunked"},
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_no_handshake_is_400(house: House, headers: Headers) -> None:
    answer = await ask(house, await house.person(), headers)
    assert (answer.status, answer.problem["code"]) == (400, "malformed")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS"])
async def test_only_get_opens_a_socket(house: House, method: str) -> None:
    answer = await ask(house, await house.person(), method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "headers",
    [{"Connection": ""}, {"Connection": "keep-alive"}, {"Upgrade": ""}, {"Upgrade": "h2c"}],
    ids=["no connection", "another connection", "no upgrade", "another upgrade"],
)
async def test_a_request_that_asks_for_no_websocket_is_an_ordinary_one(
    house: House, headers: Headers
) -> None:
    # REST answers it with 426; the house has none, and says 404 to everything.
    assert (await ask(house, await house.person(), headers)).status == 404
