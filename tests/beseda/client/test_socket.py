"""The client's socket: events in order, and messages acknowledged."""

import asyncio
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from beseda.client import Client, ConnectionLost, LoggedOut, Rejected, Socket, Tokens, socket
from tests.beseda.client.conftest import Join, client_of
from tests.support.fixtures import StartServer
from tests.support.rest import Rest

SECONDS = 20.0


async def next_of(live: Socket, kind: str) -> dict[str, Any]:
    """The next frame of a type; fails when there is none within a bounded time."""
    async with asyncio.timeout(SECONDS):
        async for frame in live:
            if frame["type"] == kind:
                return dict(frame)
    raise AssertionError(f"no {kind} came")


async def test_a_bot_answers_from_within_its_loop(join: Join) -> None:
    ann, bot = await join("ann"), await join("bot")
    dialog = await ann.open_dialog((await bot.me())["id"])

    async def answer() -> None:
        me = await bot.me()
        async with bot.connect() as live:
            ready.set()
            async for event in live:
                if event["type"] == "new_message" and event["message"]["sender_id"] != me["id"]:
                    await live.send(event["conversation_id"], event["message"]["text"].upper())

    ready = asyncio.Event()
    task = asyncio.create_task(answer())
    await ready.wait()
    async with ann.connect() as live:
        assert live.hello["user_id"] == (await ann.me())["id"]
        sent = await live.send(dialog["id"], "hello")
        answered = await next_of(live, "new_message")
    task.cancel()
    assert answered["message"]["text"] == "HELLO"
    assert answered["message"]["seq"] == sent["seq"] + 1


async def test_the_ack_stands_in_its_place_among_the_events(join: Join) -> None:
    ann = await join("ann")
    group = await ann.create_group("Notes")
    async with ann.connect() as live:
        await ann.post(group["id"], "before")
        mine = await live.send(group["id"], "mine", temp_id="t-1")
        await ann.post(group["id"], "after")
        seen = [await anext(live) for _ in range(3)]
    assert [frame["type"] for frame in seen] == ["new_message", "message_sent", "new_message"]
    assert seen[1]["type"] == "message_sent"
    assert seen[1]["message"] == mine
    assert mine["temp_id"] == "t-1"


async def test_many_messages_under_way_are_each_acknowledged(join: Join) -> None:
    ann = await join("ann")
    group = await ann.create_group("Notes")
    async with ann.connect() as live:
        texts = [f"message {number}" for number in range(50)]
        sent = await asyncio.gather(*(live.send(group["id"], text) for text in texts))
    assert [message["text"] for message in sent] == texts
    assert [message["seq"] for message in sent] == list(range(1, 51))


async def test_a_refused_message_raises_and_the_socket_goes_on(join: Join) -> None:
    ann = await join("ann")
    group = await ann.create_group("Notes")
    async with ann.connect() as live:
        with pytest.raises(Rejected) as caught:
            await live.send(10**9, "to nobody")
        assert caught.value.code == "not_found"
        assert caught.value.status is None
        assert (await live.send(group["id"], "still here"))["seq"] == 1


async def test_two_messages_under_way_may_not_share_a_temp_id(join: Join) -> None:
    ann = await join("ann")
    group = await ann.create_group("Notes")
    async with ann.connect() as live:
        first = asyncio.create_task(live.send(group["id"], "one", temp_id="t-1"))
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="under way already"):
            await live.send(group["id"], "two", temp_id="t-1")
        assert (await first)["text"] == "one"


async def test_typing_and_reading_reach_the_other(join: Join) -> None:
    ann, bob = await join("ann"), await join("bob")
    dialog = await ann.open_dialog((await bob.me())["id"])
    async with ann.connect() as hers, bob.connect() as his:
        await hers.typing(dialog["id"])
        assert (await next_of(his, "typing"))["conversation_id"] == dialog["id"]
        await hers.typing(dialog["id"], stopped=True)
        await next_of(his, "typing_stop")
        message = await hers.send(dialog["id"], "read me", read=False)
        await his.read(dialog["id"], message["id"])
        assert (await next_of(hers, "read"))["message_id"] == message["id"]


async def test_closing_ends_the_iteration_and_what_waits(join: Join) -> None:
    ann = await join("ann")
    async with ann.connect() as live:
        pass
    assert [frame async for frame in live if frame["type"] != "online_status"] == []
    with pytest.raises(ConnectionLost):
        await live.send(1, "too late")


async def test_an_expired_access_token_is_refreshed_before_connecting(join: Join) -> None:
    ann = await join("ann")
    assert ann.tokens is not None
    async with Client(ann.url, Tokens("stale", ann.tokens.refresh)) as client, client.connect() as live:
        assert live.hello["type"] == "hello"


async def test_the_end_of_the_session_ends_the_iteration_with_a_reason(join: Join) -> None:
    ann = await join("ann")
    async with ann.connect() as live:
        await ann.logout()
        with pytest.raises(ConnectionLost, match="the session has ended") as caught:
            await next_of(live, "nothing")
        assert caught.value.code == 4501
        assert not caught.value.may_return
    with pytest.raises(LoggedOut):
        async with ann.connect():
            pass


async def test_a_message_whose_ack_was_lost_is_sent_again_and_stored_once(start_server: StartServer) -> None:
    server = start_server()
    async with Rest(server) as rest, client_of(await rest.register("ann")) as ann:
        group = await ann.create_group("Notes")
        async with ann.connect() as live:
            under_way = [
                asyncio.create_task(live.send(group["id"], "x", temp_id=f"t-{n}")) for n in range(100)
            ]
            await under_way[0]
            await asyncio.to_thread(server.kill)
            outcomes = await asyncio.gather(*under_way, return_exceptions=True)
            assert all(isinstance(o, dict | ConnectionLost) for o in outcomes), outcomes
            with pytest.raises(ConnectionLost) as caught:
                await next_of(live, "nothing")
            assert caught.value.may_return
        await asyncio.to_thread(server.start)
        assert ann.tokens is not None
        async with Client(server.base_url, ann.tokens) as back, back.connect() as live:
            for number in range(100):
                await live.send(group["id"], "x", temp_id=f"t-{number}")
            history = await back.history(group["id"], 200)
    assert len(history) == 100


async def test_a_restart_is_told_as_such(start_server: StartServer) -> None:
    server = start_server()
    async with Rest(server) as rest, client_of(await rest.register("ann")) as ann, ann.connect() as live:
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        with pytest.raises(ConnectionLost, match=r"the server restarts \(1012\)") as caught:
            await next_of(live, "nothing")
        await stopping
        assert caught.value.may_return


async def test_a_connection_that_is_closed_before_its_hello_keeps_the_reason() -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(4509, "too many")

    async with serve(close, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        async with Client(f"http://127.0.0.1:{port}", Tokens("access", "refresh")) as client:
            with pytest.raises(ConnectionLost, match=r"too many \(4509\)"):
                async with client.connect():
                    pass


async def test_who_never_iterates_is_told_so_before_memory_runs_out(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "MAX_WAITING", 5)
    ann = await join("ann")
    group = await ann.create_group("Notes")
    async with ann.connect() as live:
        with pytest.raises(ConnectionLost, match="5 frames wait unread; iterate over the socket"):
            for number in range(50):
                await live.send(group["id"], str(number))


async def test_a_server_that_never_acknowledges_is_given_up(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "ANSWER_SECONDS", 0.0)
    ann = await join("ann")
    async with ann.connect() as live:
        with pytest.raises(ConnectionLost, match="did not acknowledge in time"):
            await live.send(1, "hello?")
