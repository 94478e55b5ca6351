"""Rates and tries over REST, on real servers (docs/protocol.md, Rates)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import httpx
import pytest

from tests.api.conftest import Cast
from tests.support.files import PNG, presign
from tests.support.fixtures import Connect
from tests.support.rest import Person, Rest, refused
from tests.support.server import ServerProcess

BURST = 8
"""Of messages and of calls; more than any test here needs to prepare."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with low rates, which people who were made before the test have paid nothing of."""
    settings = {
        "limits.messages_per_second": 1,
        "limits.message_burst": BURST,
        "limits.requests_per_second": 1,
        "limits.request_burst": BURST,
    }
    with ServerProcess(tmp_path_factory.mktemp("server"), dict(settings)) as process:
        yield process.start()


async def spent(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Ask until it is refused for the rate; that answer. As many as the burst must not be needed twice."""
    begin = time.monotonic()
    for number in range(1, 1000):
        response = await ask()
        if response.status_code == 429:
            assert number - 1 <= BURST + (time.monotonic() - begin) + 1
            return response
        assert response.status_code < 500
    raise AssertionError("it was never refused")


async def test_calls_past_the_burst_are_429_and_say_when_to_come_back(rest: Rest, cast: Cast) -> None:
    problem = refused(await spent(lambda: rest.get("/chats", cast.eve)), 429, "rate_limited")
    assert problem["detail"] == "Too many requests at once (limits.requests_per_second)."
    response = await spent(lambda: rest.get("/users/me", cast.eve))
    await asyncio.sleep(int(response.headers["retry-after"]))
    assert (await rest.get("/users/me", cast.eve)).status_code == 200
    assert (await rest.get("/users/me", cast.bob)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/users?query=a", None),
        ("GET", "/users?ids=1", None),
        ("GET", "/chats/7", None),
        ("GET", "/attachments/7", None),
        ("POST", "/attachments/presign", {}),
        ("POST", "/auth/ticket", None),
        ("GET", "/auth/sessions", None),
        ("POST", "/chats/7/read", {"message_id": 1}),
        ("PATCH", "/users/me", {}),
    ],
)
async def test_every_call_with_a_token_costs_one(
    rest: Rest, cast: Cast, method: str, path: str, body: dict[str, int] | None
) -> None:
    await spent(lambda: rest.request(method, path, by=cast.ann, json=body))


async def test_admins_pay_for_what_only_they_find_and_to_others_it_stays_nothing(
    rest: Rest, cast: Cast
) -> None:
    codes = {
        person: {(await rest.get("/admin/invites", person)).status_code for _ in range(3 * BURST)}
        for person in (cast.ann, cast.bob, cast.eve)
    }
    [admin] = [person for person, found in codes.items() if 404 not in found]
    assert 429 in codes.pop(admin)
    assert list(codes.values()) == [{404}, {404}]


async def test_a_wrong_body_costs_a_call_whatever_it_was_for(rest: Rest, cast: Cast) -> None:
    problem = refused(await spent(lambda: rest.post("/chats", {"type": 7}, cast.bob)), 429, "rate_limited")
    assert "(limits.requests_per_second)" in problem["detail"]
    sent = await rest.post(f"/chats/{cast.dialog}/messages", {"text": "messages go on"}, cast.bob)
    assert sent.status_code == 201


async def test_refreshing_and_uploading_are_calls_of_their_user(rest: Rest) -> None:
    ann = await rest.register()
    url = (await presign(rest, ann))["url"]
    put = refused(await spent(lambda: rest.put(url, PNG)), 429, "rate_limited")
    assert "(limits.requests_per_second)" in put["detail"]
    await spent(lambda: rest.post("/auth/refresh", {"refresh_token": ann.refresh_token}))
    await spent(lambda: rest.get("/users/me", ann))


async def test_messages_and_changes_share_a_rate_with_the_socket(
    rest: Rest, cast: Cast, connect: Connect
) -> None:
    ann, path = cast.ann, f"/chats/{cast.group}/messages"
    response = await spent(lambda: rest.post(path, {"text": "hello"}, ann))
    problem = refused(response, 429, "rate_limited")
    assert "(limits.messages_per_second)" in problem["detail"]
    for method, target, body in (
        ("POST", "/chats", {"type": "group"}),
        ("PATCH", f"/chats/{cast.group}", {"title": "Tea"}),
        ("POST", f"/chats/{cast.group}/members", {"members": [cast.eve.id]}),
        ("PATCH", f"/chats/{cast.group}/members/{cast.bob.id}", {"role": "owner"}),
        ("DELETE", f"/chats/{cast.group}/members/{cast.bob.id}", None),
    ):
        await spent(partial(rest.request, method, target, by=ann, json=body))


async def test_what_is_refused_for_the_rate_is_not_stored(rest: Rest) -> None:
    ann, bob = await rest.people("ann", "bob")
    dialog = await rest.dialog(ann, bob)
    texts = [f"{number}" for number in range(3 * BURST)]
    codes = [
        (await rest.post(f"/chats/{dialog}/messages", {"text": text}, ann)).status_code for text in texts
    ]
    assert set(codes) == {201, 429}
    kept = [message["text"] for message in await rest.whole_history(bob, dialog)]
    assert kept == [text for text, code in zip(texts, codes, strict=True) if code == 201]


async def test_refusals_for_the_rate_come_slowly_over_however_many_connections(
    rest: Rest, cast: Cast
) -> None:
    await spent(lambda: rest.get("/users/me", cast.ann))
    # The same user, however the token is written.
    headers = [{"Authorization": f"Bearer{' ' * number}{cast.ann.token}"} for number in range(1, 31)]
    begin = time.monotonic()
    found = await asyncio.gather(*(rest.request("GET", "/users/me", headers=each) for each in headers))
    # Ten a second and client; some may pass in between, as the bucket fills.
    assert time.monotonic() - begin >= 1.5
    assert sum(response.status_code == 429 for response in found) >= 10


async def test_refusals_without_an_account_come_slowly_too(rest: Rest) -> None:
    begin = time.monotonic()
    found = await asyncio.gather(*(rest.post("/auth/login", {"email": 7}) for _ in range(10)))
    assert time.monotonic() - begin >= 0.5
    assert [response.status_code for response in found] == [422] * 10


async def test_a_large_body_costs_a_call_for_each_32_kib_and_is_not_parsed_before(
    rest: Rest, cast: Cast
) -> None:
    async def create(person: Person, size: int) -> int:
        headers = {"Content-Type": "application/json"}
        content = b"{" + b" " * (size - 1)
        return (await rest.request("POST", "/chats", by=person, content=content, headers=headers)).status_code

    assert [await create(cast.bob, 32 * 1024 - 1) for _ in range(3)] == [400] * 3
    # One takes all that there is, and the next would have to wait until the bucket is full.
    assert 429 in [await create(cast.eve, 900_000) for _ in range(3)]


async def test_who_needs_no_account_has_no_rate(rest: Rest) -> None:
    for _ in range(3 * BURST):
        for path in ("/server", "/healthz", "/nowhere"):
            assert (await rest.get(path)).status_code in (200, 404)
        refused(
            await rest.request("GET", "/chats", headers={"Authorization": "Bearer x"}), 401, "unauthorized"
        )


async def test_new_members_cost_as_well_as_those_who_hear_of_them(rest: Rest) -> None:
    [ann] = await rest.people("ann")
    group = (await rest.post("/chats", {"type": "group"}, ann)).json()["id"]
    nobody = {"members": list(range(10**9, 10**9 + 50 * (BURST - 2)))}
    first, second = [await rest.post(f"/chats/{group}/members", nobody, ann) for _ in range(2)]
    assert first.status_code not in (200, 429)
    assert "(limits.messages_per_second)" in refused(second, 429, "rate_limited")["detail"]


async def test_of_who_has_nothing_left_not_even_the_body_is_read(rest: Rest) -> None:
    [ann] = await rest.people("ann")
    for _ in range(5):  # in between a second may have passed
        await spent(lambda: rest.post("/chats", {"type": "group"}, ann))
        response = await rest.post("/chats", {"type": 7}, ann)
        if response.status_code == 429:
            break
    assert "(limits.messages_per_second)" in refused(response, 429, "rate_limited")["detail"]
