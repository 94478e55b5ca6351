"""Resuming: what was missed comes first, then the live traffic (docs/protocol.md section 6, Resuming)."""

import asyncio
import sqlite3
from functools import partial
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from actions import members, profile, receipts, replay
from actions.actor import Actor
from hub.resuming import SLACK_MILLISECONDS, Resuming
from protocol.commands import SetRole, UpdateProfile
from storage import events
from tests.hub.conftest import MakeHouse
from tests.support.hub import House
from tests.support.rest import Person
from tests.support.socket import Frame, Socket

PRESENCE = {"hello", "online_status"}


async def resumed(socket: Socket) -> list[Frame]:
    """All frames up to `resumed`, presence aside; it must be the last of them."""
    await socket.next("resumed")
    frames = [frame for frame in socket.received if frame["type"] not in PRESENCE]
    return frames[: 1 + [frame["type"] for frame in frames].index("resumed")]


def told(frames: list[Frame]) -> list[tuple[str, int]]:
    """The events among frames, as `(type, event_id)`."""
    return [(frame["type"], frame["event_id"]) for frame in frames if "event_id" in frame]


async def read(house: House, person: Person, conversation_id: int, message_id: int) -> None:
    """The person reads, elsewhere."""
    actor = house.actor(person)
    await house.store.write(lambda tx: receipts.read(tx, house.rules, actor, conversation_id, message_id))


async def rename(house: House, person: Person, name: str) -> None:
    """The person takes another username."""

    class Nothing:
        async def hash(self, password: str) -> str: ...  # type: ignore[empty-body]
        async def verify(self, encoded: str | None, password: str) -> bool: ...  # type: ignore[empty-body]

    command = UpdateProfile(username=name)
    actor = house.actor(person)
    await profile.update(house.store, house.rules, Nothing(), house.hub.online, actor, command, "")


async def test_what_was_missed_comes_oldest_first_and_then_the_live_traffic(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    dialog = await house.dialog(ann, bob)
    await house.group(bob, cat)  # what is not hers
    socket = await house.connect(ann)
    cursor = await house.post(bob, dialog, "before")
    await socket.next("new_message")
    await socket.close()
    first = await house.post(bob, dialog, "one")
    own = await house.post(ann, dialog, "two", temp_id="t-2")
    group = await house.group(bob, ann, cat)
    third = await house.post(cat, group, "three")

    socket = await house.connect(ann, since=cursor, log=socket.hello["log"])
    frames = await resumed(socket)
    assert told(frames) == [
        ("new_message", first),
        ("new_message", own),
        ("conversation_created", group),
        ("new_message", third),
        ("resumed", third),
    ]
    assert frames[0] == {
        "type": "new_message",
        "event_id": first,
        "conversation_id": dialog,
        "message": frames[0]["message"],
    }
    assert frames[0]["message"]["text"] == "one"
    assert frames[1]["message"]["temp_id"] == "t-2"
    assert "temp_id" not in frames[3]["message"]
    await house.post(bob, dialog, "live")
    assert (await socket.next("new_message", where=lambda frame: frame["event_id"] > third))["message"][
        "text"
    ] == "live"


async def test_hello_and_presence_come_before_the_replay(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    await house.post(bob, dialog, "missed")
    await house.connect(bob)
    socket = await house.connect(ann, since=0)
    await socket.next("resumed")
    kinds = [frame["type"] for frame in socket.received]
    assert kinds[:4] == ["hello", "online_status", "conversation_created", "new_message"]


async def test_who_comes_and_goes_during_the_replay_is_told(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    await house.dialog(ann, bob)
    async with house.hub._resuming._turn:
        socket = await house.connect(ann, since=0)
        await (await house.connect(bob)).close()
        assert (await socket.next("online_status"))["online"] is True
        assert (await socket.next("online_status"))["online"] is False
    await socket.next("resumed")


async def test_who_missed_nothing_is_told_so(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    last = await house.post(ann, dialog, "hi")
    await house.group(bob)
    socket = await house.connect(ann, since=last)
    assert (await resumed(socket))[-1] == {"type": "resumed", "event_id": socket.hello["event_id"]}
    assert socket.hello["event_id"] > last


async def test_without_since_nothing_is_replayed(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    await house.post(bob, await house.dialog(ann, bob), "missed")
    socket = await house.connect(ann, log="x")
    await socket.settle()
    assert [frame["type"] for frame in socket.received] == ["hello"]


@pytest.mark.parametrize("since", ["x", "", "-1", "1.0", "1e3", "٣", "0x1", " 1", "9" * 5000])
async def test_a_since_that_is_no_number_is_refused_with_400(house: House, since: str) -> None:
    ann = await house.person()
    with pytest.raises(InvalidStatus) as caught:
        await house.connect(ann, since=since)
    assert caught.value.response.status_code == 400


@pytest.mark.parametrize(
    "query", [{"since": 1, "log": "another"}, {"since": 10**6}, {"since": 2**53}, {"since": 10**40}]
)
async def test_a_cursor_that_is_not_of_this_log_is_told_to_load_anew(
    house: House, query: dict[str, Any]
) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    last = await house.post(bob, dialog, "missed")
    socket = await house.connect(ann, **query)
    await socket.settle()
    assert socket.received[1:] == [{"type": "resync", "event_id": last, "log": socket.hello["log"]}]
    await house.post(bob, dialog, "live")
    assert (await socket.next("new_message"))["message"]["text"] == "live"


async def test_more_events_than_are_replayed_are_loaded_anew(make_house: MakeHouse) -> None:
    house = await make_house(resume_events=3)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    ids = [await house.post(bob, dialog, f"{number}") for number in range(4)]
    within = await house.connect(ann, since=ids[0])
    assert len(await resumed(within)) == 4
    beyond = await house.connect(ann, since=dialog)
    assert await beyond.next("resync") == {
        "type": "resync",
        "event_id": ids[-1],
        "log": beyond.hello["log"],
    }
    assert not beyond.take("new_message")
    await house.post(bob, dialog, "live")
    for socket in (within, beyond):
        assert (await socket.next(where=lambda frame: frame.get("event_id", 0) > ids[-1]))["message"][
            "text"
        ] == "live"


async def test_membership_now_decides_what_is_replayed(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    left, back, kept = [await house.group(bob, ann, title=title) for title in ("left", "back", "kept")]
    for group in (left, back, kept):
        await house.post(bob, group, "while she was in")
    await house.remove(bob, left, ann)
    await house.remove(bob, back, ann)
    removed = house.commits[-2][0]
    await house.post(bob, left, "not for her")
    await house.post(bob, back, "nor this, now")
    await house.add(bob, back, ann)
    added = house.commits[-1][0]
    again = await house.post(bob, back, "again")
    await house.rename(bob, kept, "renamed")

    frames = [frame for frame in await resumed(await house.connect(ann, since=kept)) if "event_id" in frame]
    assert [(frame["type"], _where(frame)) for frame in frames[:-1]] == [
        ("new_message", kept),
        ("conversation_removed", left),
        ("conversation_created", back),
        ("new_message", back),
        ("conversation_updated", kept),
    ]
    assert [frame["event_id"] for frame in frames[1:4]] == [removed.event_id, added.event_id, again]  # type: ignore[union-attr]
    assert "not for her" not in str(frames)
    assert "nor this" not in str(frames)
    assert frames[4]["conversation"]["title"] == "renamed"


def _where(frame: Frame) -> int:
    conversation: int = frame["conversation"]["id"] if "conversation" in frame else frame["conversation_id"]
    return conversation


async def test_a_conversation_is_replayed_as_it_is_now(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    group = await house.group(bob, ann, title="old")
    await house.rename(bob, group, "newer")
    await house.add(bob, group, cat)
    await house.act(_promote, bob, group, cat.id)
    frames = await resumed(await house.connect(ann, since=0))
    assert [frame["type"] for frame in frames] == [
        "conversation_created",
        *["conversation_updated"] * 3,
        "resumed",
    ]
    for frame in frames[:-1]:
        assert frame["conversation"]["title"] == "newer"
        assert frame["conversation"]["members"] == [ann.id, bob.id, cat.id]


def _promote(tx: Any, rules: Any, actor: Any, conversation_id: int, user_id: int) -> None:
    members.set_role(tx, actor, conversation_id, user_id, SetRole(role="owner"))


async def test_new_names_of_contacts_and_one_s_own_are_replayed_once(house: House) -> None:
    ann, bob, eve = await house.people("ann", "bob", "eve")
    dialog = await house.dialog(ann, bob)
    for person, name in ((bob, "bobby"), (bob, "robert"), (eve, "eva"), (ann, "anna")):
        await rename(house, person, name)
    frames = await resumed(await house.connect(ann, since=dialog))
    assert [(frame["type"], frame["user"]["username"]) for frame in frames[:-1]] == [
        ("user_updated", "robert"),
        ("user_updated", "anna"),
    ]


async def test_receipts_that_moved_meanwhile_follow_the_events(house: House) -> None:
    ann, bob, cat = await house.people("ann", "bob", "cat")
    dialog, still = await house.dialog(ann, bob), await house.dialog(ann, cat)
    group = await house.group(bob, ann)
    await house.post(ann, still, "nobody reads this")
    own = await house.post(ann, dialog, "read this")
    theirs = await house.post(bob, group, "and you this")
    cursor = await house.post(bob, group, "and this")
    await read(house, bob, dialog, own)
    await read(house, ann, group, theirs)

    frames = await resumed(await house.connect(ann, since=cursor))
    assert frames.pop() == {"type": "resumed", "event_id": cursor}
    assert {
        "type": "unread",
        "conversation_id": group,
        "message_id": theirs,
        "unread_count": 1,
    } in frames
    assert [frame for frame in frames if frame["type"] != "unread"] == [
        {"type": "delivered", "message_id": own, "conversation_id": dialog, "user_id": bob.id},
        {"type": "read", "message_id": own, "conversation_id": dialog, "user_id": bob.id},
    ], "Cat has not read what Ann wrote her, and what Ann read in the group its author was told"


async def test_receipts_of_long_ago_are_not_told_again(make_house: MakeHouse) -> None:
    now = 1_790_000_000_000
    house = await make_house(clock=lambda: now)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    await read(house, bob, dialog, await house.post(ann, dialog, "read long ago"))
    now += 60_000
    await house.post(ann, await house.group(ann), "a minute later")
    now += 60_000
    cursor = await house.post(ann, await house.group(ann), "another minute later")
    frames = await resumed(await house.connect(ann, since=cursor))
    assert [frame for frame in frames if frame.get("conversation_id") == dialog] == []


async def test_receipts_that_may_have_waited_for_their_pace_are_told_again(make_house: MakeHouse) -> None:
    now = 1_790_000_000_000
    house = await make_house(clock=lambda: now, receipt_seconds=1.0)
    ann, bob, cat = await house.people("ann", "bob", "cat")
    dialog, other = await house.dialog(ann, bob), await house.dialog(ann, cat)
    own = await house.post(ann, dialog, "read this")
    now += 60_000
    theirs = await house.post(cat, other, "older than the slack")
    now += 1
    await read(house, bob, dialog, own)
    await read(house, ann, other, theirs)
    now += 1
    await house.post(cat, other, "younger than the slack")
    now += 1000 + SLACK_MILLISECONDS - 2
    cursor = await house.post(cat, other, "told before Bob's receipt")
    frames = await resumed(await house.connect(ann, since=cursor))
    assert [(frame["type"], frame["conversation_id"]) for frame in frames if "event_id" not in frame] == [
        ("unread", other),
        ("delivered", dialog),
        ("read", dialog),
    ]


async def test_receipts_are_looked_back_for_over_so_many_messages_and_no_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOOKED_BACK", 3)
    ann = await house.person()
    group = await house.group(ann)
    posted = [await house.post(ann, group, str(number)) for number in range(5)]
    minute = 60_000
    for cursor, found in ((posted[4], posted[2]), (posted[2], posted[0]), (posted[1], 0)):
        assert (
            await house.store.read(partial(events.some_time_before, event_id=cursor, milliseconds=minute))
            == found
        )


async def test_who_resumes_is_proved_to_have_what_was_missed(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    author = await house.connect(bob)
    missed = await author.say(dialog, "missed")
    await house.connect(ann, since=dialog)
    assert (await author.next("delivered"))["message_id"] == missed["id"]


async def test_however_much_was_missed_all_of_it_comes_once_and_in_order(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    many = 2 * replay.PAGE_EVENTS + 1
    await asyncio.gather(*(house.post(bob, dialog, f"{number}") for number in range(many)))
    long = [await house.post(bob, dialog, "x" * 10_000) for _ in range(20)]
    await rename(house, bob, "robert")
    socket = await house.connect(ann, since=0)
    frames = await resumed(socket)
    assert [frame["type"] for frame in frames[-2:]] == ["user_updated", "resumed"]
    assert [frame["message"]["seq"] for frame in frames if frame["type"] == "new_message"] == list(
        range(1, many + len(long) + 1)
    )


async def test_what_is_committed_between_the_last_page_and_the_live_traffic_is_not_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    finish = Resuming._finish
    sent: list[int] = []

    async def late(self: Resuming, *args: Any) -> bool:
        if not sent:
            sent.extend([await house.post(bob, dialog, f"{number}") for number in range(replay.PAGE_EVENTS)])
        else:
            sent.append(await house.post(bob, dialog, "once more"))
        return await finish(self, *args)

    monkeypatch.setattr(Resuming, "_finish", late)
    frames = await resumed(await house.connect(ann, since=dialog))
    assert [frame["event_id"] for frame in frames if frame["type"] == "new_message"] == sent
    assert len(sent) == replay.PAGE_EVENTS + 1


async def test_receipts_keep_up_with_what_is_committed_before_the_live_traffic(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await house.people("ann", "bob")
    left, kept, quiet = [await house.group(bob, ann, title=title) for title in ("left", "kept", "quiet")]
    cursor = await house.post(bob, quiet, "before")
    for group in (left, kept):
        await read(house, ann, group, await house.post(bob, group, "read elsewhere"))
    await house.post(bob, left, "and later")
    finish = Resuming._finish

    async def late(self: Resuming, *args: Any) -> bool:
        await house.remove(bob, left, ann)
        await house.post(bob, kept, "unread")
        await read(house, ann, quiet, cursor)
        return await finish(self, *args)

    monkeypatch.setattr(Resuming, "_finish", late)
    frames = await resumed(await house.connect(ann, since=cursor))
    kinds = [frame["type"] for frame in frames]
    assert kinds[-5:] == ["conversation_removed", "new_message", "unread", "unread", "resumed"]
    unread = [
        (frame["conversation_id"], frame["unread_count"]) for frame in frames if frame["type"] == "unread"
    ]
    assert unread == [(kept, 1), (quiet, 0)]


async def test_an_ack_that_overtakes_the_replay_has_no_event_id_and_its_message_comes_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    missed = await house.post(bob, dialog, "missed")
    finish, may = Resuming._finish, asyncio.Event()

    async def held(self: Resuming, *args: Any) -> bool:
        await may.wait()
        return await finish(self, *args)

    monkeypatch.setattr(Resuming, "_finish", held)
    phone, laptop = await house.connect(ann, since=dialog), await house.connect(ann)
    own = await phone.say(dialog, "meanwhile", temp_id="m-1")
    assert (await laptop.next("new_message"))["event_id"] == own["id"]
    answer = await house.post(bob, dialog, "live elsewhere")
    await laptop.next("new_message")
    await phone.send({"type": "read", "conversation_id": dialog, "message_id": 1})
    assert (await phone.next("error"))["code"] == "not_found"
    may.set()
    frames = await resumed(phone)
    [ack] = [frame for frame in frames if frame["type"] == "message_sent"]
    assert ack == {"type": "message_sent", "temp_id": "m-1", "message": own}
    events = [frame for frame in frames if frame["type"] == "new_message"]
    assert [frame["event_id"] for frame in events] == [missed, own["id"], answer]
    assert events[1]["message"] == own
    await phone.send_message(dialog, "and live", temp_id="m-2")
    assert (await phone.next("message_sent"))["event_id"] > answer


async def test_a_client_that_does_not_read_costs_a_page_however_far_behind_it_is(
    make_house: MakeHouse,
) -> None:
    house = await make_house(stuck_seconds=600.0)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    witness = await house.connect(bob)
    many = 400
    await asyncio.gather(*(house.post(bob, dialog, "x" * 10_000) for _ in range(many)))
    raw = await house.dial(receive_buffer=4096)
    await raw.send_upgrade(ann, since=0)
    await house.until(lambda: house.hub.online(ann.id))
    connection = house.connection(ann)
    await house.until(lambda: connection.is_paused)
    for number in range(100):  # the live traffic is nothing that it has to keep
        await witness.say(dialog, f"live {number}")
    assert connection.is_paused
    waiting = connection._transport.get_write_buffer_size() + sum(map(len, connection.pending))
    assert waiting < 2 * replay.PAGE_CHARS + 64 * 1024

    assert (await raw.answer()).status == 101
    seqs = []
    while (frame := await raw.text())["type"] != "resumed":
        if frame["type"] == "new_message":
            seqs.append(frame["message"]["seq"])
    assert seqs == list(range(1, many + 101))


async def test_a_replay_of_a_client_that_goes_away_ends(house: House) -> None:
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    await asyncio.gather(*(house.post(bob, dialog, "x" * 10_000) for _ in range(500)))
    raw = await house.dial(receive_buffer=4096)
    await raw.send_upgrade(ann, since=0)
    await house.until(lambda: house.hub.online(ann.id) and house.connection(ann).is_paused)
    assert house.hub._resuming._tasks
    raw.reset()
    await house.gone(ann)
    await house.until(lambda: not house.hub._resuming._tasks)


async def test_a_session_that_ends_during_the_replay_ends_the_socket(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await house.person()
    may = asyncio.Event()

    async def held(self: Resuming, *args: Any) -> bool:
        return await may.wait()

    monkeypatch.setattr(Resuming, "_finish", held)
    socket = await house.connect(ann, since=0)
    assert house.hub.online(ann.id)
    await house.logout(ann)
    assert await socket.closed() == 4501
    may.set()


async def test_a_log_that_cannot_be_read_has_the_client_come_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*args: Any, **kwargs: Any) -> None:
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    ann = await house.person()
    monkeypatch.setattr(replay, "first_page", locked)
    socket = await house.connect(ann, since=0)
    assert await socket.closed() == 1012


async def test_a_socket_that_could_not_be_caught_up_is_not_left_deaf(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event_id: int) -> bytes:
        raise ValueError("a bug")

    monkeypatch.setattr("hub.frames.resumed", broken)
    socket = await house.connect(await house.person(), since=0)
    assert await socket.closed() == 1011
    assert "A SocketCaughtUp was not told" in caplog.text


async def test_a_server_that_stops_lets_go_of_replays(make_house: MakeHouse) -> None:
    house = await make_house(close_seconds=0.2)
    ann, bob = await house.people("ann", "bob")
    dialog = await house.dialog(ann, bob)
    await asyncio.gather(*(house.post(bob, dialog, "x" * 10_000) for _ in range(500)))
    raw = await house.dial(receive_buffer=4096)
    await raw.send_upgrade(ann, since=0)
    await house.until(lambda: house.hub.online(ann.id) and house.connection(ann).is_paused)
    house.hub.stop_reading()
    await house.hub.close_all()
    assert not house.hub._resuming._tasks


async def test_a_page_is_bounded_whatever_is_in_it(house: House) -> None:
    ann, *others = await house.people(*["ann"] + ["other"] * 300)
    group = await house.group(ann, *others)
    for number in range(60):
        await house.rename(ann, group, f"title {number}")
    actor = house.actor(others[0])
    page = await house.store.read(lambda view: replay.page(view, house.rules, actor, 0, 0))
    assert not page.is_last
    assert 10 < len(page.events) < 40
    assert len(await resumed(await house.connect(others[0], since=0))) == 62


async def test_who_resumes_on_many_sockets_stands_in_the_queue_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await house.people("ann", "bob")
    read, may, order = house.store.read, asyncio.Event(), list[int]()

    async def held(query: Any) -> Any:
        await may.wait()
        return await read(query)

    monkeypatch.setattr(house.hub._resuming._store, "read", held)
    sockets = [await house.connect(ann, since=0) for _ in range(10)]
    victim = await house.connect(bob, since=0)

    async def wait(socket: Socket, who: int) -> None:
        await socket.next("resumed")
        order.append(who)

    waiting = [asyncio.create_task(wait(socket, ann.id)) for socket in sockets]
    waiting.append(asyncio.create_task(wait(victim, bob.id)))
    await asyncio.sleep(0)
    may.set()
    await asyncio.gather(*waiting)
    assert order.index(bob.id) < 3, "he waited for all of hers"


async def test_nothing_is_read_for_who_has_gone_before_its_turn(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await house.people("ann", "bob")
    first_page, begun = replay.first_page, list[int]()

    def noted(view: Any, rules: Any, actor: Actor, **how: Any) -> replay.Page | None:
        begun.append(actor.user_id)
        return first_page(view, rules, actor, **how)

    monkeypatch.setattr(replay, "first_page", noted)
    async with house.hub._resuming._turn:
        tired = await house.connect(ann, since=0)
        patient = await house.connect(bob, since=0)
        await tired.close()
        await house.gone(ann)
    await patient.next("resumed")
    await house.until(lambda: not house.hub._resuming._tasks)
    assert begun == [bob.id]
