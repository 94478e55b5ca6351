"""No token ever reaches a log, however much is logged."""

import logging

import pytest

from tests.support.hub import House
from tests.support.raw import BINARY


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
