"""Upgrades that are let in and that are not, on a real port (docs/protocol.md section 6, Connecting)."""

import asyncio

import pytest

from tests.hub.conftest import MakeHouse
from tests.support.hub import House
from tests.support.rest import Person


async def refused(
    house: House, status: int, code: str, target: str, headers: dict[str, str] | None = None
) -> None:
    """The request gets this answer and a clean end, and leaves nothing."""
    client = await house.dial()
    answer = await client.upgrade(target, headers)
    assert (answer.status, answer.problem["code"]) == (status, code)
    assert answer.headers["connection"] == "close"
    await client.ended()
    client.close()
    await house.until(lambda: not house.state.connections, "that the server lets go")


@pytest.mark.transport
async def test_a_good_token_in_the_query_or_in_a_header_opens_a_socket(house: House) -> None:
    ann = await house.person()
    for target, headers in (
        (f"/ws?token={ann.token}", {}),
        ("/ws", {"Authorization": f"Bearer {ann.token}"}),
    ):
        client = await house.dial()
        assert (await client.upgrade(target, headers)).status == 101
        assert (await client.text("hello"))["user_id"] == ann.id


@pytest.mark.parametrize("target", ["/ws", "/ws?token=", "/ws?token=nonsense", "/ws?token=a.b.c"])
async def test_without_a_good_token_it_is_401_before_the_upgrade(house: House, target: str) -> None:
    await refused(house, 401, "unauthorized", target)


async def test_the_401_asks_for_a_bearer_token(house: House) -> None:
    client = await house.dial()
    assert (await client.upgrade("/ws")).headers["www-authenticate"] == "Bearer"


async def test_a_refresh_token_opens_no_socket(house: House) -> None:
    ann = await house.person()
    token = house.rules.tokens.issue_refresh(ann.id, house.actor(ann).session_id, "jti")
    await refused(house, 401, "unauthorized", f"/ws?token={token}")


async def test_the_token_of_an_ended_session_opens_no_socket(house: House) -> None:
    ann = await house.person()
    await house.logout(ann)
    await refused(house, 401, "unauthorized", f"/ws?token={ann.token}")


async def test_the_token_of_an_expired_session_opens_no_socket(house: House) -> None:
    ann = await house.login(await house.person(), milliseconds=0)
    await refused(house, 401, "unauthorized", f"/ws?token={ann.token}")


async def test_an_expired_token_opens_no_socket(make_house: MakeHouse) -> None:
    now = [1_800_000_000_000]
    house = await make_house(clock=lambda: now[0])
    ann = await house.person()
    now[0] += 900_000
    await refused(house, 401, "unauthorized", f"/ws?token={ann.token}")


async def test_a_token_with_anothers_session_opens_no_socket(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    token = house.rules.tokens.issue_access(ann.id, house.actor(bob).session_id)
    await refused(house, 401, "unauthorized", f"/ws?token={token}")


@pytest.mark.parametrize("target", ["/", "/auth/login", "/ws/", "/wss", "//["])
async def test_any_other_path_is_404(house: House, target: str) -> None:
    ann = await house.person()
    client = await house.dial()
    answer = await client.upgrade(f"{target}?token={ann.token}")
    assert (answer.status, answer.problem["code"]) == (404, "not_found")
    await client.ended()


async def test_pages_of_other_origins_are_403(house: House) -> None:
    ann = await house.person()
    for origin in ("http://evil.example", "null"):
        await refused(house, 403, "forbidden_origin", f"/ws?token={ann.token}", {"Origin": origin})


async def test_pages_of_the_servers_own_origin_are_let_in(house: House) -> None:
    ann = await house.person()
    client = await house.dial()
    answer = await client.upgrade(f"/ws?token={ann.token}", {"Origin": "http://beseda.test"})
    assert answer.status == 101


@pytest.mark.transport
@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/ws?token=" + "x" * 20_000, {}),
        ("/ws", {"X-Long": "x" * 20_000}),
        ("/ws", {f"X-{number}": "x" for number in range(200)}),
        ("/ws?token=" + "x" * 200_000, {}),
        ("/ws", {"X-Long": "x" * 200_000}),
    ],
    ids=["a long url", "a long header", "many headers", "an endless url", "an endless header"],
)
async def test_an_oversized_url_or_header_is_answered_and_the_connection_ends(
    house: House, target: str, headers: dict[str, str]
) -> None:
    await refused(house, 431, "headers_too_large", target, headers)


async def test_past_the_limit_of_sockets_it_is_503_until_one_is_gone(make_house: MakeHouse) -> None:
    house = await make_house(sockets=2)
    ann, bob = await house.people("ann", "bob")
    first, _ = await house.connect(ann), await house.connect(bob)
    client = await house.dial()
    answer = await client.upgrade(f"/ws?token={ann.token}")
    assert (answer.status, answer.problem["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    await first.close()
    await house.until(lambda: len(house.state.connections) == 1)
    await house.connect(ann)


async def test_the_limit_of_sockets_holds_in_a_rush(make_house: MakeHouse) -> None:
    house = await make_house(sockets=3)
    people = await house.people(*"abcdefgh")

    async def rush(person: Person) -> int:
        client = await house.dial()
        return (await client.upgrade(f"/ws?token={person.token}")).status

    statuses = await asyncio.gather(*map(rush, people))
    assert sorted(statuses) == [101] * 3 + [503] * 5


async def test_past_20_sockets_of_a_user_the_oldest_goes_with_4509(make_house: MakeHouse) -> None:
    house = await make_house(sockets_per_user=3)
    ann, bob = await house.people("ann", "bob")
    other = await house.connect(bob)
    sockets = [await house.connect(ann) for _ in range(5)]
    assert [await socket.closed() for socket in sockets[:2]] == [4509, 4509]
    for socket in (*sockets[2:], other):
        await socket.settle()


async def test_upgrades_while_the_server_stops_are_503(house: House) -> None:
    ann = await house.person()
    house.hub.stop_reading()
    await refused(house, 503, "unavailable", f"/ws?token={ann.token}")


async def test_an_upgrade_that_is_looked_up_as_the_server_stops_is_503(house: House) -> None:
    ann = await house.person()
    admission = house.hub.admission
    admit = admission.admit

    def stopping(connection: object) -> None:
        admit(connection)  # type: ignore[arg-type]
        house.hub.stop_reading()

    admission.admit = stopping  # type: ignore[method-assign]
    await refused(house, 503, "unavailable", f"/ws?token={ann.token}")


async def test_a_socket_after_other_requests_on_the_same_connection_is_let_in(house: House) -> None:
    ann = await house.person()
    client = await house.dial()
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.answer()).status == 404
    assert (await client.upgrade(f"/ws?token={ann.token}")).status == 101
    assert (await client.text())["type"] == "hello"


async def test_a_refused_upgrade_leaves_the_users_other_sockets_alone(house: House) -> None:
    ann = await house.person()
    sockets = [await house.connect(ann), await house.connect(await house.login(ann))]
    client = await house.dial()
    assert (await client.upgrade("/ws?token=x")).status == 401
    for socket in sockets:
        await socket.settle()


async def test_with_0_for_a_limit_a_user_may_open_any_number_of_sockets(make_house: MakeHouse) -> None:
    house = await make_house(sockets_per_user=0, sockets=0)
    ann = await house.person()
    sockets = [await house.connect(ann) for _ in range(25)]
    for socket in sockets:
        await socket.settle()
