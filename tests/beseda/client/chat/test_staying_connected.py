"""Connections that end or break, and what waits meanwhile."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import Mock

import pytest

from beseda.client import ConnectionLost, Rejected, Socket, backoff
from tests.beseda.client.chat.desks import Desk, desk
from tests.support.fixtures import Connect, StartServer
from tests.support.rest import Rest


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for the next attempt."""
    monkeypatch.setattr(backoff, "LONGEST_SECONDS", 0.05)
    monkeypatch.setattr(backoff, "RESTART_SECONDS", 0.05)


def held_back(here: Desk) -> asyncio.Event:
    """A chat that does not connect again before this is set."""
    comes_back = asyncio.Event()
    staying = here.chat.connection._live
    connect = staying._connect

    @contextlib.asynccontextmanager
    async def later(**where: Any) -> AsyncIterator[Socket]:
        await comes_back.wait()
        async with connect(**where) as socket:
            yield socket

    staying._connect = later
    return comes_back


async def test_after_a_break_all_is_there_that_was_missed_once_and_ticks_and_counts_are_right(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server()
    server.port = int(server.base_url.rpartition(":")[2])
    async with Rest(server) as rest:
        ann, bob = await rest.people("ann", "bob")
        dialog, team = await rest.dialog(ann, bob), await rest.group(ann, bob)
        async with desk(ann) as here:
            await here.until(lambda: here.open.id == team)
            here.press("mine\r")
            await here.until(lambda: here.open.messages)
            await asyncio.to_thread(server.kill)
            await here.until(lambda: here.view.link == "lost")
            comes_back = held_back(here)
            here.press("late\r")
            await here.until(here.model.unsent)
            await asyncio.to_thread(server.start)
            for number in range(3):
                await rest.send(bob, dialog, f"dialog {number}")
            theirs = await rest.send(bob, team, "theirs")
            await rest.post(f"/chats/{team}/read", {"message_id": theirs["id"]}, by=bob)
            load_all = Mock()
            monkeypatch.setattr(here.chat.client, "all_conversations", load_all)
            comes_back.set()
            await here.until(lambda: here.view.link == "online" and not here.model.outbox)
            assert [each["text"] for each in here.open.messages] == ["mine", "theirs", "late"]
            assert "mine  ✓✓" in here.thread
            assert here.model.conversations[dialog].unread == 3
            load_all.assert_not_called()
            await here.do("/open 2")
            await here.until(lambda: here.open.id == dialog and here.open.is_loaded)
            assert [each["text"] for each in here.open.messages] == [
                f"dialog {number}" for number in range(3)
            ]


async def test_what_was_typed_without_a_connection_arrives_once_and_in_its_order(
    start_server: StartServer,
) -> None:
    server = start_server()
    server.port = int(server.base_url.rpartition(":")[2])
    async with Rest(server) as rest:
        ann, bob = await rest.people("ann", "bob")
        dialog = await rest.dialog(ann, bob)
        async with desk(ann) as here:
            await asyncio.to_thread(server.kill)
            await here.until(lambda: here.view.link == "lost")
            here.press("one\rtwo\rthree\r")
            await here.until(lambda: len(here.model.unsent()) == 3)
            assert here.thread.count("· waiting") == 3
            assert "3 not sent" in await here.do("/quit")
            assert "Nothing listens" in await here.do("/logout")
            await asyncio.to_thread(server.start)
            await here.until(lambda: here.view.link == "online" and not here.model.outbox)
            await rest.send(bob, dialog, "four")
            await here.shows("four")
        texts = [each["text"] for each in await rest.whole_history(ann, dialog)]
        assert texts == ["one", "two", "three", "four"]


async def test_a_session_that_was_ended_elsewhere_ends_the_chat(rest: Rest) -> None:
    ann = await rest.register()
    async with desk(ann) as here:
        assert (await rest.post("/auth/logout", by=ann)).is_success
        assert await here.ended() == "ended"


async def test_one_who_opens_too_many_sockets_is_told_and_does_not_fight_for_them(
    start_server: StartServer, connect: Connect
) -> None:
    server = start_server({"limits.sockets_per_user": 1})
    async with Rest(server) as rest:
        ann = await rest.register()
        async with desk(ann) as here:
            await connect(ann)
            with pytest.raises(ConnectionLost, match="4509"):
                await here.ended()


async def test_a_conversation_from_which_one_is_taken_closes_and_what_was_typed_stays(rest: Rest) -> None:
    ann, bob = await rest.people("ann", "bob")
    team = await rest.group(bob, ann)
    async with desk(ann) as here:
        await here.until(lambda: here.model.open)
        here.press("half a sen")
        await here.until(lambda: here.chat.input.text == "half a sen")
        await rest.delete(f"/chats/{team}/members/{ann.id}", bob)
        await here.tells("You are no longer in Team.")
        assert here.model.open is None
        here.press("tence\r")
        await here.tells("No conversation is open")
        assert here.chat.input.text == "half a sentence"
        assert not here.model.outbox


async def test_a_message_into_a_conversation_that_is_no_more_is_refused_and_told(
    start_server: StartServer,
) -> None:
    server = start_server()
    server.port = int(server.base_url.rpartition(":")[2])
    async with Rest(server) as rest:
        ann, bob = await rest.people("ann", "bob")
        team = await rest.group(bob, ann)
        async with desk(ann) as here:
            await asyncio.to_thread(server.kill)
            await here.until(lambda: here.view.link == "lost")
            here.press("too late\r")
            await here.until(here.model.unsent)
            comes_back = held_back(here)
            await asyncio.to_thread(server.start)
            assert (await rest.delete(f"/chats/{team}/members/{ann.id}", bob)).is_success
            comes_back.set()
            await here.until(lambda: here.view.link == "online" and not here.model.unsent())
            [refused] = here.model.outbox.values()
            assert refused.refused
            # The refusal and the removal come together, one before the other.
            told = f"A message was not sent: {refused.refused} It was: too late"
            assert here.view.notice.endswith(told)


async def test_what_was_refused_in_a_conversation_is_told_when_that_closes(rest: Rest) -> None:
    ann, bob = await rest.people("ann", "bob")
    team = await rest.group(bob, ann)
    async with desk(ann) as here:
        await here.until(lambda: here.model.open)
        here.chat.doing.say("long " * 2001)
        await here.shows("Not sent:")
        assert here.view.notice == ""
        await rest.delete(f"/chats/{team}/members/{ann.id}", bob)
        await here.tells("You are no longer in Team. A message was not sent: ")
        assert "It was: long long" in here.view.notice


async def test_a_server_that_is_busy_for_a_moment_gets_the_message_again(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await rest.people("ann", "bob")
    await rest.dialog(ann, bob)
    refusals = [
        Rejected("rate_limited", "Slower.", retry_after=0.01),
        Rejected("unavailable", "Busy.", retry_after=0.01),
    ]
    send = Socket.send

    async def busy(*arguments: object, **more: object) -> object:
        if refusals:
            raise refusals.pop()
        return await send(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Socket, "send", busy)
    async with desk(ann) as here:
        await here.until(lambda: here.model.open)
        here.press("hello\r")
        await here.until(lambda: here.open.messages)
        assert (refusals, here.model.outbox) == ([], {})


async def test_pages_come_as_one_scrolls_back_and_ctrl_c_and_escape_only_undo(rest: Rest) -> None:
    ann, bob = await rest.people("ann", "bob")
    dialog = await rest.dialog(ann, bob)
    await asyncio.gather(*(rest.send(bob, dialog, f"line {at}") for at in range(120)))
    async with desk(ann) as here:
        await here.until(lambda: len(here.open.messages) == 100)
        for _ in range(20):
            here.press("\x1b[5~")
        await here.until(lambda: len(here.open.messages) == 120)
        here.press("\x1b[6~draft\x1b\r")
        await here.until(lambda: here.chat.input.text == "draft\n")
        assert here.view.position is not None
        here.press("\x03")
        await here.until(lambda: here.chat.input.text == "")
        here.press("\x03")
        await here.tells("Ctrl-D or /quit leaves.")
        here.press("\r")
        await here.until(lambda: here.view.position is None)


async def test_keys_walk_the_list_round_and_numbers_that_are_not_there_do_nothing(rest: Rest) -> None:
    ann = await rest.register()
    first, second = await rest.group(ann, title="First"), await rest.group(ann, title="Second")
    async with desk(ann) as here:
        for keys, opened in (
            ("\x0e", first),
            ("\x0e", second),
            ("\x10", first),
            ("\x1b1", second),
            ("\x1b2", first),
        ):
            here.press(keys)
            await here.until(lambda opened=opened: here.model.open_id == opened)  # type: ignore[misc]
        here.press("\x1b9\x1bOP")
        await here.until(lambda: here.view.overlay)
        assert here.model.open_id == first
        here.press("\x1b[O")
        await here.until(lambda: not here.view.is_focused)
        here.press("\x1b[I")
        await here.until(lambda: here.view.is_focused)
        here.press("\x04")
        assert await here.ended() == "quit"
