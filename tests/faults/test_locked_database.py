"""Another process holds the database's lock: waited for without standing in anybody's way, then given up.

What waits meanwhile shares a batch, in which whatever is wrong fails alone.
"""

import asyncio
import contextlib
import sqlite3
import statistics
import time

from storage.database import BUSY_SECONDS
from tests.faults.conftest import MakeScene
from tests.support.faults import locked
from tests.support.fixtures import Connect
from tests.support.load import Outbox, check_stored
from tests.support.rest import Rest, refused, succeeded
from tests.support.server import ServerProcess

CURSE = """
CREATE TRIGGER curse AFTER UPDATE OF last_message_id ON conversations
WHEN (SELECT text FROM messages WHERE id = NEW.last_message_id) = 'cursed'
BEGIN SELECT RAISE(ABORT, 'cursed'); END
"""
"""A message that SQLite refuses only after it was written."""


def curse(server: ServerProcess) -> None:
    with contextlib.closing(sqlite3.connect(server.data_dir / "beseda.db")) as database:
        database.execute(CURSE)


async def test_a_lock_is_waited_for_without_holding_up_what_needs_none_and_then_given_up(
    make_scene: MakeScene, connect: Connect
) -> None:
    scene = make_scene(2, [[0, 1]])
    server, [ann, bob], [chat] = scene.server.start(), scene.people, scene.chats
    outbox = Outbox(ann, chat)
    async with Rest(server) as rest:
        socket, other = await connect(ann), await connect(bob)
        first = outbox.write()
        outbox.settle(first, await socket.say(chat, outbox.sent[first], temp_id=first))
        over_socket, over_rest = outbox.write(), outbox.write()
        with locked(server):
            began = time.monotonic()
            await socket.send_message(chat, outbox.sent[over_socket], temp_id=over_socket)
            body = {"text": outbox.sent[over_rest], "temp_id": over_rest}
            posted = asyncio.create_task(rest.post(f"/chats/{chat}/messages", body, ann))
            refusing = asyncio.create_task(socket.next("error"))
            waits = []
            while not (refusing.done() or posted.done()):
                asked = time.monotonic()
                await other.settle()
                assert (await rest.get("/users/me", bob)).status_code == 200
                assert len(await rest.history(bob, chat)) == 1
                await socket.send({"type": "typing_start", "conversation_id": chat})
                waits.append(time.monotonic() - asked)
                await asyncio.sleep(0.05)
            assert len(waits) > 3
            assert statistics.median(waits) < 1, "somebody waited for the lock who needed none"
            refusal = await refusing
            assert (refusal["code"], refusal["temp_id"]) == ("unavailable", over_socket)
            refused(await posted, 503, "unavailable")
            # The one may come as the other waits already, and then waits after it.
            assert BUSY_SECONDS - 0.5 < time.monotonic() - began < 3 * BUSY_SECONDS
        assert len(other.take("new_message")) == 1
        assert other.take("typing") != []
        # It recovers by itself, and what is sent again is there once.
        for temp_id in (over_socket, over_rest):
            outbox.settle(temp_id, await socket.say(chat, outbox.sent[temp_id], temp_id=temp_id))
    assert len(check_stored(server, [outbox], all_acked=True)) == 3


async def test_what_waited_for_a_lock_is_committed_together_and_what_is_wrong_with_it_fails_alone(
    make_scene: MakeScene, connect: Connect
) -> None:
    scene = make_scene(3, [[0, 1], [1, 2]])
    curse(scene.server)
    scene.server.may_log_errors = True
    server, [ann, bob, cid], [chat, not_hers] = scene.server.start(), scene.people, scene.chats
    async with Rest(server) as rest:
        socket, other = await connect(ann), await connect(bob)
        known = await socket.send_message(chat, "known", temp_id="known")
        await other.next("new_message")
        with locked(server):
            # The first one waits for the lock with a batch of its own; those that come meanwhile make the next.
            await socket.send_message(chat, "the first")
            await socket.settle()
            good = [await socket.send_message(chat, f"good {number}") for number in range(10)]
            await socket.send_message(not_hers, "let me in", temp_id="stranger")
            await socket.send_message(chat, "something else", temp_id=known)
            await socket.send_message(chat, "cursed", temp_id="cursed")
            good += [await socket.send_message(chat, f"good {number}") for number in range(10, 20)]
            over_rest = asyncio.create_task(rest.send(cid, not_hers, "mine"))
            await socket.settle()
            assert [frame["temp_id"] for frame in socket.take("message_sent")] == [known], "nothing waited"
            assert not over_rest.done()
        answers = [
            await socket.next(where=lambda frame: frame["type"] in ("message_sent", "error"))
            for _ in range(24)
        ]
        failed = {frame["temp_id"]: frame["code"] for frame in answers if frame["type"] == "error"}
        assert failed == {"stranger": "not_found", known: "temp_id_conflict", "cursed": "unavailable"}
        acked = [frame for frame in answers if frame["type"] == "message_sent"]
        assert [frame["temp_id"] for frame in acked[1:]] == good
        assert len({frame["message"]["created_at"] for frame in acked[1:]}) == 1, (
            "they did not share a commit"
        )
        assert (await over_rest)["seq"] == 1
        assert [message["text"] for message in (await rest.whole_history(bob, chat))[2:]] == [
            f"good {number}" for number in range(20)
        ]
        for _ in range(21):
            assert "cursed" not in (await other.next("new_message"))["message"]["text"]
        assert "IntegrityError: cursed" in server.output()
        succeeded(await rest.get("/readyz"))
