"""Uploading over HTTP: through a signed URL, within the limits, and never after sending (protocol.md section 5)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.files import PNG, fresh_url, kept, presign, sent, until_kept, uploaded
from tests.support.fixtures import StartServer
from tests.support.rest import Json, Person, Rest, refused
from tests.support.server import ServerProcess

MAX_BYTES = 25 * 1024 * 1024


@pytest.fixture(scope="module")
def ann(server: ServerProcess) -> Person:
    """One person for the tests that need no more: an account costs a tenth of a second."""

    async def register() -> Person:
        async with Rest(server) as rest:
            return await rest.register()

    with asyncio.Runner() as runner:
        return runner.run(register())


async def test_bytes_alone_are_uploaded_sent_and_downloaded_without_a_token(
    rest: Rest, server: ServerProcess
) -> None:
    ann, bob = await rest.people("ann", "bob")
    chat = await rest.dialog(ann, bob)
    answer = await presign(rest, ann, "photo.png", size=len(PNG))
    assert answer["method"] == "PUT"
    assert answer["expires_in"] == 600
    assert answer["headers"] == {"Content-Type": "image/png"}
    assert answer["url"].startswith(server.base_url + "/files/")
    response = await rest.http.put(answer["url"], content=PNG)
    assert (response.status_code, response.content) == (200, b"")
    message = await rest.send(ann, chat, "", attachments=[answer["id"]])
    seen = (await rest.history(bob, chat))[0]["attachments"]
    assert seen == message["attachments"]
    assert seen == [
        {"id": answer["id"], "filename": "photo.png", "content_type": "image/png", "size": len(PNG),
         "url": seen[0]["url"]}
    ]  # fmt: skip
    assert seen[0]["url"].startswith("/files/"), "without public_url it is a path"
    response = await rest.http.get(server.base_url + seen[0]["url"])
    assert response.status_code == 200
    assert response.content == PNG


async def test_headers_that_the_presign_names_may_be_sent_and_chunks_too(rest: Rest, ann: Person) -> None:

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(PNG), 10):
            yield PNG[start : start + 10]

    answer = await presign(rest, ann)
    response = await rest.http.put(answer["url"], content=chunks(), headers=answer["headers"])
    assert response.request.headers["transfer-encoding"] == "chunked"
    assert response.status_code == 200
    assert (await rest.get(await fresh_url(rest, ann, answer["id"]))).content == PNG


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content_type": "image/png"}, "filename"),
        ({"filename": "a.png"}, "content_type"),
        ({"filename": "", "content_type": "image/png"}, "filename"),
        ({"filename": " ", "content_type": "image/png"}, "filename"),
        ({"filename": "a\0.png", "content_type": "image/png"}, "filename"),
        ({"filename": "x" * 256, "content_type": "image/png"}, "filename"),
        ({"filename": 7, "content_type": "image/png"}, "filename"),
        ({"filename": "a.png", "content_type": "png"}, "content_type"),
        ({"filename": "a.png", "content_type": "image/png\r\nX: y"}, "content_type"),
        ({"filename": "a.png", "content_type": "image/png\n"}, "content_type"),
        ({"filename": "a.png", "content_type": "image/" + "x" * 200}, "content_type"),
        ({"filename": "a.png", "content_type": "image/é"}, "content_type"),
        ({"filename": "a.png", "content_type": 'a/b; c="d\\"'}, "content_type"),
        ({"filename": "a.png", "content_type": "a/b; c=d e"}, "content_type"),
        ({"filename": "a.png", "content_type": "image/png", "size": -1}, "size"),
        ({"filename": "a.png", "content_type": "image/png", "size": "5"}, "size"),
        ({"filename": "a.png", "content_type": "image/png", "size": True}, "size"),
        ({"filename": "a.png", "content_type": "image/png", "size": 1.5}, "size"),
    ],
)
async def test_a_presign_that_makes_no_sense_names_the_field(
    rest: Rest, ann: Person, body: Json, field: str
) -> None:
    problem = refused(await rest.post("/attachments/presign", body, ann), 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    "content_type",
    [
        "video/webm;codecs=vp8,opus",
        'video/webm; codecs="vp8, opus"',
        "text/plain ;charset=utf-8",
        "audio/ogg; a=b; c=d",
    ],
)
async def test_a_type_may_have_the_parameters_that_browsers_write(
    rest: Rest, ann: Person, content_type: str
) -> None:
    presigned = await presign(rest, ann, content_type=content_type)
    assert presigned["headers"] == {"Content-Type": content_type}
    assert (
        await rest.http.put(presigned["url"], content=PNG, headers=presigned["headers"])
    ).status_code == 200


async def test_a_presign_needs_a_token(rest: Rest) -> None:
    body = {"filename": "a.png", "content_type": "image/png"}
    response = await rest.post("/attachments/presign", body)
    refused(response, 401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"
    refused(await rest.get("/attachments/1"), 401, "unauthorized")


async def test_every_part_of_a_url_is_under_its_signature(rest: Rest, ann: Person) -> None:
    answer = await presign(rest, ann)
    other = await presign(rest, ann)
    put = httpx.URL(answer["url"])
    await rest.put(str(put), PNG)
    get = httpx.URL(rest.server.base_url + await fresh_url(rest, ann, answer["id"]))
    for method, url in (("PUT", put), ("GET", get)):
        expires, signature = url.params["expires"], url.params["signature"]
        flipped = signature[:-2] + ("AA" if not signature.endswith("AA") else "BB")
        path = f"/files/{answer['id']}"
        changed = [
            url.copy_with(path=f"/files/{other['id']}"),
            url.copy_with(path=f"/files/0{answer['id']}"),
            url.copy_with(path="/files/0"),
            url.copy_with(path="/files/x"),
            url.copy_merge_params({"expires": str(int(expires) + 60)}),
            url.copy_merge_params({"expires": "9" * 5000}),
            url.copy_merge_params({"expires": "-1"}),
            url.copy_merge_params({"expires": "é"}),
            url.copy_merge_params({"signature": flipped}),
            url.copy_merge_params({"signature": ""}),
            url.copy_merge_params({"signature": "\0é"}),
            url.copy_remove_param("signature"),
            url.copy_remove_param("expires"),
            httpx.URL(f"{rest.server.base_url}{path}?expires={expires}&signature={signature}&signature=x"),
            httpx.URL(rest.server.base_url + path),
            put if method == "GET" else get,
        ]
        for wrong in changed:
            response = await rest.request(
                method, str(wrong), content=b"tampered" if method == "PUT" else None
            )
            refused(response, 403, "invalid_url")
    # And a bearer token opens nothing here.
    refused(await rest.get(f"/files/{answer['id']}", ann), 403, "invalid_url")
    assert (await rest.get(str(get))).content == PNG


async def test_a_file_of_25_mib_is_taken_and_a_byte_more_is_not(
    rest: Rest, ann: Person, server: ServerProcess
) -> None:
    answer = await presign(rest, ann, size=MAX_BYTES)
    assert (await rest.put(answer["url"], bytes(MAX_BYTES))).status_code == 200
    before = kept(server)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(25):
            yield bytes(1024 * 1024)
        yield b"x"

    refused(await rest.put(answer["url"], bytes(MAX_BYTES + 1)), 413, "too_large")
    refused(await rest.request("PUT", answer["url"], content=chunks()), 413, "too_large")
    assert kept(server) == before, "nothing of it stays on the disk"
    body = {"filename": "a.png", "content_type": "image/png", "size": MAX_BYTES + 1}
    refused(await rest.post("/attachments/presign", body, ann), 413, "too_large")
    response = await rest.request("HEAD", await fresh_url(rest, ann, answer["id"]))
    assert response.headers["content-length"] == str(MAX_BYTES), "the bytes before it are untouched"


async def test_a_length_that_is_too_large_is_answered_before_any_byte_comes(
    rest: Rest, ann: Person, server: ServerProcess
) -> None:
    answer = await presign(rest, ann)
    target = urlsplit(answer["url"])
    reader, writer = await asyncio.open_connection(target.hostname, target.port)
    head = f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BYTES + 1}\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(20):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_an_upload_may_be_repeated_until_it_is_sent_and_never_after(
    rest: Rest, ann: Person, server: ServerProcess
) -> None:
    chat = await rest.group(ann)
    before = kept(server)
    answer = await presign(rest, ann)
    for data in (b"first", b"second", PNG):
        assert (await rest.put(answer["url"], data)).status_code == 200
        assert len(kept(server) - before) == 1
    url = await sent(rest, ann, chat, answer["id"])
    refused(await rest.put(answer["url"], b"changed"), 409, "attachment_unavailable")
    assert (await rest.get(url)).content == PNG
    assert len(kept(server) - before) == 1


async def test_uploads_and_sends_that_race_never_change_what_was_sent(
    rest: Rest, ann: Person, server: ServerProcess
) -> None:
    chat = await rest.group(ann)
    before = kept(server)
    for _ in range(5):
        answer = await presign(rest, ann)
        await rest.put(answer["url"], b"x")
        outcomes: list[Any] = await asyncio.gather(
            rest.send(ann, chat, "look", attachments=[answer["id"]]),
            *(rest.put(answer["url"], bytes(size)) for size in range(1000, 1010)),
        )
        message, *puts = outcomes
        assert {put.status_code for put in puts} <= {200, 409}
        attachment = message["attachments"][0]
        assert len((await rest.get(attachment["url"])).content) == attachment["size"]
    assert len(kept(server) - before) == 5, "the losers' files are gone"


async def test_only_the_uploader_may_send_it_and_only_once(rest: Rest) -> None:
    ann, bob = await rest.people("ann", "bob")
    chat = await rest.dialog(ann, bob)
    attachment_id = await uploaded(rest, ann)
    not_uploaded = (await presign(rest, ann))["id"]
    path = f"/chats/{chat}/messages"
    for by, attachments in (
        (bob, [attachment_id]),
        (ann, [not_uploaded]),
        (ann, [attachment_id, 10_000_000]),
    ):
        response = await rest.post(path, {"text": "", "attachments": attachments}, by)
        refused(response, 409, "attachment_unavailable")
    assert await rest.history(ann, chat) == []
    await rest.send(ann, chat, "", attachments=[attachment_id])
    response = await rest.post(path, {"text": "again", "attachments": [attachment_id]}, ann)
    refused(response, 409, "attachment_unavailable")
    assert len(await rest.history(ann, chat)) == 1


async def test_a_part_is_not_taken_for_a_whole_file(rest: Rest, ann: Person) -> None:
    answer = await presign(rest, ann)
    response = await rest.request(
        "PUT", answer["url"], content=b"x", headers={"Content-Range": "bytes 0-0/10"}
    )
    refused(response, 400, "malformed")
    refused(await rest.get(f"/attachments/{answer['id']}", ann), 404, "not_found")


async def test_other_methods_are_named_as_not_allowed(rest: Rest) -> None:
    response = await rest.post("/files/1", {})
    refused(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD, PUT"


@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
async def test_an_upload_that_breaks_off_leaves_nothing_and_is_no_error(
    rest: Rest, ann: Person, server: ServerProcess, framing: str
) -> None:
    answer = await presign(rest, ann)
    await rest.put(answer["url"], PNG)
    before, written = kept(server), server.complaints()
    target = urlsplit(answer["url"])
    _, writer = await asyncio.open_connection(target.hostname, target.port)
    head = f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: {target.netloc}\r\n{framing}\r\n\r\n"
    writer.write(head.encode())
    if "chunked" in framing:
        writer.write(b"61A80\r\n")
    writer.write(bytes(400_000))
    async with asyncio.timeout(20):
        while len(kept(server)) == len(before):
            await asyncio.sleep(0.02)
    writer.transport.abort()
    await until_kept(server, before)
    assert (await rest.get(await fresh_url(rest, ann, answer["id"]))).content == PNG
    assert server.complaints() == written, "a client that goes away is nothing to log"


async def test_a_repeated_upload_ends_the_one_that_still_hangs_and_takes_its_place(
    rest: Rest, ann: Person, server: ServerProcess
) -> None:
    answer = await presign(rest, ann)
    before, written = kept(server), server.complaints()
    target = urlsplit(answer["url"])
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        head = f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: {target.netloc}\r\n"
        writer.write(head.encode() + b"Content-Length: 1000000\r\n\r\n" + bytes(400_000))
        while len(kept(server)) == len(before):
            await asyncio.sleep(0.02)
        assert (await rest.put(answer["url"], PNG)).status_code == 200
        assert (await reader.readline()).startswith(b"HTTP/1.1 409 ")
        await reader.readuntil(b'"attachment_unavailable"')
        writer.close()
    assert len(kept(server) - before) == 1
    assert (await rest.get(await fresh_url(rest, ann, answer["id"]))).content == PNG
    assert server.complaints() == written


async def test_a_user_may_have_twenty_files_unsent(rest: Rest) -> None:
    ann, bob = await rest.people("ann", "bob")
    chat = await rest.group(ann)
    ids = [await uploaded(rest, ann, b"x") for _ in range(20)]
    body = {"filename": "a.png", "content_type": "image/png"}
    response = await rest.post("/attachments/presign", body, ann)
    refused(response, 429, "too_many_uploads")
    assert int(response.headers["retry-after"]) > 0
    await presign(rest, bob)
    await sent(rest, ann, chat, ids[0])
    await presign(rest, ann)


async def test_a_user_may_have_only_so_many_bytes_unsent(start_server: StartServer) -> None:
    server = start_server({"attachments.max_bytes": 1000, "attachments.unsent_bytes": 1500})
    async with Rest(server) as rest:
        ann = await rest.register()
        await uploaded(rest, ann, bytes(900))
        before = kept(server)
        answer = await presign(rest, ann)
        for content in (bytes(601), _chunks(bytes(601))):
            response = await rest.request("PUT", answer["url"], content=content)
            refused(response, 429, "too_many_uploads")
            assert int(response.headers["retry-after"]) > 0
        assert kept(server) == before
        assert (await rest.put(answer["url"], bytes(600))).status_code == 200


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_a_disk_that_runs_full_refuses_files_and_takes_messages(start_server: StartServer) -> None:
    roomy = start_server()
    async with Rest(roomy) as rest:
        ann = await rest.register()
        chat = await rest.group(ann)
        answer = await presign(rest, ann)
        assert (await rest.put(answer["url"], PNG)).status_code == 200
    assert roomy.stop() == 0
    before = kept(roomy)
    full = start_server({"attachments.min_free_bytes": 2**60}, data_dir=roomy.data_dir)
    async with Rest(full) as rest:
        body = {"filename": "a.png", "content_type": "image/png"}
        target = urlsplit(answer["url"])
        for response in (
            await rest.post("/attachments/presign", body, ann),
            await rest.put(f"{target.path}?{target.query}", b"more"),
        ):
            refused(response, 503, "storage_low")
            assert int(response.headers["retry-after"]) > 0
        assert kept(full) == before
        url = await sent(rest, ann, chat, answer["id"])
        assert (await rest.get(url)).content == PNG


async def test_what_was_uploaded_and_sent_survives_a_kill(fresh_server: ServerProcess) -> None:
    async with Rest(fresh_server) as rest:
        ann = await rest.register()
        chat = await rest.group(ann)
        attachment_id = await uploaded(rest, ann)
        await sent(rest, ann, chat, attachment_id)
        fresh_server.kill()
        left = fresh_server.data_dir / "attachments" / "incoming" / ("9-" + "0" * 32)
        left.write_bytes(b"half")
        fresh_server.start()
        url = (await rest.history(ann, chat))[0]["attachments"][0]["url"]
        assert (await rest.get(url)).content == PNG
        async with asyncio.timeout(20):
            while left.exists():
                await asyncio.sleep(0.02)
