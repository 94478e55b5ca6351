"""A client whose cable is pulled out: nothing is closed, and nothing comes (docs/protocol.md section 6, "Limits")."""

import time
from dataclasses import fields

from beseda.settings import Presence
from hub import Settings
from hub.wheel import SPOKES
from tests.faults.conftest import MakeScene
from tests.support.fixtures import Connect
from tests.support.rest import Rest
from tests.support.socket import open_socket
from tests.support.wire import wired

NOTICED_WITHIN = 45.0
LINGER_SECONDS = 0.5


async def test_a_half_open_connection_is_noticed_and_its_user_goes_offline_after_the_linger(
    make_scene: MakeScene, connect: Connect
) -> None:
    settings = {"presence.linger_seconds": LINGER_SECONDS}
    scene = make_scene(2, [[0, 1]], settings, module="tests.faults.impatient")
    server, [ann, bob], [chat] = scene.server.start(), scene.people, scene.chats
    async with Rest(server) as rest, wired(server) as wire:
        other = await connect(bob)
        socket = await open_socket(ann, ws_url=wire.ws_url)
        await other.next("online_status", where=lambda frame: frame["online"])
        await other.say(chat, "are you there?")
        await socket.next("new_message")

        wire.die()
        died = time.monotonic()
        message = await other.say(chat, "and now?")
        offline = await other.next("online_status")
        assert (offline["user_id"], offline["online"]) == (ann.id, False)
        noticed = time.monotonic() - died
        assert LINGER_SECONDS < noticed < 20
        assert not [frame for frame in other.take("delivered") if frame["message_id"] == message["id"]]
        assert [user["online"] for user in (await rest.get("/users", bob, ids=str(ann.id))).json()] == [False]
        socket.connection.transport.abort()
        await socket.closed()


def test_with_the_usual_times_it_is_noticed_within_45_s() -> None:
    ping_seconds: float = {field.name: field.default for field in fields(Settings)}["ping_seconds"]  # type: ignore[assignment]
    # A turn of the wheel until the ping leaves, a spoke more at worst, and then the wait for the pong.
    assert ping_seconds * (1 + 1 / SPOKES + 1) <= NOTICED_WITHIN
    assert Presence().linger_seconds == 5
