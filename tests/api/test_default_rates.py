"""The limits of a server as it comes (docs/protocol.md, Limits)."""

import itertools
import time
from collections.abc import Iterator

import pytest

from beseda.settings import Auth, Limits
from tests.support.fixtures import Connect
from tests.support.rest import Rest, refused, succeeded
from tests.support.server import ServerProcess

HERE, THERE = "2001:db8::1", "2001:db8:0:1::1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with its defaults."""
    with ServerProcess(tmp_path_factory.mktemp("server"), has_rates=True) as process:
        yield process.start()


async def test_a_user_sends_a_burst_and_then_so_many_a_second(rest: Rest, connect: Connect) -> None:
    limits = Limits()
    ann, bob = await rest.people("ann", "bob")
    dialog = await rest.dialog(ann, bob)
    about = succeeded(await rest.get("/server"))["limits"]
    assert (about["messages_per_second"], about["message_burst"]) == (20, 60)
    assert (about["requests_per_second"], about["request_burst"]) == (50, 200)
    socket = await connect(ann)
    begin = time.monotonic()
    for _ in range(100):
        await socket.send_message(dialog, "hello")
    for _ in range(100):
        await socket.next(where=lambda frame: frame["type"] in ("message_sent", "error"))
    most = limits.message_burst + limits.messages_per_second * (time.monotonic() - begin)
    sent = [frame for frame in socket.received if frame["type"] == "message_sent"]
    # One of the burst has paid for the dialog.
    assert limits.message_burst - 1 <= len(sent) <= min(most, 100)


async def test_who_fails_to_log_in_waits_but_not_elsewhere(rest: Rest) -> None:
    ann = await rest.register()
    wrong = {"email": ann.email, "password": "wrong password"}
    begin = time.monotonic()
    for tried in itertools.count():
        headers = {"X-Forwarded-For": f"{HERE}{tried:x}"}
        response = await rest.request("POST", "/auth/login", json=wrong, headers=headers)
        if response.status_code == 429:
            break
        assert tried < 100
        refused(response, 401, "invalid_credentials")
    per_minute = Auth().login_attempts_per_minute
    assert per_minute <= tried <= per_minute * (1 + (time.monotonic() - begin) / 60)
    problem = refused(response, 429, "rate_limited")
    assert "(auth.login_attempts_per_minute)" in problem["detail"]
    change = {"current_password": "wrong password", "new_password": "another one"}
    here, there = {"X-Forwarded-For": HERE}, {"X-Forwarded-For": THERE}
    # One try flows back in 6 s, so either it is refused, or it was the one.
    for _ in range(2):
        response = await rest.request("POST", "/auth/password", by=ann, json=change, headers=here)
    refused(response, 429, "rate_limited")
    right = {"email": ann.email, "password": ann.password}
    succeeded(await rest.request("POST", "/auth/login", json=right, headers=there))


async def test_registrations_from_one_network_are_limited(rest: Rest) -> None:
    body = {"email": "someone@example.org", "username": "someone", "password": "correct horse"}
    begin = time.monotonic()
    for tried in itertools.count():
        headers = {"X-Forwarded-For": "198.51.100.7"}
        response = await rest.request("POST", "/auth/register", json=body, headers=headers)
        if response.status_code == 429:
            break
        assert tried < 100
        assert response.status_code in (201, 409)
    per_minute = Auth().registrations_per_minute
    assert per_minute <= tried <= per_minute * (1 + (time.monotonic() - begin) / 60)
    assert "(auth.registrations_per_minute)" in refused(response, 429, "rate_limited")["detail"]
