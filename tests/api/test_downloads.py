"""Downloading over HTTP: for those who may, in parts, and so that nothing of it runs (docs/protocol.md section 5)."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from beseda.listening import bind
from beseda.server import assemble
from tests.beseda.inside import settings
from tests.support.files import PNG, fresh_url, kept, presign, sent, uploaded
from tests.support.fixtures import StartServer
from tests.support.rest import Person, Rest, lasting, refused, succeeded
from tests.support.server import ServerProcess
from tests.support.stored import Clock


@pytest.fixture(scope="module")
def ann(server: ServerProcess) -> Person:
    """One person for the tests that need no more: an account costs a tenth of a second."""

    async def register() -> Person:
        async with Rest(server) as rest:
            return await rest.register()

    with asyncio.Runner() as runner:
        return runner.run(register())


async def test_what_is_served_cannot_run_and_is_cached_by_its_reader_alone(rest: Rest, ann: Person) -> None:
    chat = await rest.group(ann)
    attachment_id = await uploaded(rest, ann)
    unsent = await rest.get(await fresh_url(rest, ann, attachment_id))
    assert unsent.headers["cache-control"] == "private, no-cache", "another upload may take its place"
    response = await rest.get(await sent(rest, ann, chat, attachment_id))
    headers = response.headers
    assert headers["content-type"] == "image/png"
    assert headers["content-disposition"] == 'inline; filename="a.png"'
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["accept-ranges"] == "bytes"
    assert headers["content-length"] == str(len(PNG))
    policy = [directive.strip() for directive in headers["content-security-policy"].split(";")]
    assert {"sandbox", "default-src 'none'"} <= set(policy)
    cache = headers["cache-control"].split(", ")
    assert {"private", "immutable"} <= set(cache)
    assert 3600 <= int(next(part for part in cache if part.startswith("max-age="))[8:]) <= 25 * 3600
    assert "server" not in headers


@pytest.mark.parametrize(
    ("content_type", "data", "served"),
    [
        ("image/png", b"<html><script>alert(1)</script>", "application/octet-stream"),
        ("application/pdf", b"<html>", "application/octet-stream"),
        ("text/html", b"<html>", "text/html"),
        ("image/svg+xml", b"<svg/>", "image/svg+xml"),
        ("text/javascript", b"alert(1)", "application/octet-stream"),
        ("text/plain", b"hello", "text/plain"),
    ],
)
async def test_what_could_run_is_only_saved_while_the_message_tells_the_declared_type(
    rest: Rest, ann: Person, content_type: str, data: bytes, served: str
) -> None:
    chat = await rest.group(ann)
    attachment_id = await uploaded(rest, ann, data, "a.bin", content_type)
    message = await rest.send(ann, chat, "", attachments=[attachment_id])
    assert message["attachments"][0]["content_type"] == content_type
    response = await rest.get(message["attachments"][0]["url"])
    assert response.content == data
    assert response.headers["content-type"] == served
    assert response.headers["content-disposition"].startswith("attachment;")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]


@pytest.mark.parametrize(
    "filename",
    ["../../../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "..", "a\r\nSet-Cookie: pwned=1\r\n\r\n<html>",
     'x"; filename="evil.exe', "отчёт 🎉.pdf", "photo\u202egnp.exe", "%2e%2e%2fa", "x" * 255, "я" * 255],
)  # fmt: skip
async def test_a_filename_is_told_as_it_came_and_does_nothing_else(
    rest: Rest, ann: Person, server: ServerProcess, filename: str
) -> None:
    chat = await rest.group(ann)
    before = kept(server)
    attachment_id = await uploaded(rest, ann, PNG, filename)
    new = kept(server) - before
    assert len(new) == 1, "it lies in the attachments' folder"
    assert new.pop().name.startswith(f"{attachment_id}-"), "and its name is none of the client's"
    message = await rest.send(ann, chat, "", attachments=[attachment_id])
    assert message["attachments"][0]["filename"] == filename
    response = await rest.get(message["attachments"][0]["url"])
    assert response.content == PNG
    assert "set-cookie" not in response.headers
    value = response.headers["content-disposition"]
    assert value.isascii()
    assert value.count('"') == 2
    assert "/" not in value
    assert "\\" not in value


async def test_a_fresh_url_is_a_redirect_or_json_as_the_client_accepts(rest: Rest, ann: Person) -> None:
    attachment_id = await uploaded(rest, ann)
    path = f"/attachments/{attachment_id}"
    for accept in ("*/*", "image/png,*/*", "text/html"):
        response = await rest.request("GET", path, by=ann, headers={"Accept": accept})
        assert response.status_code == 307
        assert (await rest.get(response.headers["location"])).content == PNG
    for accept in ("application/json", "text/plain, Application/JSON;q=0.9"):
        response = await rest.request("GET", path, by=ann, headers={"Accept": accept})
        answer = succeeded(response)
        assert set(answer) == {"url", "expires_in"}
        assert answer["expires_in"] >= 3600
        assert (await rest.get(answer["url"])).content == PNG


async def test_a_stranger_and_who_was_removed_get_the_answer_of_what_is_not_there(rest: Rest) -> None:
    ann, bob, eve = await rest.people("ann", "bob", "eve")
    chat = await rest.group(ann, bob)
    attachment_id = await uploaded(rest, ann)
    nothing = await rest.get("/attachments/10000000", eve)
    refused(nothing, 404, "not_found")

    async def answers(person: Person) -> bytes | None:
        response = await rest.get(f"/attachments/{attachment_id}", person)
        return None if response.status_code == 307 else response.content

    assert [await answers(person) for person in (ann, bob, eve)] == [None, nothing.content, nothing.content]
    await sent(rest, ann, chat, attachment_id)
    assert [await answers(person) for person in (ann, bob, eve)] == [None, None, nothing.content]
    assert (await rest.delete(f"/chats/{chat}/members/{bob.id}", ann)).status_code == 204
    assert [await answers(person) for person in (ann, bob, eve)] == [None, nothing.content, nothing.content]
    for wrong in ("0", "01", "x", "9" * 30):
        refused(await rest.get(f"/attachments/{wrong}", ann), 404, "not_found")


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1-3", 1, 4),
        ("bytes=5-", 5, len(PNG)),
        ("bytes=-7", len(PNG) - 7, len(PNG)),
        ("bytes=-100000", 0, len(PNG)),
        ("bytes=0-100000", 0, len(PNG)),
        ("Bytes = 1 - 3", 1, 4),
    ],
)
async def test_a_range_is_answered_with_that_part(
    rest: Rest, ann: Person, asked: str, start: int, stop: int
) -> None:
    url = await fresh_url(rest, ann, await uploaded(rest, ann))
    response = await rest.request("GET", url, headers={"Range": asked})
    assert response.status_code == 206
    assert response.content == PNG[start:stop]
    assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(PNG)}"
    assert response.headers["content-length"] == str(stop - start)
    assert response.headers["content-type"] == "image/png"
    assert "sandbox" in response.headers["content-security-policy"]


async def test_a_range_that_is_none_is_ignored_and_one_past_the_end_is_refused(
    rest: Rest, ann: Person
) -> None:
    url = await fresh_url(rest, ann, await uploaded(rest, ann))
    for asked in ("bytes=3-1", "bytes=", "bytes=-", "bytes=x-y", "lines=1-2", "bytes=0-1,4-5", "1-2", "bytes=1e2-",
                  "bytes=" + "9" * 5000 + "-"):  # fmt: skip
        response = await rest.request("GET", url, headers={"Range": asked})
        assert (response.status_code, response.content) == (200, PNG), asked
    for asked in (f"bytes={len(PNG)}-", "bytes=100000-200000", "bytes=-0"):
        response = await rest.request("GET", url, headers={"Range": asked})
        refused(response, 416, "invalid")
        assert response.headers["content-range"] == f"bytes */{len(PNG)}"


async def test_a_part_is_only_continued_while_the_bytes_are_the_same(rest: Rest, ann: Person) -> None:
    answer = await presign(rest, ann)
    await rest.put(answer["url"], PNG)
    url = await fresh_url(rest, ann, answer["id"])
    tag = (await rest.get(url)).headers["etag"]
    for none_match in (tag, f'"other", W/{tag}', "*"):
        response = await rest.request("GET", url, headers={"If-None-Match": none_match})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
    part = {"Range": "bytes=8-", "If-Range": tag}
    assert (await rest.request("GET", url, headers=part)).status_code == 206
    await rest.put(answer["url"], PNG + b"more")
    response = await rest.request("GET", url, headers=part)
    assert (response.status_code, response.content) == (200, PNG + b"more")
    response = await rest.request("GET", url, headers={"If-None-Match": tag})
    assert response.status_code == 200


async def test_head_tells_what_get_would_without_the_bytes(rest: Rest, ann: Person) -> None:
    url = await fresh_url(rest, ann, await uploaded(rest, ann))
    get = await rest.get(url)
    for headers in ({"Accept": "*/*"}, {"Range": "bytes=0-1"}):
        head = await rest.request("HEAD", url, headers=headers)
        assert (head.status_code, head.content) == (200, b"")
        assert lasting(head) == lasting(get)


async def test_an_empty_file_is_served_as_an_empty_file(rest: Rest, ann: Person) -> None:
    url = await fresh_url(rest, ann, await uploaded(rest, ann, b"", "empty.txt", "text/plain"))
    response = await rest.get(url)
    assert (response.status_code, response.content) == (200, b"")
    assert (await rest.request("GET", url, headers={"Range": "bytes=0-"})).status_code == 416


async def test_a_download_that_breaks_off_is_no_error(rest: Rest, ann: Person, server: ServerProcess) -> None:
    url = await fresh_url(rest, ann, await uploaded(rest, ann, bytes(20_000_000)))
    written = server.complaints()
    for _ in range(5):
        async with rest.http.stream("GET", server.base_url + url) as response:
            assert response.status_code == 200
            await anext(response.aiter_bytes())

    def open_files() -> int:
        folder = Path(f"/proc/{server.pid}/fd")
        found = 0
        for path in folder.iterdir() if folder.exists() else ():
            # One may be closed between being listed and being asked.
            with contextlib.suppress(FileNotFoundError):
                found += "/attachments/" in str(path.readlink())
        return found

    async with asyncio.timeout(20):
        while open_files():
            await asyncio.sleep(0.02)
    assert server.complaints() == written


async def test_urls_are_absolute_where_the_server_knows_its_own(start_server: StartServer) -> None:
    async with Rest(start_server({"server.public_url": "https://chat.example.org"})) as rest:
        ann = await rest.register()
        chat = await rest.group(ann)
        answer = await presign(rest, ann)
        assert answer["url"].startswith("https://chat.example.org/files/")
        path = answer["url"].removeprefix("https://chat.example.org")
        assert (await rest.put(path, PNG)).status_code == 200
        url = await sent(rest, ann, chat, answer["id"])
        assert url.startswith("https://chat.example.org/files/")
        assert (await rest.get(url.removeprefix("https://chat.example.org"))).content == PNG


async def test_a_url_holds_until_its_time_and_not_a_moment_longer(tmp_path: Path) -> None:
    clock = Clock()
    sockets = bind("127.0.0.1", 0)
    address = ServerProcess(tmp_path / "address")  # never started: it only lends its address
    address.base_url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    async with assemble(settings(tmp_path / "data"), clock) as server, Rest(address) as rest:
        serving = asyncio.create_task(server.serve(sockets))
        try:
            async with asyncio.timeout(20):
                while not server.started:
                    await asyncio.sleep(0.01)
            ann = await rest.register()
            answer = await presign(rest, ann)
            ends_at = int(answer["url"].partition("expires=")[2].partition("&")[0]) * 1000
            assert ends_at - clock.now >= 600_000
            clock.now = ends_at - 1
            assert (await rest.put(answer["url"], PNG)).status_code == 200
            clock.now += 1
            refused(await rest.put(answer["url"], b"late"), 403, "invalid_url")
            url = await fresh_url(rest, ann, answer["id"])
            clock.now = int(url.partition("expires=")[2].partition("&")[0]) * 1000 - 1
            assert (await rest.get(url)).content == PNG
            clock.now += 1
            refused(await rest.get(url), 403, "invalid_url")
        finally:
            server.should_exit = True
            await serving
