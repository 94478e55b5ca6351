"""The hub in the server as it is started: what REST does reaches the sockets, and they it."""

import asyncio

from tests.support.files import uploaded
from tests.support.fixtures import Connect, StartServer
from tests.support.raw import PONG, RawSocket
from tests.support.rest import Rest, refused, succeeded
from tests.support.server import ServerProcess


async def test_what_rest_does_is_told_to_sockets(rest: Rest, connect: Connect) -> None:
    ann, bob, cat = await rest.people("ann", "bob", "cat")
    one, other, third = await connect(ann), await connect(bob), await connect(cat)
    group = await rest.group(ann, bob)
    created = await one.next("conversation_created")
    assert created == await other.next("conversation_created")
    assert created["conversation"]["id"] == group
    assert {(await one.next("online_status"))["user_id"]} == {bob.id}
    sent = await rest.send(ann, group, "by hand", temp_id="t1")
    event = await other.next("new_message")
    assert event["message"] == {name: value for name, value in sent.items() if name != "temp_id"}
    assert (await one.next("new_message"))["message"] == sent
    assert (await rest.patch(f"/chats/{group}", {"title": "Crowd"}, ann)).status_code == 200
    assert (await other.next("conversation_updated"))["conversation"]["title"] == "Crowd"
    succeeded(await rest.post(f"/chats/{group}/members", {"members": [cat.id]}, ann))
    added = (await third.next("conversation_created"))["conversation"]
    assert added["members"] == sorted([ann.id, bob.id, cat.id])
    assert (await rest.delete(f"/chats/{group}/members/{bob.id}", ann)).status_code == 204
    await other.next("conversation_removed")
    await third.next(
        "conversation_updated", where=lambda frame: bob.id not in frame["conversation"]["members"]
    )


async def test_reading_history_over_rest_counts_as_delivered(rest: Rest, connect: Connect) -> None:
    ann, bob = await rest.people("ann", "bob")
    dialog = await rest.dialog(ann, bob)
    author = await connect(ann)
    ids = [(await author.say(dialog, f"{number}"))["id"] for number in range(4)]
    page = await rest.history(bob, dialog, limit=2, before_id=ids[3])
    assert [message["id"] for message in page] == [ids[2], ids[1]]
    told = [(await author.next("delivered"))["message_id"] for _ in range(3)]
    assert told == ids[:3]
    await rest.history(bob, dialog)
    assert (await author.next("delivered")) == {
        "type": "delivered",
        "message_id": ids[3],
        "conversation_id": dialog,
        "user_id": bob.id,
    }


async def test_reading_over_rest_is_told_to_the_author_and_the_readers_sockets(
    rest: Rest, connect: Connect
) -> None:
    ann, bob = await rest.people("ann", "bob")
    dialog = await rest.dialog(ann, bob)
    author, reader = await connect(ann), await connect(bob)
    message = await author.say(dialog, "hello")
    assert (await rest.post(f"/chats/{dialog}/read", {"message_id": message["id"]}, bob)).status_code == 204
    assert (await author.next("read"))["message_id"] == message["id"]
    assert (await reader.next("unread"))["unread_count"] == 0


async def test_who_has_a_socket_is_online_over_rest_to_contacts(rest: Rest, connect: Connect) -> None:
    ann, bob, eve = await rest.people("ann", "bob", "eve")
    await rest.dialog(ann, bob)
    assert (await rest.get(f"/users/{ann.id}", bob)).json()["online"] is False
    await connect(ann)
    assert (await rest.get(f"/users/{ann.id}", bob)).json()["online"] is True
    assert (await rest.get(f"/users/{ann.id}", eve)).json()["online"] is False
    assert (await rest.get("/users/me", ann)).json()["online"] is True


async def test_a_logout_closes_the_sessions_sockets_with_4501_and_its_token_opens_none(
    rest: Rest, connect: Connect, server: ServerProcess
) -> None:
    ann = await rest.register()
    other = await connect(await rest.login(ann))
    socket = await connect(ann)
    assert (await rest.post("/auth/logout", by=ann)).status_code == 204
    assert await socket.closed() == 4501
    await other.settle()
    with await RawSocket.open(server.ws_url) as client:
        assert (await client.upgrade(f"/ws?token={ann.token}")).status == 401


async def test_without_an_upgrade_it_is_426(rest: Rest) -> None:
    ann = await rest.register()
    for path in ("/ws", f"/ws?token={ann.token}"):
        answer = await rest.get(path)
        refused(answer, 426, "upgrade_required")
        assert answer.headers["upgrade"] == "websocket"


async def test_frames_in_the_segment_of_the_upgrade_request_are_not_lost(
    rest: Rest, server: ServerProcess
) -> None:
    ann, bob = await rest.people("ann", "bob")
    dialog = await rest.dialog(ann, bob)
    frames = [
        {"type": "send_message", "temp_id": str(number), "conversation_id": dialog, "text": "early"}
        for number in range(3)
    ]
    with await RawSocket.open(server.ws_url) as client:
        await client.send_upgrade(ann, *frames)
        assert (await client.answer()).status == 101
        assert (await client.text())["type"] == "hello"
        assert [(await client.text("message_sent"))["temp_id"] for _ in frames] == ["0", "1", "2"]


async def test_the_settings_reach_the_hub(start_server: StartServer) -> None:
    server = start_server(
        {
            "limits.frame_bytes": 4096,
            "limits.sockets_per_user": 1,
            "limits.sockets": 2,
            "presence.linger_seconds": 0.1,
            "receipts.interval_seconds": 0.1,
            "limits.live_members": 2,
            "server.origins": ["https://app.example"],
            "log.level": "debug",
        }
    )
    async with Rest(server) as rest:
        ann, bob = await rest.people("ann", "bob")
        dialog = await rest.dialog(ann, bob)
        origin = {"Origin": "https://app.example"}
        with (
            await RawSocket.open(server.ws_url) as first,
            await RawSocket.open(server.ws_url) as second,
            await RawSocket.open(server.ws_url) as third,
            await RawSocket.open(server.ws_url) as refusing,
        ):
            assert (await first.upgrade(f"/ws?token={ann.token}", origin)).status == 101
            assert (await second.upgrade(f"/ws?token={ann.token}")).status == 101
            assert (await first.until_close()).close_code == 4509
            assert (await third.upgrade(f"/ws?token={bob.token}")).status == 101
            assert (await refusing.upgrade(f"/ws?token={ann.token}")).status == 503
            await rest.send(ann, dialog, "hello")
            await third.send_frame(PONG, await third.ping())
            assert (await second.text("delivered"))["user_id"] == bob.id
            await second.send_json({"type": "x" * 4096})
            assert (await second.until_close()).close_code == 1009
            assert (await third.text("online_status", where=lambda frame: frame["online"] is False))[
                "user_id"
            ] == ann.id


async def test_ending_a_session_over_rest_closes_all_its_sockets_and_no_others(
    rest: Rest, connect: Connect
) -> None:
    ann = await rest.register()
    phone, tablet = await rest.login(ann), await rest.login(ann)
    ending = [await connect(phone), await connect(phone)]
    staying = [await connect(ann), await connect(tablet)]

    async def listed() -> list[tuple[int, bool]]:
        found = (await rest.get("/auth/sessions", ann)).json()
        return [(session["id"], session["current"]) for session in found]

    (newest, _), (middle, _), (own, is_own) = await listed()
    assert is_own
    assert (await rest.delete(f"/auth/sessions/{middle}", ann)).status_code == 204
    assert [await socket.closed() for socket in ending] == [4501, 4501]
    assert await listed() == [(newest, False), (own, True)]
    refused(await rest.get("/users/me", phone), 401, "unauthorized")
    refused(await rest.post("/auth/refresh", {"refresh_token": phone.refresh_token}), 401, "unauthorized")
    for socket in staying:
        await socket.settle()
    # One's own may be ended by its number as well as by a logout.
    assert (await rest.delete(f"/auth/sessions/{own}", ann)).status_code == 204
    assert await staying[0].closed() == 4501
    await staying[1].settle()


async def test_a_temp_id_is_one_message_over_rest_and_over_sockets(rest: Rest, connect: Connect) -> None:
    ann, bob = await rest.people("ann", "bob")
    dialog = await rest.dialog(ann, bob)
    one, other, reader = await connect(ann), await connect(ann), await connect(bob)
    path = f"/chats/{dialog}/messages"
    told = await one.say(dialog, "over the socket", temp_id="socket first")
    again = await rest.post(path, {"text": "over the socket", "temp_id": "socket first"}, ann)
    assert (again.status_code, again.json()) == (200, told)
    posted = await rest.post(path, {"text": "over REST", "temp_id": "REST first"}, ann)
    assert posted.status_code == 201
    await one.send_message(dialog, "over REST", temp_id="REST first")
    repeat = await one.next("message_sent")
    assert repeat == {"type": "message_sent", "temp_id": "REST first", "message": posted.json()}
    # And at once, over three roads.
    body = {"text": "both", "temp_id": "a race"}
    answers = await asyncio.gather(
        rest.post(path, body, ann), rest.post(path, body, ann), one.say(dialog, "both", temp_id="a race"),
        other.say(dialog, "both", temp_id="a race"),
    )  # fmt: skip
    assert len({answer["id"] if isinstance(answer, dict) else answer.json()["id"] for answer in answers}) == 1
    mine = await rest.send(bob, dialog, "both", temp_id="a race")  # bob's own, and no business of ann's
    assert await reader.next("new_message", where=lambda frame: bool(frame["event_id"] == mine["id"]))
    assert [message["text"] for message in await rest.whole_history(bob, dialog)] == [
        "over the socket", "over REST", "both", "both",
    ]  # fmt: skip
    assert len(reader.take("new_message")) == 3


async def test_a_temp_id_that_comes_again_with_something_else_is_a_conflict_over_either_road(
    rest: Rest, connect: Connect
) -> None:
    ann, bob = await rest.people("ann", "bob")
    dialog, group = await rest.dialog(ann, bob), await rest.group(ann, bob)
    sent, other = await uploaded(rest, ann), await uploaded(rest, ann)
    one, reader = await connect(ann), await connect(bob)
    await one.say(dialog, "look", temp_id="socket first", attachments=[sent])
    await rest.send(ann, dialog, "look", temp_id="REST first")
    before = len(await rest.whole_history(bob, dialog))
    differences: list[tuple[int, str, list[int]]]
    for temp_id, differences in (
        ("socket first", [(dialog, "look!", [sent]), (group, "look", [sent]), (dialog, "look", []),
                          (dialog, "look", [other]), (dialog, "look", [sent, other])]),
        ("REST first", [(dialog, "look!", []), (group, "look", []), (dialog, "look", [other])]),
    ):  # fmt: skip
        for conversation_id, text, attachments in differences:
            body = {"text": text, "attachments": attachments, "temp_id": temp_id}
            refused(await rest.post(f"/chats/{conversation_id}/messages", body, ann), 409, "temp_id_conflict")
            await one.send_message(conversation_id, text, attachments=attachments, temp_id=temp_id)
            error = await one.next("error")
            assert (error["code"], error["temp_id"]) == ("temp_id_conflict", temp_id)
            assert error["conversation_id"] == conversation_id
    assert len(await rest.whole_history(bob, dialog)) == before
    assert await rest.whole_history(bob, group) == []
    # The first ones are acknowledged still, and the file that came with the conflicts may be sent.
    again = await one.say(dialog, "look", temp_id="socket first", attachments=[sent])
    assert [file["id"] for file in again["attachments"]] == [sent]
    await one.say(dialog, "look", temp_id="new", attachments=[other])
    await reader.settle()
    assert len(reader.take("new_message")) == before + 1
