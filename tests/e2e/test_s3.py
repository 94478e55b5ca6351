"""Attachments on S3, through a whole server and over real HTTP (docs/protocol.md section 5)."""

import asyncio
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from actions.links import Links
from beseda import keys
from storage.attachments.presigning import Presigner
from storage.store import wall_clock
from tests.support.files import PNG, fresh_url, presign, sent, uploaded
from tests.support.fixtures import Connect, StartServer
from tests.support.rest import Json, Person, Rest, refused, succeeded
from tests.support.s3 import Bucket, Proxy, names, proxied
from tests.support.server import ServerProcess

WAIT = 3.0
"""Seconds: nobody waits longer for S3, whatever it does."""


UNCHECKED = "checks no signature in a URL, not even in its IAM mode"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, bucket: Bucket) -> Iterator[ServerProcess]:
    """A server whose files go to S3, shared by the tests of this module."""
    with ServerProcess(tmp_path_factory.mktemp("server"), bucket.settings()) as process:
        yield process.start()
        bucket.empty(names(process).uploads, names(process).files)


@pytest.fixture(scope="module")
def proxy_of_all(bucket: Bucket) -> Iterator[Proxy]:
    with proxied(bucket) as running:
        yield running


@pytest.fixture
def proxy(proxy_of_all: Proxy) -> Iterator[Proxy]:
    """What stands between `slow_server` and S3."""
    yield proxy_of_all
    proxy_of_all.reset()


@pytest.fixture(scope="module")
def slow_server(
    tmp_path_factory: pytest.TempPathFactory, bucket: Bucket, proxy_of_all: Proxy
) -> Iterator[ServerProcess]:
    """A server that reaches S3 through the proxy, as its clients do."""
    settings = bucket.settings(endpoint=proxy_of_all.url)
    with ServerProcess(tmp_path_factory.mktemp("slow_server"), settings) as process:
        yield process.start()
        bucket.empty(names(process).uploads, names(process).files)


async def until(bucket: Bucket, prefix: str, count: int) -> set[str]:
    """Wait until so many objects lie under a prefix."""
    async with asyncio.timeout(20):
        while len(found := await asyncio.to_thread(bucket.keys, prefix)) != count:
            await asyncio.sleep(0.02)
    return found


def swallow_copies(request: bytes) -> bool:
    return b"x-amz-copy-source" in request.lower()


async def test_bytes_go_to_s3_and_come_from_there_and_never_pass_the_server(
    rest: Rest, bucket: Bucket
) -> None:
    ann, bob = await rest.people("ann", "bob")
    chat = await rest.dialog(ann, bob)
    before = bucket.keys(names(rest.server).files)
    answer = await presign(rest, ann, "photo ä.png", size=len(PNG))
    assert (answer["method"], answer["expires_in"]) == ("PUT", 600)
    assert answer["headers"] == {"Content-Type": "image/png"}
    assert answer["url"].startswith(f"{bucket.endpoint}/{bucket.name}/uploads/")
    response = await rest.http.put(answer["url"], content=PNG)
    assert (response.status_code, response.content) == (200, b"")
    message = await rest.send(ann, chat, "", attachments=[answer["id"]])
    seen = (await rest.history(bob, chat))[0]["attachments"]
    assert seen == message["attachments"]
    assert seen == [
        {"id": answer["id"], "filename": "photo ä.png", "content_type": "image/png", "size": len(PNG),
         "url": seen[0]["url"]}
    ]  # fmt: skip
    response = await rest.http.get(seen[0]["url"])
    assert (response.status_code, response.content) == (200, PNG)
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-disposition"].startswith('inline; filename="photo _.png"')
    assert response.headers["cache-control"] == f"private, max-age={25 * 3600}, immutable"
    part = await rest.http.get(seen[0]["url"], headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    assert len(bucket.keys(names(rest.server).files) - before) == 1
    assert not (rest.server.data_dir / "attachments").exists()


async def test_a_fresh_url_leads_to_s3_for_those_who_may_read_and_for_the_uploader(rest: Rest) -> None:
    ann, bob, eve = await rest.people("ann", "bob", "eve")
    chat = await rest.dialog(ann, bob)
    answer = await presign(rest, ann, content_type="text/html")
    path = f"/attachments/{answer['id']}"
    refused(await rest.get(path, ann), 404, "not_found")
    assert (await rest.http.put(answer["url"], content=PNG)).status_code == 200
    response = await rest.http.get(await fresh_url(rest, ann, answer["id"]))
    assert response.content == PNG
    assert response.headers["content-disposition"].startswith("attachment")
    refused(await rest.get(path, bob), 404, "not_found")
    await sent(rest, ann, chat, answer["id"])
    for person in (ann, bob):
        response = await rest.get(path, person)
        assert response.status_code == 307
        assert (await rest.http.get(response.headers["location"])).content == PNG
    refused(await rest.get(path, eve), 404, "not_found")


@pytest.mark.parametrize(
    ("content_type", "data", "served", "shown"),
    [
        ("image/png", b"<script>", "application/octet-stream", "attachment"),
        ("text/html", b"<script>", "text/html", "attachment"),
        ("text/css", b"* {}", "application/octet-stream", "attachment"),
        ("application/pdf", b"%PDF-1.7", "application/pdf", "attachment"),
        ("image/gif", b"GIF89a", "image/gif", "inline"),
        ("image/gif", b"", "application/octet-stream", "attachment"),
    ],
)
async def test_what_is_served_cannot_run(
    rest: Rest, content_type: str, data: bytes, served: str, shown: str
) -> None:
    ann = await rest.register()
    url = await sent(
        rest, ann, await rest.group(ann), await uploaded(rest, ann, data, content_type=content_type)
    )
    response = await rest.http.get(url)
    assert response.content == data
    assert response.headers["content-type"] == served
    assert response.headers["content-disposition"].startswith(shown)
    message = (await rest.history(ann, (await rest.get("/chats", ann)).json()[0]["id"]))[0]
    assert message["attachments"][0]["content_type"] == content_type, "the message tells what was declared"


async def test_an_upload_may_be_repeated_until_it_is_sent_and_what_was_sent_never_changes(
    rest: Rest, bucket: Bucket
) -> None:
    ann = await rest.register()
    chat = await rest.group(ann)
    answer = await presign(rest, ann)
    for data in (b"first", b"second, and longer", PNG):
        assert (await rest.http.put(answer["url"], content=data)).status_code == 200
    message = await rest.send(ann, chat, "look", attachments=[answer["id"]])
    assert message["attachments"][0]["size"] == len(PNG)
    await rest.http.put(answer["url"], content=b"changed")
    assert (await rest.http.get(message["attachments"][0]["url"])).content == PNG
    assert (await rest.http.get(await fresh_url(rest, ann, answer["id"]))).content == PNG


async def test_the_upload_goes_once_it_is_sent(rest: Rest, bucket: Bucket) -> None:
    ann = await rest.register()
    before = len(bucket.keys(names(rest.server).uploads))
    ids = [await uploaded(rest, ann) for _ in range(3)]
    await until(bucket, names(rest.server).uploads, before + 3)
    await rest.send(ann, await rest.group(ann), "", attachments=ids)
    await until(bucket, names(rest.server).uploads, before)


async def test_what_cannot_be_sent_stores_no_message_and_leaves_no_copy(rest: Rest, bucket: Bucket) -> None:
    ann, bob = await rest.people("ann", "bob")
    chat = await rest.dialog(ann, bob)
    elsewhere = await rest.group(bob)
    good, copies = await uploaded(rest, ann), len(bucket.keys(names(rest.server).files))
    not_uploaded = (await presign(rest, ann))["id"]
    for by, attachments in ((bob, [good]), (ann, [good, not_uploaded]), (ann, [good, 10_000_000])):
        body = {"text": "", "attachments": attachments}
        refused(await rest.post(f"/chats/{chat}/messages", body, by), 409, "attachment_unavailable")
    body = {"text": "", "attachments": [good]}
    refused(await rest.post(f"/chats/{elsewhere}/messages", body, ann), 404, "not_found")
    assert await rest.history(ann, chat) == []
    await until(bucket, names(rest.server).files, copies)
    await rest.send(ann, chat, "", attachments=[good])
    refused(await rest.post(f"/chats/{chat}/messages", body, ann), 409, "attachment_unavailable")


async def test_what_is_too_large_is_refused_at_the_presign_or_when_it_is_sent(
    bucket: Bucket, start_server: StartServer
) -> None:
    server = start_server({**bucket.settings(), "attachments.max_bytes": 1000, "attachments.unsent_files": 2})
    async with Rest(server) as rest:
        ann = await rest.register()
        chat = await rest.group(ann)
        body: Json = {"filename": "a.png", "content_type": "image/png", "size": 1001}
        refused(await rest.post("/attachments/presign", body, ann), 413, "too_large")
        fits, larger = [await uploaded(rest, ann, bytes(size)) for size in (1000, 1001)]
        response = await rest.post("/attachments/presign", {**body, "size": 1}, ann)
        refused(response, 429, "too_many_uploads")
        response = await rest.post(f"/chats/{chat}/messages", {"text": "", "attachments": [larger]}, ann)
        problem = refused(response, 409, "attachment_unavailable")
        assert problem["detail"].endswith(
            "has 1001 bytes, and a file may have at most 1000 (attachments.max_bytes)."
        )
        await rest.send(ann, chat, "", attachments=[fits])
        assert len(await rest.history(ann, chat)) == 1
        bucket.empty(names(server).uploads, names(server).files)


async def test_one_message_is_sent_once_however_often_and_at_once_it_comes(
    rest: Rest, bucket: Bucket
) -> None:
    ann = await rest.register()
    chat, copies = await rest.group(ann), len(bucket.keys(names(rest.server).files))
    body = {"text": "", "attachments": [await uploaded(rest, ann)], "temp_id": "t"}
    answers = await asyncio.gather(*(rest.post(f"/chats/{chat}/messages", body, ann) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    await until(bucket, names(rest.server).files, copies + 1)
    assert (await rest.http.get(answers[0].json()["attachments"][0]["url"])).content == PNG


async def test_a_repeat_is_answered_without_s3(slow_server: ServerProcess, proxy: Proxy) -> None:
    async with Rest(slow_server) as rest:
        ann = await rest.register()
        chat = await rest.group(ann)
        body = {"text": "", "attachments": [await uploaded(rest, ann)], "temp_id": "t"}
        first = await rest.post(f"/chats/{chat}/messages", body, ann)
        proxy.swallows = lambda request: True
        again = await rest.post(f"/chats/{chat}/messages", body, ann)
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json() == first.json()


async def test_frames_behind_a_slow_copy_wait_and_nobody_else_does(
    slow_server: ServerProcess, proxy: Proxy, connect: Connect
) -> None:
    async with Rest(slow_server) as rest:
        ann, bob = await rest.people("ann", "bob")
        chat = await rest.dialog(ann, bob)
        attachment_id = await uploaded(rest, ann)
        hers, his = await connect(ann), await connect(bob)
        proxy.swallows = swallow_copies
        await hers.send_message(chat, "one", attachments=[attachment_id], temp_id="1")
        await hers.send_message(chat, "two", temp_id="2")
        await hers.send({"type": "nonsense"})
        await hers.send_message(chat, "three", temp_id="3")
        await his.say(chat, "meanwhile")
        await rest.send(ann, chat, "and over REST")
        others = [(await hers.next("new_message"))["message"]["text"] for _ in range(2)]
        assert others == ["meanwhile", "and over REST"]
        assert hers.take("message_sent") == []
        proxy.reset()
        answers = [
            await hers.next(where=lambda frame: frame["type"] in ("message_sent", "error")) for _ in range(4)
        ]
        assert sorted(answer.get("temp_id", "-") for answer in answers) == ["-", "1", "2", "3"]
        texts = [message["text"] for message in await rest.whole_history(ann, chat)]
        assert texts == ["meanwhile", "and over REST", "one", "two", "three"]
        told = [(await his.next("new_message"))["message"] for _ in range(4)]
        assert [message["text"] for message in told] == ["and over REST", "one", "two", "three"]
        assert (await rest.http.get(told[1]["attachments"][0]["url"])).content == PNG


async def test_a_message_outlives_the_socket_that_sent_it(
    slow_server: ServerProcess, proxy: Proxy, connect: Connect
) -> None:
    async with Rest(slow_server) as rest:
        ann, bob = await rest.people("ann", "bob")
        chat = await rest.dialog(ann, bob)
        attachment_id = await uploaded(rest, ann)
        hers, his = await connect(ann), await connect(bob)
        proxy.swallows = swallow_copies
        before = proxy.requests
        await hers.send_message(chat, "last words", attachments=[attachment_id], temp_id="1")
        async with asyncio.timeout(20):
            while proxy.requests < before + 2:
                await asyncio.sleep(0.01)
        hers.abort()
        await hers.closed()
        proxy.reset()
        assert (await his.next("new_message"))["message"]["text"] == "last words"


async def test_a_server_that_stops_finishes_what_it_copies(
    bucket: Bucket, start_server: StartServer, proxy: Proxy, connect: Connect
) -> None:
    server = start_server(bucket.settings(endpoint=proxy.url))
    async with Rest(server) as rest:
        ann = await rest.register()
        chat = await rest.group(ann)
        attachment_id = await uploaded(rest, ann)
        hers = await connect(ann)
        proxy.swallows = swallow_copies
        before = proxy.requests
        await hers.send_message(chat, "in time", attachments=[attachment_id], temp_id="1")
        async with asyncio.timeout(20):
            while proxy.requests < before + 2:
                await asyncio.sleep(0.01)
        server.signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(0.3, proxy.reset)
        assert (await hers.next("message_sent"))["message"]["text"] == "in time"
        assert await hers.closed() == 1012
        assert await asyncio.to_thread(server.wait) == 0
    bucket.empty(names(server).uploads, names(server).files)


def silent(proxy: Proxy) -> None:
    proxy.swallows = lambda request: True


def silent_at_the_copy(proxy: Proxy) -> None:
    proxy.swallows = swallow_copies


def cut(proxy: Proxy) -> None:
    proxy.cuts = True


def half_an_answer(proxy: Proxy) -> None:
    proxy.answer_bytes = 20


@pytest.mark.parametrize("fail", [silent, silent_at_the_copy, cut, half_an_answer])
async def test_when_s3_fails_messages_flow_and_files_are_refused_in_time(
    slow_server: ServerProcess, proxy: Proxy, connect: Connect, fail: Any
) -> None:
    async with Rest(slow_server) as rest:
        ann = await rest.register()
        chat = await rest.group(ann)
        attachment_id = await uploaded(rest, ann)
        socket = await connect(ann)
        fail(proxy)
        await files_are_refused_in_time(rest, ann, chat, attachment_id, socket)
        proxy.reset()
        async with asyncio.timeout(20):
            while not await is_sent(rest, ann, chat, attachment_id):
                await asyncio.sleep(0.1)


async def is_sent(rest: Rest, ann: Person, chat: int, attachment_id: int) -> bool:
    body = {"text": "at last", "attachments": [attachment_id], "temp_id": "at last"}
    response = await rest.post(f"/chats/{chat}/messages", body, ann)
    assert response.status_code in (201, 503), response.text
    return response.status_code == 201


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://s3.nowhere.invalid"])
async def test_a_server_starts_without_s3_and_messages_flow(
    bucket: Bucket, start_server: StartServer, connect: Connect, endpoint: str
) -> None:
    async with Rest(start_server(bucket.settings(endpoint=endpoint))) as rest:
        ann = await rest.register()
        chat = await rest.group(ann)
        attachment_id = (await presign(rest, ann))["id"]
        await files_are_refused_in_time(rest, ann, chat, attachment_id, await connect(ann))


async def files_are_refused_in_time(
    rest: Rest, ann: Person, chat: int, attachment_id: int, socket: Any
) -> None:
    begun = time.monotonic()
    assert (await presign(rest, ann))["url"]
    assert time.monotonic() - begun < WAIT, "a presign asks nobody"
    begun = time.monotonic()
    await socket.send_message(chat, "with a file", attachments=[attachment_id], temp_id="t")
    response = await rest.post(
        f"/chats/{chat}/messages", {"text": "with a file", "attachments": [attachment_id]}, ann
    )
    refused(response, 503, "unavailable")
    assert int(response.headers["retry-after"]) > 0
    error = await socket.next("error")
    assert time.monotonic() - begun < WAIT
    assert (error["code"], error["temp_id"]) == ("unavailable", "t")
    assert error["retry_after"] > 0
    await socket.say(chat, "plain")
    assert [message["text"] for message in await rest.history(ann, chat)] == ["plain"]


async def test_files_stay_reachable_where_they_are_when_the_store_is_switched(
    bucket: Bucket, start_server: StartServer
) -> None:
    local = start_server()
    async with Rest(local) as rest:
        ann = await rest.register()
        chat = await rest.group(ann)
        await sent(rest, ann, chat, await uploaded(rest, ann, b"local"))
        unsent = await uploaded(rest, ann, b"local, sent later")
    assert local.stop() == 0
    on_s3 = start_server(bucket.settings(), data_dir=local.data_dir)
    async with Rest(on_s3) as rest:
        await sent(rest, ann, chat, unsent)
        await sent(rest, ann, chat, await uploaded(rest, ann, b"on s3"))
        unsent = await uploaded(rest, ann, b"on s3, sent later")
        await sees(rest, ann, chat, [b"local", b"local, sent later", b"on s3"])
    assert on_s3.stop() == 0
    back = start_server({**bucket.settings(), "attachments.store": "local"}, data_dir=local.data_dir)
    async with Rest(back) as rest:
        await sent(rest, ann, chat, unsent)
        await sent(rest, ann, chat, await uploaded(rest, ann, b"local again"))
        await sees(
            rest, ann, chat,
            [b"local", b"local, sent later", b"on s3", b"on s3, sent later", b"local again"],
        )  # fmt: skip
    assert back.stop() == 0
    without = start_server(data_dir=local.data_dir)
    async with Rest(without) as rest:
        urls = [message["attachments"][0]["url"] for message in await rest.whole_history(ann, chat)]
        answers = [await rest.get(url) for url in urls]
        assert [answer.status_code for answer in answers] == [200, 200, 404, 404, 200]
    bucket.empty(names(local).files)


async def sees(rest: Rest, person: Person, chat: int, contents: list[bytes]) -> None:
    urls = [message["attachments"][0]["url"] for message in await rest.whole_history(person, chat)]
    assert [(await rest.get(url)).content for url in urls] == contents


async def test_the_server_itself_neither_takes_nor_hands_out_what_belongs_on_s3(rest: Rest) -> None:
    ann = await rest.register()
    key = (rest.server.data_dir / keys.FILE_NAME).read_bytes()
    links = Links(keys.derive(key, "links"), "", 3600, wall_clock)
    unsent, other = await uploaded(rest, ann), await uploaded(rest, ann)
    await sent(rest, ann, await rest.group(ann), other)
    for attachment_id in (unsent, other):
        refused(await rest.get(links.download(attachment_id)), 404, "not_found")
    refused(await rest.put(links.upload(unsent, rest.server.base_url), b"x"), 404, "not_found")


async def test_what_is_left_behind_is_cleared_away_and_what_is_young_or_named_is_not(
    rest: Rest, bucket: Bucket
) -> None:
    # Nothing here is a day old: a start, which does the chores, must leave all of it alone.
    ann = await rest.register()
    unsent = await uploaded(rest, ann)
    url = await sent(rest, ann, await rest.group(ann), await uploaded(rest, ann))
    stray = names(rest.server).new_file(unsent)
    bucket.put(stray, b"stray")
    await asyncio.to_thread(rest.server.restart)
    await presign(rest, ann)
    assert (await rest.http.get(url)).content == PNG
    assert (await rest.http.get(await fresh_url(rest, ann, unsent))).content == PNG
    assert stray in bucket.keys(names(rest.server).files)


# Where signatures are checked.


async def test_every_part_of_a_url_is_under_its_signature(rest: Rest, bucket: Bucket) -> None:
    bucket.require_real(UNCHECKED)
    ann = await rest.register()
    answer, other = await presign(rest, ann), await presign(rest, ann)
    put = httpx.URL(answer["url"])
    assert (await rest.http.put(put, content=PNG)).status_code == 200
    get = httpx.URL(await fresh_url(rest, ann, answer["id"]))
    changed = [
        ("PUT", put.copy_with(raw_path=httpx.URL(other["url"]).path.encode() + b"?" + put.query)),
        ("PUT", put.copy_merge_params({"X-Amz-Expires": "6000"})),
        ("PUT", get),
        ("GET", put),
        ("GET", get.copy_merge_params({"response-content-type": "text/html"})),
        ("GET", get.copy_merge_params({"response-content-disposition": "inline"})),
        ("GET", get.copy_remove_param("response-content-type")),
        ("GET", get.copy_remove_param("X-Amz-Signature")),
        ("GET", get.copy_with(query=None)),
    ]
    for method, url in changed:
        response = await rest.http.request(method, url, content=b"tampered" if method == "PUT" else None)
        assert response.status_code in (400, 403), (method, url)
    assert (await rest.http.get(get)).content == PNG


async def test_an_expired_url_is_refused(bucket: Bucket) -> None:
    bucket.require_real(UNCHECKED)
    presigner = Presigner(
        f"{bucket.endpoint}/{bucket.name}", bucket.region, bucket.access_key, bucket.secret_key
    )
    now = int(time.time())
    bucket.put("uploads/test", b"x")
    async with httpx.AsyncClient(trust_env=False) as http:
        fresh = presigner.url("GET", "uploads/test", at=now - 590, seconds=600)
        assert (await http.get(fresh)).status_code == 200
        expired = presigner.url("GET", "uploads/test", at=now - 601, seconds=600)
        assert (await http.get(expired)).status_code == 403
    bucket.empty("uploads/test")


async def test_s3_takes_just_as_many_bytes_as_were_declared(rest: Rest, bucket: Bucket) -> None:
    bucket.require_real(UNCHECKED)
    ann = await rest.register()
    answer = await presign(rest, ann, size=len(PNG))
    for data in (PNG + b"x", PNG[1:], b""):
        assert (await rest.http.put(answer["url"], content=data)).status_code == 403
    refused(await rest.get(f"/attachments/{answer['id']}", ann), 404, "not_found")
    assert (await rest.http.put(answer["url"], content=PNG, headers=answer["headers"])).status_code == 200
    succeeded(
        await rest.request(
            "GET", f"/attachments/{answer['id']}", by=ann, headers={"Accept": "application/json"}
        )
    )
