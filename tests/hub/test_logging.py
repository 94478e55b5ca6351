"""No token ever reaches a log, however much is logged."""

import logging
import re

import pytest

from tests.support.hub import House
from tests.support.raw import BINARY
from tests.support.secrets import overhearing


async def test_no_token_is_logged_at_the_level_of_debug(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("hub").debug("a canary, to see that this is the log")
    ann = await house.person()
    refresh = house.rules.tokens.issue_refresh(ann.id, house.actor(ann).session_id, "jti")
    for target, headers in (
        (f"/ws?token={ann.token}", {}),
        ("/ws", {"Authorization": f"Bearer {ann.token}"}),
        (f"/ws?token={refresh}", {}),
        (f"/ws?token={ann.token}x", {}),
        (f"/other?token={ann.token}", {}),
        (f"/ws?token={ann.token}", {"Sec-WebSocket-Key": "x"}),
        (f"/ws?token={ann.token}", {"Sec-WebSocket-Version": "8"}),
        (f"/ws?token={ann.token}", {"Origin": "http://evil.example"}),
        (f"/ws?token={ann.token}", {"X": "x" * 9_000}),
        (f"/ws?token={ann.token}&pad={'x' * 9_000}", {}),
    ):
        client = await house.dial()
        answer = await client.upgrade(target, headers)
        if answer.status == 101:
            await client.send_frame(BINARY, ann.token.encode())
            await client.until_close()
        client.close()
    await house.until(lambda: not house.state.connections)
    assert "a canary" in caplog.text
    for token in (ann.token, refresh):
        assert token[:20] not in caplog.text
        assert token[-20:] not in caplog.text


async def test_what_people_write_is_not_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    socket, other = await house.connect(ann), await house.connect(bob)
    await socket.say(dialog, "between us")
    await socket.send_message(dialog, "between us\0")
    await socket.next("error")
    await other.next("new_message")
    writers = {record.name for record in caplog.records if "between us" in record.getMessage()}
    # The test's own client, and asyncio's debug mode, which shows what a slow machine was slow with.
    assert writers <= {"asyncio", "websockets.client"}
    assert "message_sent" in caplog.text, "this is not the log of it all"


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("hub.answering.messages.send", "A unit of work failed"),
        ("hub.incoming.parse_frame", "What a client sent was not handled"),
    ],
)
async def test_what_goes_wrong_with_a_frame_is_logged_with_its_socket(
    house: House, monkeypatch: pytest.MonkeyPatch, broken: str, line: str
) -> None:
    def bug(*arguments: object, **more: object) -> None:
        raise ValueError("a bug, says the test")

    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    await house.connect(bob)
    socket = await house.connect(ann)
    number = house.connection(ann).number
    monkeypatch.setattr(broken, bug)
    with overhearing() as heard:
        await socket.send_message(dialog, "hello")
        await house.until(lambda: any(line in said for said in heard.lines), "the line")
    assert any(f"{line} connection_id={number}\nTraceback" in said for said in heard.lines)


async def test_what_goes_wrong_with_a_replay_is_logged_with_its_socket(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*arguments: object, **more: object) -> None:
        raise ValueError("a bug, says the test")

    ann = await house.person("ann")
    monkeypatch.setattr("hub.resuming.replay.first_page", bug)
    with overhearing() as heard:
        socket = await house.connect(ann, since=0)
        assert await socket.closed() == 1011
    [number] = {found[1] for said in heard.lines if (found := re.search(r"connection_id=(\d+)", said))}
    assert any(f"A replay failed connection_id={number}\nTraceback" in said for said in heard.lines)
    assert any(f"was opened by user {ann.id} connection_id={number}" in said for said in heard.lines)
    assert any(f"was closed by the server with 1011 connection_id={number}" in said for said in heard.lines)
