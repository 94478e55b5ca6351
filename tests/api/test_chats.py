"""Users, conversations and messages over REST (docs/protocol.md sections 2 to 4): statuses, shapes, and what moves."""

import asyncio
import logging
import uuid

import pytest

from api.messages import _log_failure
from protocol.errors import Refused
from storage.writer import Outcome
from tests.api.conftest import Cast
from tests.support.fixtures import Connect
from tests.support.rest import Person, Rest, refused, succeeded


async def test_a_user_is_seen_by_others_without_what_is_its_own(rest: Rest, cast: Cast) -> None:
    seen = succeeded(await rest.get(f"/users/{cast.bob.id}", cast.ann))
    assert seen == {"id": cast.bob.id, "username": cast.bob.username, "online": False, "last_seen_at": None}


async def test_users_are_found_by_the_start_of_their_names(rest: Rest, cast: Cast) -> None:
    found = (await rest.get("/users", cast.ann, query="BO", limit=1)).json()
    assert [user["id"] for user in found] == [cast.bob.id]
    assert (await rest.get("/users", cast.ann, query="ob")).json() == []


async def test_presence_reaches_rest(rest: Rest, cast: Cast, connect: Connect) -> None:
    await connect(cast.bob)
    assert succeeded(await rest.get(f"/users/{cast.bob.id}", cast.ann))["online"] is True
    assert succeeded(await rest.get(f"/users/{cast.bob.id}", cast.eve))["online"] is False, (
        "eve is no contact"
    )
    assert succeeded(await rest.get("/users/me", cast.bob))["online"] is True


async def test_a_dialog_is_made_once(rest: Rest, cast: Cast) -> None:
    body = {"type": "dialog", "title": None, "members": [cast.eve.id]}
    first, again = await rest.post("/chats", body, cast.ann), await rest.post("/chats", body, cast.ann)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    mirrored = await rest.post(
        "/chats", {**body, "members": [cast.ann.id, cast.eve.id, cast.ann.id]}, cast.eve
    )
    assert (mirrored.status_code, mirrored.json()["id"]) == (200, first.json()["id"])


async def test_a_group_goes_through_its_life(rest: Rest, cast: Cast) -> None:
    made = await rest.post("/chats", {"type": "group", "title": "Team", "members": [cast.bob.id]}, cast.ann)
    assert made.status_code == 201
    path = f"/chats/{made.json()['id']}"
    assert (await rest.get(path, cast.bob)).json()["title"] == "Team"
    renamed = await rest.patch(path, {"title": None}, cast.ann)
    assert (renamed.status_code, renamed.json()["title"]) == (200, None)
    added = await rest.post(f"{path}/members", {"members": [cast.eve.id, cast.bob.id]}, cast.ann)
    assert (added.status_code, len(added.json()["members"])) == (200, 3)
    changed = await rest.patch(f"{path}/members/{cast.bob.id}", {"role": "owner"}, cast.ann)
    assert (changed.status_code, changed.json()["role"]) == (200, "owner")
    members = (await rest.get(f"{path}/members", cast.eve)).json()
    roles = {member["user_id"]: member["role"] for member in members}
    assert roles == {cast.ann.id: "owner", cast.bob.id: "owner", cast.eve.id: "member"}
    left = await rest.delete(f"{path}/members/{cast.ann.id}", cast.ann)
    assert (left.status_code, left.content) == (204, b"")
    refused(await rest.get(path, cast.ann), 404, "not_found")
    last_owner = await rest.patch(f"{path}/members/{cast.bob.id}", {"role": "member"}, cast.bob)
    refused(last_owner, 409, "last_owner")
    refused(await rest.delete(f"{path}/members/{cast.ann.id}", cast.bob), 404, "not_found")


async def test_conversations_are_listed_newest_first_page_by_page(rest: Rest, cast: Cast) -> None:
    groups = [await rest.group(cast.eve, title=str(number)) for number in range(5)]
    await rest.send(cast.eve, groups[1], "news")
    first = (await rest.get("/chats", cast.eve, limit=2)).json()
    second = (await rest.get("/chats", cast.eve, limit=2, before=first[-1]["event_id"])).json()
    listed = [chat["id"] for chat in first + second]
    assert listed == [groups[1], groups[4], groups[3], groups[2]]
    assert first[0]["last_message"]["text"] == "news"


async def test_a_temp_id_stores_a_message_once(rest: Rest, cast: Cast) -> None:
    path = f"/chats/{cast.group}/messages"
    body = {"text": "hello", "temp_id": str(uuid.uuid4())}
    first, again = await rest.post(path, body, cast.ann), await rest.post(path, body, cast.ann)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["temp_id"] == body["temp_id"]
    refused(await rest.post(path, {**body, "text": "other"}, cast.ann), 409, "temp_id_conflict")
    seen = (await rest.history(cast.bob, cast.group, limit=1))[0]
    assert (seen["id"], "temp_id" in seen) == (first.json()["id"], False)


async def test_text_is_kept_as_it_is(rest: Rest, cast: Cast) -> None:
    text = " \u202e  Здравствуй 👩‍👩‍👧\r\n\t\u0001<script> \U0010ffff "
    sent = await rest.send(cast.ann, cast.group, text)
    assert sent["text"] == text
    assert (await rest.history(cast.bob, cast.group, limit=1))[0]["text"] == text


async def test_history_comes_in_pages_between_both_bounds(rest: Rest, cast: Cast) -> None:
    group = await rest.group(cast.ann)
    ids = [(await rest.send(cast.ann, group, str(number)))["id"] for number in range(6)]

    async def page(**query: int) -> list[int]:
        return [message["id"] for message in await rest.history(cast.ann, group, **query)]

    assert await page() == ids[::-1]
    assert await page(limit=2) == [ids[5], ids[4]]
    assert await page(limit=2, before_id=ids[4]) == [ids[3], ids[2]]
    assert await page(limit=2, after_id=ids[1]) == [ids[3], ids[2]]
    assert await page(after_id=ids[1], before_id=ids[4]) == [ids[3], ids[2]]
    assert await page(after_id=0, limit=1) == [ids[0]]
    assert await page(before_id=ids[0]) == []


async def cursors(rest: Rest, person: Person, conversation_id: int) -> tuple[int, int]:
    """How far a member was handed messages, and how far it has read."""
    members = (await rest.get(f"/chats/{conversation_id}/members", person)).json()
    (own,) = [member for member in members if member["user_id"] == person.id]
    return own["delivered_id"], own["read_id"]


async def test_reading_history_moves_the_delivered_cursor_up_to_the_page_s_highest_id(
    rest: Rest, cast: Cast, connect: Connect
) -> None:
    group = await rest.group(cast.ann, cast.bob)
    first, second = [(await rest.send(cast.ann, group, text))["id"] for text in ("first", "second")]
    socket = await connect(cast.ann)
    assert await cursors(rest, cast.bob, group) == (0, 0)
    head = await rest.request("HEAD", f"/chats/{group}/messages", by=cast.bob)
    assert (head.status_code, head.content) == (200, b"")
    assert await cursors(rest, cast.bob, group) == (0, 0), "who asked for the head alone was handed nothing"
    await rest.history(cast.bob, group, before_id=second)
    told = await socket.next("delivered")
    assert (told["message_id"], told["user_id"]) == (first, cast.bob.id)
    assert await cursors(rest, cast.bob, group) == (first, 0)
    await rest.history(cast.bob, group)
    assert (await socket.next("delivered"))["message_id"] == second
    await rest.history(cast.bob, group, before_id=second)
    assert await cursors(rest, cast.bob, group) == (second, 0), "a cursor went back"


def test_a_delivered_cursor_that_was_not_moved_is_no_more_than_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    _log_failure(Outcome(error=Refused("unauthorized", "The session has ended.")))
    _log_failure(Outcome())
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("INFO", None)]


async def test_reading_is_told_and_moves_forward_only(rest: Rest, cast: Cast, connect: Connect) -> None:
    group = await rest.group(cast.ann, cast.bob)
    first, second = [(await rest.send(cast.ann, group, text))["id"] for text in ("first", "second")]
    socket = await connect(cast.ann)
    for message_id in (second, first):
        answer = await rest.post(f"/chats/{group}/read", {"message_id": message_id}, cast.bob)
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await socket.next("read"))["message_id"] == second
    assert await cursors(rest, cast.bob, group) == (second, second)
    elsewhere = (await rest.history(cast.ann, cast.dialog))[0]["id"]
    refused(await rest.post(f"/chats/{group}/read", {"message_id": elsewhere}, cast.bob), 404, "not_found")


async def test_posting_reads_nothing(rest: Rest, cast: Cast) -> None:
    group = await rest.group(cast.ann, cast.bob)
    await rest.send(cast.ann, group, "hello")
    await rest.send(cast.bob, group, "from a script")
    assert (await rest.get(f"/chats/{group}", cast.bob)).json()["unread_count"] == 1


async def test_what_rest_does_is_on_the_sockets_before_it_is_answered(
    rest: Rest, cast: Cast, connect: Connect
) -> None:
    socket = await connect(cast.bob)
    group = await rest.group(cast.ann, cast.bob)
    assert (await socket.next("conversation_created"))["conversation"]["id"] == group
    message = await rest.send(cast.ann, group, "hello")
    assert (await socket.next("new_message"))["message"]["id"] == message["id"]


async def test_fifty_messages_posted_at_once_have_one_order_without_a_gap(rest: Rest, cast: Cast) -> None:
    group = await rest.group(cast.ann, cast.bob)
    people = (cast.ann, cast.bob)
    await asyncio.gather(*(rest.send(people[number % 2], group, str(number)) for number in range(50)))
    messages = await rest.whole_history(cast.ann, group)
    assert [message["seq"] for message in messages] == list(range(1, 51))
    assert len({message["text"] for message in messages}) == 50


async def test_a_title_has_up_to_128_characters_whatever_they_weigh(rest: Rest, cast: Cast) -> None:
    longest = "\U0001f600" * 128
    group = await rest.group(cast.ann, title=longest)
    assert (await rest.get(f"/chats/{group}", cast.ann)).json()["title"] == longest
    assert (await rest.patch(f"/chats/{group}", {"title": "x" * 128}, cast.ann)).status_code == 200
    problem = refused(await rest.patch(f"/chats/{group}", {"title": longest + "x"}, cast.ann), 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["title"]
