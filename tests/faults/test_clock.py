"""The wall clock is stepped under a running server: order, timers, sessions and sockets don't depend on it."""

from dataclasses import replace

import pytest

from tests.faults.conftest import MakeScene
from tests.support.faults import Faults
from tests.support.fixtures import Connect
from tests.support.rest import Person, Rest, refused, succeeded
from tests.support.socket import Socket, open_socket

pytestmark = pytest.mark.gate

HOUR = 3600
WITHIN_LEEWAY = 25
"""Seconds; a token may be of the future by 30."""


async def check_that_all_goes_on(rest: Rest, one: Socket, other: Socket, guest: Person, chat: int) -> None:
    """Messages, ticks that a pong has proved, tickets and presence: whatever has a timer."""
    await say_and_hear(one, other, chat)
    ticket = succeeded(await rest.post("/auth/ticket", None, guest))["ticket"]
    async with await open_socket(guest, token=ticket):
        await one.next("online_status", where=lambda frame: frame["user_id"] == guest.id and frame["online"])
    await one.next("online_status", where=lambda frame: frame["user_id"] == guest.id and not frame["online"])


async def say_and_hear(one: Socket, other: Socket, chat: int) -> None:
    """A message goes its way, and its tick comes back."""
    message = await one.say(chat, "what time is it?")
    assert (await other.next("new_message"))["message"]["id"] == message["id"]
    await one.next("delivered", where=lambda frame: frame["message_id"] == message["id"])


async def status(rest: Rest, person: Person) -> int:
    """What the person's access token is answered with."""
    return (await rest.get("/users/me", person)).status_code


async def refreshed(rest: Rest, person: Person) -> Person:
    """The person with a new access token."""
    answer = await rest.post("/auth/refresh", {"refresh_token": person.refresh_token})
    return replace(person, token=succeeded(answer)["access_token"])


async def test_a_clock_that_steps_by_an_hour_changes_no_order_stops_no_timer_and_ends_no_session(
    make_scene: MakeScene, connect: Connect, faults: Faults
) -> None:
    scene = make_scene(3, [[0, 1, 2]], {"presence.linger_seconds": 0.2}, faults=faults)
    server, [ann, bob, guest], [chat] = scene.server.start(), scene.people, scene.chats
    async with Rest(server) as rest:
        eve = await rest.register("eve")
        one, other = await connect(ann), await connect(bob)
        await check_that_all_goes_on(rest, one, other, guest, chat)

        faults.step_clock(-WITHIN_LEEWAY)  # within the leeway nobody's token is refused
        await check_that_all_goes_on(rest, one, other, guest, chat)
        assert [await status(rest, person) for person in (ann, eve, await refreshed(rest, eve))] == [200] * 3
        await connect(ann)

        # An hour back: what was issued before is of the future, until the clock has caught up. Logging in helps.
        faults.step_clock(-HOUR)
        guest_now = await rest.login(eve)
        assert [await status(rest, person) for person in (ann, eve, guest_now)] == [401, 401, 200]
        refused(await rest.post("/auth/refresh", {"refresh_token": eve.refresh_token}), 401, "unauthorized")
        await say_and_hear(one, other, chat)

        faults.step_clock(HOUR)  # access tokens have expired by then, sessions have not
        assert [await status(rest, person) for person in (ann, eve, await refreshed(rest, eve))] == [
            200,
            401,
            200,
        ]
        await check_that_all_goes_on(rest, one, other, guest, chat)

        faults.step_clock(0)
        await check_that_all_goes_on(rest, one, other, guest, chat)
        assert [await status(rest, person) for person in (ann, eve, await refreshed(rest, eve))] == [200] * 3
        assert len((await rest.get("/auth/sessions", eve)).json()) == 2

        history = await rest.whole_history(bob, chat)
        assert [message["seq"] for message in history] == [1, 2, 3, 4, 5]
        times = [message["created_at"] for message in history]
        assert times[2] < times[1] < times[0] < times[4] < times[3], "the clock did not step"
        assert [frame["message"]["id"] for frame in other.received if frame["type"] == "new_message"] == [
            message["id"] for message in history
        ]
