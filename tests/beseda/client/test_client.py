"""The client class over REST, against a real server."""

import asyncio
from typing import Any

import pytest

from beseda.client import Client, LoggedOut, Rejected, Tokens
from tests.beseda.client.conftest import Join
from tests.support.fixtures import StartServer
from tests.support.rest import PASSWORD
from tests.support.server import ServerProcess


async def test_one_registers_logs_in_and_knows_oneself(server: ServerProcess) -> None:
    kept: list[Tokens | None] = []
    async with Client(server.base_url, on_tokens=kept.append) as client:
        registered = await client.register("first@example.org", PASSWORD, "first")
        user = await client.login("first@example.org", PASSWORD)
        assert user == await client.me()
        assert {name: user[name] for name in registered} == registered  # type: ignore[literal-required]
        assert kept == [client.tokens]
        assert kept[0] is not None
    async with Client(server.base_url, kept[0]) as again:
        assert (await again.me())["id"] == user["id"]


async def test_an_expired_access_token_is_refreshed_once_for_all_calls_that_wait(join: Join) -> None:
    ann = await join("ann")
    kept: list[Tokens | None] = []
    assert ann.tokens is not None
    client = Client(ann.url, Tokens("stale", ann.tokens.refresh), on_tokens=kept.append)
    async with client:
        users = await asyncio.gather(*(client.me() for _ in range(8)))
    assert len({user["id"] for user in users}) == 1
    assert len(kept) == 1, "more than one refresh"
    assert kept[0] == client.tokens != ann.tokens


async def test_a_refused_refresh_token_logs_out_and_says_so(join: Join) -> None:
    ann = await join("ann")
    kept: list[Tokens | None] = []
    assert ann.tokens is not None
    async with Client(ann.url, ann.tokens, on_tokens=kept.append) as client:
        await ann.logout()
        with pytest.raises(LoggedOut, match=r"^You are logged out: log in again\.$"):
            await client.me()
        assert kept == [None]
        with pytest.raises(LoggedOut, match=r"^You are not logged in\.$"):
            await client.me()
        with pytest.raises(LoggedOut):
            async with client.connect():
                pass


async def test_the_wrong_password_is_rejected_and_costs_no_login(join: Join) -> None:
    ann = await join("ann")
    before = ann.tokens
    with pytest.raises(Rejected, match=r"^Wrong email or password\.$") as caught:
        await ann.login("nobody@example.org", PASSWORD)
    assert (caught.value.code, caught.value.status) == ("invalid_credentials", 401)
    assert ann.tokens == before


async def test_a_refusal_brings_its_code_and_its_fields(join: Join) -> None:
    ann = await join("ann")
    with pytest.raises(Rejected) as caught:
        await ann.create_group("Team", [10**9])
    assert caught.value.code == "invalid"
    assert caught.value.errors == [{"field": "members.0", "message": "there is no such user"}]


async def test_when_to_try_again_is_told(start_server: StartServer) -> None:
    server = start_server({"attachments.unsent_files": 1})
    async with Client(server.base_url) as client:
        await client.register("ann@example.org", PASSWORD, "ann")
        await client.login("ann@example.org", PASSWORD)
        body = {"filename": "a.txt", "content_type": "text/plain"}
        await client.request("POST", "/attachments/presign", body)
        with pytest.raises(Rejected) as caught:
            await client.request("POST", "/attachments/presign", body)
    assert caught.value.code == "too_many_uploads"
    assert caught.value.retry_after == 60


async def test_a_group_from_its_making_to_its_end(join: Join) -> None:
    ann, bob, eve = await join("ann"), await join("bob"), await join("eve")
    bob_id, eve_id = (await bob.me())["id"], (await eve.me())["id"]
    group = await ann.create_group("Team", [bob_id])
    assert (await ann.rename(group["id"], "Crew"))["title"] == "Crew"
    assert eve_id in (await ann.add_members(group["id"], [eve_id]))["members"]
    assert (await ann.set_role(group["id"], bob_id, "owner"))["role"] == "owner"
    await bob.remove_member(group["id"], eve_id)
    with pytest.raises(Rejected) as caught:
        await eve.conversation(group["id"])
    assert caught.value.code == "not_found"
    assert [member["user_id"] for member in await ann.members(group["id"])] == sorted(
        [(await ann.me())["id"], bob_id]
    )


async def test_messages_are_posted_read_and_paged(join: Join) -> None:
    ann, bob = await join("ann"), await join("bob")
    dialog = await ann.open_dialog((await bob.me())["id"])
    posted = [await ann.post(dialog["id"], f"message {number}") for number in range(5)]
    again = await ann.post(dialog["id"], "once", temp_id="t-1")
    assert await ann.post(dialog["id"], "once", temp_id="t-1") == again
    newest = await bob.history(dialog["id"], 2, before_id=again["id"])
    assert [message["text"] for message in newest] == ["message 4", "message 3"]
    assert len(await bob.history(dialog["id"], after_id=posted[0]["id"])) == 5
    assert (await bob.conversation(dialog["id"]))["unread_count"] == 6
    await bob.mark_read(dialog["id"], again["id"])
    assert (await bob.conversation(dialog["id"]))["unread_count"] == 0


async def test_all_conversations_come_page_after_page(join: Join) -> None:
    ann = await join("ann")
    made = [(await ann.create_group(f"Group {number}"))["id"] for number in range(3)]
    assert [page["id"] for page in await ann.conversations(2)] == made[:0:-1]
    assert [conversation["id"] async for conversation in ann.all_conversations()] == made[::-1]


async def test_a_conversation_that_moves_to_the_front_between_two_pages_is_found_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages = {
        None: [[{"id": n, "event_id": n} for n in range(400, 200, -1)], [{"id": 7, "event_id": 999}]],
        201: [[{"id": 8, "event_id": 8}]],
    }

    async def page(limit: int, before: int | None) -> list[dict[str, int]]:
        return pages[before].pop(0)

    async with Client("http://127.0.0.1:1") as client:
        monkeypatch.setattr(client, "conversations", page)
        found = [each["id"] async for each in client.all_conversations()]
    assert found == [*range(400, 200, -1), 8, 7]


async def test_what_was_missed_comes_conversation_by_conversation_while_one_is_still_in_it(
    join: Join,
) -> None:
    ann, bob = await join("ann"), await join("bob")
    number = (await bob.me())["id"]
    groups = [(await ann.create_group(f"Group {at}", [number]))["id"] for at in range(3)]
    before = await ann.post(groups[0], "before")
    for group in reversed(groups):
        last = [await ann.post(group, text) for text in ("one", "two")][-1]
    await ann.post(groups[0], "after")
    missed = bob.missed(before["id"], until=last["id"])
    texts = [(await anext(missed))["text"]]
    await ann.remove_member(groups[1], number)
    texts += [message["text"] async for message in missed]
    assert texts == ["one", "two", "one", "two"]


async def test_people_are_found_by_the_beginning_of_their_name(join: Join) -> None:
    ann, zoe = await join("ann"), await join("zoe")
    me = await zoe.me()
    found = await ann.users(me["username"][:4].upper())
    assert [user["id"] for user in found] == [me["id"]]
    assert (await ann.user(me["id"]))["username"] == me["username"]


async def test_a_session_ends_another_one(join: Join) -> None:
    ann = await join("ann")
    async with Client(ann.url) as other:
        await other.login((await ann.me())["email"], PASSWORD)
        sessions = await ann.sessions()
        assert [session["current"] for session in sessions] == [False, True]
        await ann.end_session(sessions[0]["id"])
        with pytest.raises(LoggedOut):
            await other.me()


async def test_logging_out_forgets_the_tokens(join: Join) -> None:
    ann = await join("ann")
    await ann.logout()
    assert ann.tokens is None


async def held_refresh(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> tuple[asyncio.Event, asyncio.Event]:
    """Refreshes of this client take until the second event is set; the first one says that one is under way."""
    under_way, goes_on = asyncio.Event(), asyncio.Event()
    request = client.request

    async def slow(method: str, path: str, *more: Any, **options: Any) -> Any:
        answer = await request(method, path, *more, **options)
        if path == "/auth/refresh":
            under_way.set()
            await goes_on.wait()
        return answer

    monkeypatch.setattr(client, "request", slow)
    return under_way, goes_on


async def test_another_login_during_a_refresh_is_the_one_that_counts(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await join("ann"), await join("bob")
    bobs = await bob.me()
    assert ann.tokens is not None
    ann.tokens = Tokens("stale", ann.tokens.refresh)
    under_way, goes_on = await held_refresh(ann, monkeypatch)
    asking = asyncio.create_task(ann.me())
    await under_way.wait()
    await ann.login(bobs["email"], PASSWORD)
    newest = ann.tokens
    goes_on.set()
    assert (await asking)["id"] == bobs["id"]
    assert ann.tokens == newest


async def test_a_logout_during_a_refresh_stays_one(join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await join("ann")
    assert ann.tokens is not None
    ann.tokens = Tokens("stale", ann.tokens.refresh)
    under_way, goes_on = await held_refresh(ann, monkeypatch)
    asking = asyncio.create_task(ann.me())
    await under_way.wait()
    ann.keep(None)
    goes_on.set()
    with pytest.raises(LoggedOut):
        await asking
    assert ann.tokens is None
