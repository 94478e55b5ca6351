"""The API contract, line by line, as someone meets it who has read that page and nothing else.

The client is `tests/support/naive.py`; it says there what the page leaves to be guessed. Nothing here may use a
field, an event or a status code that the page doesn't name.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Protocol

import pytest

from tests.support.naive import Json, NaiveClient
from tests.support.server import ServerProcess

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63f8cfc0f01f00050001ff56c72f0d0000000049454e44ae426082"
)

pytestmark = pytest.mark.genuine

_numbers = itertools.count(1)


class Meet(Protocol):
    """The fixture `meet`."""

    def __call__(self, server: ServerProcess, *names: str) -> Awaitable[list[NaiveClient]]: ...


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The module's server: as it comes, but that who leaves is offline soon."""
    settings = {"presence.linger_seconds": 0.2}
    with ServerProcess(tmp_path_factory.mktemp("server"), settings, genuine=True) as process:
        yield process.start()


@pytest.fixture
async def meet() -> AsyncIterator[Meet]:
    """Registers people and logs them in: `ann, bob = await meet(server, "ann", "bob")`."""
    async with contextlib.AsyncExitStack() as stack:

        async def enter(client: NaiveClient) -> NaiveClient:
            await client.register()
            await client.login()
            return client

        async def meet(server: ServerProcess, *names: str) -> list[NaiveClient]:
            clients = [
                await stack.enter_async_context(NaiveClient(server.base_url, f"{name}{next(_numbers)}"))
                for name in names
            ]
            return list(await asyncio.gather(*(enter(client) for client in clients)))

        yield meet


# -- 1. Authentication


async def test_registering_answers_with_the_new_user(server: ServerProcess) -> None:
    async with NaiveClient(server.base_url, "newcomer") as newcomer:
        answer = await newcomer.register()
    assert isinstance(answer["id"], int)
    assert answer == {"id": answer["id"], "email": "newcomer@example.org", "username": "newcomer"}


async def test_logging_in_answers_with_two_tokens_and_the_user(server: ServerProcess, meet: Meet) -> None:
    [ann] = await meet(server, "ann")
    answer = await ann.login()
    for token in (answer["access_token"], answer["refresh_token"]):
        assert isinstance(token, str)
        assert token.count(".") == 2, "the contract says that it is a JWT"
    assert answer["access_token"] != answer["refresh_token"]
    user = answer["user"]
    assert (user["id"], user["email"], user["username"]) == (ann.id, ann.email, ann.name)


async def test_without_the_right_password_there_is_no_token(server: ServerProcess, meet: Meet) -> None:
    [ann] = await meet(server, "ann")
    ann.password = "not the password"
    with pytest.raises(AssertionError, match="POST /auth/login: 4"):
        await ann.login()


async def test_a_refreshed_access_token_is_as_good_as_the_first(server: ServerProcess, meet: Meet) -> None:
    [ann] = await meet(server, "ann")
    ann.access_token = ""
    with pytest.raises(AssertionError, match="GET /users/me: 4"):
        await ann.call("GET", "/users/me")
    await ann.refresh()
    assert (await ann.call("GET", "/users/me"))["id"] == ann.id
    await ann.go_online()


# -- 2. Users


async def test_one_sees_oneself_and_others(server: ServerProcess, meet: Meet) -> None:
    ann, bob = await meet(server, "ann", "bob")
    me = await ann.call("GET", "/users/me")
    assert (me["id"], me["email"], me["username"]) == (ann.id, ann.email, ann.name)
    other = await ann.call("GET", f"/users/{bob.id}")
    assert (other["id"], other["username"]) == (bob.id, bob.name)


# -- 3. Creating a chat


async def test_two_people_share_a_dialog(server: ServerProcess, meet: Meet) -> None:
    ann, bob, eve = await meet(server, "ann", "bob", "eve")
    chat = await ann.create_chat("dialog", None, bob)
    assert await ann.history(chat) == []
    assert await bob.history(chat) == []
    with pytest.raises(AssertionError, match=f"GET /chats/{chat}/messages: 4"):
        await eve.history(chat)


async def test_everyone_named_is_in_a_group(server: ServerProcess, meet: Meet) -> None:
    ann, bob, cid, eve = await meet(server, "ann", "bob", "cid", "eve")
    for members in [(bob, cid), (ann, bob, cid)]:  # the page doesn't say whether one names oneself
        chat = await ann.create_chat("group", "Team", *members)
        for member in (ann, bob, cid):
            assert await member.history(chat) == []
        with pytest.raises(AssertionError, match=f"GET /chats/{chat}/messages: 4"):
            await eve.history(chat)


async def test_a_group_needs_no_title(server: ServerProcess, meet: Meet) -> None:
    ann, bob = await meet(server, "ann", "bob")
    chat = await ann.create_chat("group", None, ann, bob)
    assert await bob.history(chat) == []


# -- 4. Message history


async def test_history_comes_in_pages(server: ServerProcess, meet: Meet) -> None:
    ann, bob = await meet(server, "ann", "bob")
    chat = await ann.create_chat("dialog", None, bob)
    await ann.go_online()
    sent = [await ann.say(chat, f"message {number}") for number in range(7)]
    pages = [await bob.history(chat, limit=3)]
    while pages[-1]:
        earliest = min(message["id"] for message in pages[-1])
        pages.append(await bob.history(chat, limit=3, before_id=earliest))
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    found = sorted((message for page in pages for message in page), key=lambda message: int(message["id"]))
    assert found == sent
    assert [message["text"] for message in pages[2]] == ["message 0"], "the first page is the latest"


async def test_a_page_is_long_enough_without_a_limit(server: ServerProcess, meet: Meet) -> None:
    ann, bob = await meet(server, "ann", "bob")
    chat = await ann.create_chat("dialog", None, bob)
    await ann.go_online()
    for number in range(60):
        await ann.post(chat, f"message {number}")
    await ann.expect_messages(chat, 60)
    assert len(await bob.history(chat, limit=50)) == 50
    assert len(await bob.history(chat)) >= 20
    assert [message["text"] for message in await bob.whole_history(chat)] == [
        f"message {n}" for n in range(60)
    ]


# -- 5. Files


async def test_a_file_goes_from_one_to_the_other(server: ServerProcess, meet: Meet) -> None:
    ann, bob = await meet(server, "ann", "bob")
    chat = await ann.create_chat("dialog", None, bob)
    await ann.go_online()
    await bob.go_online()
    attachment = await ann.upload("image.png", "image/png", PNG)
    sent = await ann.say(chat, "look", attachments=[attachment])
    told = (await bob.expect("new_message", conversation_id=chat))["message"]
    [kept] = await bob.history(chat)
    for message in (sent, told, kept):
        assert message["text"] == "look"
        [file] = message["attachments"]
        for reader in (ann, bob):
            response = await reader.download(file)
            assert response.content == PNG
            assert response.headers["content-type"] == "image/png"


# -- 6. WebSocket protocol


async def test_without_a_token_there_is_no_connection(server: ServerProcess, meet: Meet) -> None:
    [ann] = await meet(server, "ann")
    ann.access_token = "no.such.token"
    with pytest.raises(Exception, match="HTTP 401"):
        await ann.go_online()


async def test_a_message_is_acknowledged_and_told(server: ServerProcess, meet: Meet) -> None:
    ann, bob, eve = await meet(server, "ann", "bob", "eve")
    chat = await ann.create_chat("dialog", None, bob)
    for client in (ann, bob, eve):
        await client.go_online()
    sent = await ann.say(chat, "hello", temp_id="0b4ed7f8-1c5b-4a52-a8ff-39e7b4c5e1f7")
    assert sent["text"] == "hello"
    assert sent["attachments"] == []
    told = (await bob.expect("new_message", conversation_id=chat))["message"]
    assert told == sent
    answer = await bob.say(chat, "Добрый день, 👋\n")
    assert answer["text"] == "Добрый день, 👋\n"
    assert (await ann.expect("new_message", conversation_id=chat))["message"] == answer
    # Each saw each message once: the own one acknowledged, the other's told. Eve saw nothing.
    for client in (ann, bob):
        assert client.seen(chat) == [sent, answer]
        assert client.count("message_sent") == client.count("new_message") == 1
    assert eve.events == []


async def test_typing_is_shown_to_the_other(server: ServerProcess, meet: Meet) -> None:
    ann, bob = await meet(server, "ann", "bob")
    chat = await ann.create_chat("dialog", None, bob)
    await ann.go_online()
    await bob.go_online()
    await ann.send({"type": "typing_start", "conversation_id": chat})
    await bob.expect("typing", conversation_id=chat, user_id=ann.id)
    await ann.send({"type": "typing_stop", "conversation_id": chat})
    await bob.send({"type": "typing_start", "conversation_id": chat})
    await ann.expect("typing", conversation_id=chat, user_id=bob.id)
    await ann.say(chat, "a word")
    await bob.expect("new_message", conversation_id=chat)
    assert ann.count("typing", user_id=ann.id) == 0, "nobody is told of their own typing"
    assert bob.count("typing") == 1, "stopping is not typing"


async def test_the_sender_sees_both_ticks(server: ServerProcess, meet: Meet) -> None:
    ann, bob = await meet(server, "ann", "bob")
    chat = await ann.create_chat("dialog", None, bob)
    await ann.go_online()
    message = await ann.say(chat, "are you there?")
    assert ann.count("delivered") == ann.count("read") == 0, "bob is not there"
    await bob.go_online()
    await ann.say(chat, "I see you are")
    latest = (await bob.expect("new_message", conversation_id=chat))["message"]
    await ann.expect("delivered", message_id=latest["id"])
    assert ann.count("read") == 0, "bob has said nothing yet"
    # The page has no frame for it: who answers has read.
    await bob.say(chat, "I am")
    await ann.expect("read", message_id=latest["id"])
    await ann.expect("read", message_id=message["id"])
    assert ann.count("delivered", message_id=latest["id"]) == ann.count("read", message_id=latest["id"]) == 1


async def test_each_sees_the_other_come_and_go(server: ServerProcess, meet: Meet) -> None:
    ann, bob, eve = await meet(server, "ann", "bob", "eve")
    await ann.create_chat("dialog", None, bob)
    await ann.go_online()
    await eve.go_online()
    assert ann.count("online_status", online=True) == 0
    await bob.go_online()
    await ann.expect("online_status", user_id=bob.id, online=True)
    await bob.expect("online_status", user_id=ann.id, online=True)
    await bob.go_offline()
    await ann.expect("online_status", user_id=bob.id, online=False)
    await bob.go_online()
    await ann.expect("online_status", user_id=bob.id, online=True)
    await ann.go_offline()
    await bob.expect("online_status", user_id=ann.id, online=False)
    assert eve.events == [], "a stranger learns nothing"


async def test_who_was_away_finds_everything_in_the_history(server: ServerProcess, meet: Meet) -> None:
    ann, bob = await meet(server, "ann", "bob")
    chat = await ann.create_chat("dialog", None, bob)
    await ann.go_online()
    sent = [await ann.say(chat, f"note {number}") for number in range(3)]
    await bob.go_online()
    assert await bob.whole_history(chat) == sent
    sent.append(await ann.say(chat, "now you are here"))
    await bob.expect_messages(chat, 1)
    assert bob.seen(chat) == sent[-1:]


# -- What an ACK is worth


async def test_500_messages_of_5_senders_arrive_everywhere_in_one_order(
    server: ServerProcess, meet: Meet
) -> None:
    each = 100
    clients = await meet(server, "ann", "bob", "cid", "dan", "eve")
    chat = await clients[0].create_chat("group", "Crowd", *clients)
    for client in clients:
        await client.go_online()

    async def talk(client: NaiveClient) -> None:
        for number in range(each):
            await client.post(chat, f"{client.name} {number}")  # without waiting for any ACK
            if number % 3 == 0:
                await asyncio.sleep(0.001)  # so that the others get a word in

    await asyncio.gather(*(talk(client) for client in clients))
    for client in clients:
        await client.expect_messages(chat, each * len(clients))
    # Whatever came twice or late would stand before this one.
    await clients[0].say(chat, "the end")
    history = await clients[0].whole_history(chat)
    assert len(history) == each * len(clients) + 1
    assert len({message["id"] for message in history}) == len(history)
    for client in clients:
        await client.expect_messages(chat, len(history))
        assert client.seen(chat) == history
        own = [message["text"] for message in history if message["text"].startswith(client.name + " ")]
        assert own == [f"{client.name} {number}" for number in range(each)]
        assert client.count("message_sent") == each + (client is clients[0])
    authors = [message["text"].split()[0] for message in history]
    changes = sum(author != following for author, following in itertools.pairwise(authors))
    assert changes > 20, "the senders spoke one after the other: nothing was proved"


async def test_what_was_acknowledged_survives_a_kill(fresh_server: ServerProcess, meet: Meet) -> None:
    ann, bob = await meet(fresh_server, "ann", "bob")
    chat = await ann.create_chat("dialog", None, bob)
    await ann.go_online()
    first = await ann.say(chat, "before")
    fresh_server.kill()
    await restarted(fresh_server, ann, bob)
    assert await bob.whole_history(chat) == [first]
    await bob.go_online()
    second = await ann.say(chat, "after")
    assert second["id"] > first["id"]
    assert (await bob.expect("new_message", conversation_id=chat))["message"] == second
    assert await bob.whole_history(chat) == [first, second]


async def test_a_retry_makes_no_second_message(fresh_server: ServerProcess, meet: Meet) -> None:
    ann, bob = await meet(fresh_server, "ann", "bob")
    chat = await ann.create_chat("dialog", None, bob)
    await ann.go_online()
    await bob.go_online()
    sent = await ann.say(chat, "once", temp_id="my-outbox-1")
    assert await ann.say(chat, "once", temp_id="my-outbox-1") == sent
    # A connection later, and a crash later, it is the same.
    await ann.go_offline()
    await ann.go_online()
    assert await ann.say(chat, "once", temp_id="my-outbox-1") == sent
    fresh_server.kill()
    await restarted(fresh_server, ann)
    assert await ann.say(chat, "once", temp_id="my-outbox-1") == sent
    assert await ann.whole_history(chat) == [sent]
    assert [message for message in bob.seen(chat) if message["id"] == sent["id"]] == [sent]


async def test_a_message_whose_ack_was_lost_is_there_once_after_the_retry(
    fresh_server: ServerProcess, meet: Meet
) -> None:
    ann, bob = await meet(fresh_server, "ann", "bob")
    chat = await ann.create_chat("dialog", None, bob)
    await ann.go_online()
    outbox: dict[str, str] = {}
    for number in range(30):
        outbox[await ann.post(chat, f"message {number}")] = f"message {number}"
    await ann.expect("message_sent")
    fresh_server.kill()
    await restarted(fresh_server, ann, bob)
    sent: list[Json] = [await ann.say(chat, text, temp_id=temp_id) for temp_id, text in outbox.items()]
    history = await bob.whole_history(chat)
    assert history == sent
    assert [message["text"] for message in history] == list(outbox.values())


async def restarted(server: ServerProcess, *clients: NaiveClient) -> None:
    """Start the killed server again; the clients find it at its new address, the first of them goes online."""
    for client in clients:
        await client.go_offline()
    server.restart()
    for client in clients:
        client.base_url = server.base_url
    await clients[0].go_online()
