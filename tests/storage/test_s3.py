"""The bucket: copying what is sent whatever is uploaded meanwhile, and clearing away what no row names."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from botocore.parsers import ResponseParserError

from actions import attachments, messages, sending
from actions.actor import Actor
from actions.links import S3Links
from protocol.commands import Draft, Presign
from protocol.entities import Message
from protocol.errors import Refused
from storage import Store, Transaction, uploads
from storage.attachments import s3 as module
from storage.attachments.objects import ObjectNames
from storage.attachments.presigning import Presigner
from storage.attachments.s3 import S3Files, S3Settings, open_s3
from storage.uploads import Upload
from tests.support.s3 import Bucket
from tests.support.stored import DAY, LIMITS, Stored, open_stored

ON_S3 = replace(LIMITS, on_s3=True)


class Remote:
    """A store whose files go to S3, and what lies there."""

    def __init__(self, stored: Stored, files: S3Files, bucket: Bucket, names: ObjectNames) -> None:
        self.stored = stored
        self.store = stored.store
        self.files = files
        self.rules = stored.rules
        self.names = names
        self.bucket = bucket

    async def upload(self, by: Actor, data: bytes | None = b"data") -> tuple[int, str]:
        """An attachment and its temporary key; uploaded, unless there is no data."""
        command = Presign(filename="a.txt", content_type="text/plain")
        answer = await attachments.presign(
            self.store, self.rules, ON_S3, self.stored.files, by, command, "http://host"
        )
        row = await self.store.read(lambda snapshot: uploads.find(snapshot, answer["id"]))
        assert row is not None
        assert row.upload_key is not None
        if data is not None:
            await self.put(row.upload_key, data)
        return row.id, row.upload_key

    async def put(self, key: str, data: bytes) -> None:
        await asyncio.to_thread(self.bucket.put, key, data)

    async def send(self, by: Actor, *ids: int, temp_id: str | None = None) -> tuple[Message, bool]:
        chat = await self.stored.group(by)
        return await sending.send(
            self.store, self.rules, self.files, by, chat, Draft(attachments=list(ids)), temp_id, read=True
        )

    def keys(self) -> set[str]:
        return self.bucket.keys(self.names.uploads) | self.bucket.keys(self.names.files)

    async def until(self, keys: Callable[[set[str]], bool]) -> set[str]:
        """Wait until what lies in the bucket is so."""
        async with asyncio.timeout(20):
            while not keys(found := await asyncio.to_thread(self.keys)):
                await asyncio.sleep(0.01)
        return found


@pytest.fixture
async def remote(tmp_path: Path, bucket: Bucket) -> AsyncIterator[Remote]:
    names = ObjectNames(f"test{time.time_ns()}")
    settings = S3Settings(
        bucket.endpoint, bucket.region, bucket.name, bucket.access_key, bucket.secret_key, LIMITS.max_bytes
    )
    async with open_stored(tmp_path) as stored, open_s3(settings, names) as files:
        # The service's clock is the world's.
        stored.clock.now = time.time_ns() // 1_000_000
        presigner = Presigner(await files.url(), bucket.region, bucket.access_key, bucket.secret_key)
        links = S3Links(presigner, names, 86_400, stored.clock)
        yield Remote(replace(stored, rules=replace(stored.rules, s3=links)), files, bucket, names)
        bucket.empty(names.uploads, names.files)


def before_requests(
    monkeypatch: pytest.MonkeyPatch, files: S3Files, operation: str, do: Callable[[], Any]
) -> None:
    """Do something before each request of a kind."""
    was = getattr(files._client, operation)

    async def hooked(**parameters: Any) -> Any:
        await do()
        return await was(**parameters)

    monkeypatch.setattr(files._client, operation, hooked)


@pytest.mark.parametrize(
    ("region", "endpoint", "bucket", "expected"),
    [
        ("us-east-1", "", "files", "https://files.s3.amazonaws.com"),
        ("eu-central-1", "", "files", "https://files.s3.eu-central-1.amazonaws.com"),
        ("eu-central-1", "", "a.dotted", "https://s3.eu-central-1.amazonaws.com/a.dotted"),
        ("cn-north-1", "", "files", "https://files.s3.cn-north-1.amazonaws.com.cn"),
        ("garage", "https://s3.example.org", "files", "https://s3.example.org/files"),
        ("us-east-1", "http://127.0.0.1:9000/s3", "a.dotted", "http://127.0.0.1:9000/s3/a.dotted"),
    ],
)
async def test_a_bucket_is_reached_by_host_on_aws_and_by_path_elsewhere(
    region: str, endpoint: str, bucket: str, expected: str
) -> None:
    settings = S3Settings(endpoint, region, bucket, "id", "secret", 1)
    async with open_s3(settings, ObjectNames("5f")) as files:
        assert await files.url() == expected


async def test_settings_that_aws_s_own_tools_read_have_no_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\nregion = mars\nendpoint_url = http://mars.example\n[broken")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://mars.example")
    async with open_s3(
        S3Settings("", "eu-central-1", "files", "id", "secret", 1), ObjectNames("5f")
    ) as files:
        assert await files.url() == "https://files.s3.eu-central-1.amazonaws.com"


async def test_what_is_sent_is_a_copy_and_the_upload_goes(remote: Remote) -> None:
    ann = await remote.stored.person("ann")
    attachment_id, upload_key = await remote.upload(ann, b"as sent")
    message, is_new = await remote.send(ann, attachment_id)
    assert is_new
    row = await remote.store.read(lambda snapshot: uploads.find(snapshot, attachment_id))
    assert row is not None
    assert row.key is not None
    assert row.key.startswith(remote.names.files)
    assert (row.size, row.upload_key, row.message_id) == (7, None, message["id"])
    assert await remote.until(lambda keys: upload_key not in keys) == {row.key}
    assert await remote.files.head(row.key) == b"as sent"


async def test_an_upload_that_is_repeated_while_it_is_copied_is_sent_as_one_or_the_other(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await remote.stored.person("ann")
    attachment_id, upload_key = await remote.upload(ann, b"first")
    again = iter([b"the second"])

    async def repeat() -> None:
        for data in again:
            await remote.put(upload_key, data)

    before_requests(monkeypatch, remote.files, "copy_object", repeat)
    message, _ = await remote.send(ann, attachment_id)
    row = await remote.store.read(lambda snapshot: uploads.find(snapshot, attachment_id))
    assert row is not None
    assert row.key is not None
    assert message["attachments"][0]["size"] == 10
    assert await remote.files.head(row.key) == b"the second"


async def test_an_upload_that_grows_too_large_while_it_is_copied_is_not_sent(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await remote.stored.person("ann")
    attachment_id, upload_key = await remote.upload(ann, b"x")
    large = bytes(LIMITS.max_bytes + 1)
    before_requests(monkeypatch, remote.files, "copy_object", lambda: remote.put(upload_key, large))
    with pytest.raises(Refused) as refused:
        await remote.send(ann, attachment_id)
    assert refused.value.code == "attachment_unavailable"
    assert "has 1001 bytes" in refused.value.detail
    assert await remote.until(lambda keys: len(keys) == 1) == {upload_key}


async def test_an_upload_that_never_stands_still_is_not_sent(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.bucket.require_real("ignores CopySourceIfMatch")
    ann = await remote.stored.person("ann")
    attachment_id, upload_key = await remote.upload(ann, b"x")
    sizes = iter(range(2, 100))
    before_requests(
        monkeypatch, remote.files, "copy_object", lambda: remote.put(upload_key, bytes(next(sizes)))
    )
    monkeypatch.setattr(module, "SECONDS", 20)
    with pytest.raises(Refused) as refused:
        await remote.send(ann, attachment_id)
    assert refused.value.code == "attachment_unavailable"
    assert await remote.until(lambda keys: len(keys) == 1) == {upload_key}


async def test_a_message_that_is_refused_at_last_leaves_no_copy(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await remote.stored.person("ann")
    attachment_id, upload_key = await remote.upload(ann)

    def refuse(*arguments: object, **more: object) -> None:
        raise Refused("forbidden")

    monkeypatch.setattr(messages, "send", refuse)
    with pytest.raises(Refused) as refused:
        await remote.send(ann, attachment_id)
    assert refused.value.code == "forbidden"
    assert await remote.until(lambda keys: len(keys) == 1) == {upload_key}


async def test_a_copy_whose_recording_is_cancelled_stays_since_a_row_may_name_it(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await remote.stored.person("ann")
    attachment_id, upload_key = await remote.upload(ann)
    was = Store.write

    async def cancelled(self: Store, unit: Callable[[Transaction], object]) -> object:
        writing = asyncio.ensure_future(was(self, unit))
        await asyncio.sleep(0)
        writing.cancel()
        return await writing

    chat = await remote.stored.group(ann)
    with monkeypatch.context() as patch, pytest.raises(asyncio.CancelledError):
        patch.setattr(Store, "write", cancelled)
        draft = Draft(attachments=[attachment_id])
        await sending.send(remote.store, remote.rules, remote.files, ann, chat, draft, None, read=True)
    await remote.store.idle()
    row = await remote.store.read(lambda snapshot: uploads.find(snapshot, attachment_id))
    assert row is not None
    assert row.key is not None
    assert remote.keys() == {row.key, upload_key}


async def test_what_no_row_names_goes_after_a_day_and_everything_else_stays(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTED_AT_ONCE", 2)
    ann, bob = await remote.stored.person("ann"), await remote.stored.person("bob")
    unsent = [(await remote.upload(ann))[1] for _ in range(3)]
    sent_id, repeated = await remote.upload(bob)
    await remote.send(bob, sent_id)
    await remote.until(lambda keys: repeated not in keys)
    row = await remote.store.read(lambda snapshot: uploads.find(snapshot, sent_id))
    assert row is not None
    assert row.key is not None
    unused = [remote.names.new_file(sent_id), remote.names.new_file(10_000)]
    foreign = f"{remote.names.files}notes.txt"
    for key in (repeated, *unused, foreign):
        await remote.put(key, b"left behind")

    async def sweep() -> set[str]:
        await attachments.sweep(remote.store, remote.stored.files, ON_S3)
        await attachments.sweep_s3(remote.store, remote.files, ON_S3)
        return remote.keys()

    everything = {*unsent, repeated, row.key, *unused, foreign}
    assert await sweep() == everything, "all of it is young"
    # An upload's row is older than its object; the rows of all these are younger than the clock says by now.
    monkeypatch.setattr(remote.stored.clock, "now", remote.stored.clock.now + DAY - 60_000)
    assert await sweep() == everything
    monkeypatch.setattr(remote.stored.clock, "now", remote.stored.clock.now + 3_600_000)
    fresh = await remote.upload(bob)
    assert await sweep() == {row.key, foreign, fresh[1]}


async def test_of_what_never_was_uploaded_nothing_is_left(remote: Remote) -> None:
    ann = await remote.stored.person("ann")
    attachment_id, _ = await remote.upload(ann, None)
    remote.stored.clock.now += DAY + 1
    await attachments.sweep(remote.store, remote.stored.files, ON_S3)
    assert await remote.store.read(lambda snapshot: uploads.find(snapshot, attachment_id)) is None


async def test_a_wrong_key_is_told_to_the_operator_and_not_to_the_client(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    settings = S3Settings(
        bucket.endpoint, bucket.region, "no-such-bucket-of-ours", bucket.access_key, "a wrong secret", 1
    )
    async with open_s3(settings, ObjectNames("5f")) as files:
        with pytest.raises(Refused) as refused:
            async for _ in files.held(0):
                pass
    assert refused.value.code == "unavailable"
    assert "ListObjectsV2" not in refused.value.detail
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert line.startswith("S3 failed: An error occurred (")
    assert "a wrong secret" not in line


async def test_a_session_that_has_ended_sends_nothing(remote: Remote) -> None:
    ann = await remote.stored.person("ann")
    attachment_id, upload_key = await remote.upload(ann)
    chat = await remote.stored.group(ann)
    gone = replace(ann, session_id=ann.session_id + 1000)
    with pytest.raises(Refused) as refused:
        await sending.send(
            remote.store, remote.rules, remote.files, gone, chat, Draft(attachments=[attachment_id]), None, read=True
        )  # fmt: skip
    assert refused.value.code == "unauthorized"
    assert remote.keys() == {upload_key}


class Service:
    """What answers as the test says, in place of botocore's client."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.looked = 0
        self.head: Any = {"ETag": "x", "ContentLength": 4096}

    async def head_object(self, **parameters: Any) -> Any:
        self.looked += 1
        if isinstance(self.head, asyncio.Event):
            await self.head.wait()
        if isinstance(self.head, BaseException):
            raise self.head
        return self.head

    async def copy_object(self, **parameters: Any) -> None:
        pass

    async def delete_object(self, **parameters: Any) -> None:
        pass

    async def get_object(self, **parameters: Any) -> Any:
        return {"Body": self, "ContentRange": "bytes 0-511/4096", "ContentLength": 512}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *more: object) -> None:
        pass

    async def read(self, most: int) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


UPLOAD = Upload(7, 1, "a.png", "image/png", None, None, None, "uploads/5f/7-x")


def files_of(service: Service) -> S3Files:
    settings = S3Settings("http://127.0.0.1:1", "r", "b", "i", "s", 5000)
    return S3Files(service, settings, ObjectNames("5f"))


async def test_first_bytes_that_come_in_pieces_are_put_together() -> None:
    service = Service(b"\x89PN", b"G" * 9, b"x" * 500)
    async with files_of(service).copied([UPLOAD]) as copies:
        assert copies[7].head == b"\x89PN" + b"G" * 9 + b"x" * 500
        assert copies[7].size == 4096


async def test_first_bytes_that_break_off_are_not_taken_for_the_whole() -> None:
    with pytest.raises(Refused) as caught:
        async with files_of(Service(b"\x89PN")).copied([UPLOAD]):
            pass
    assert caught.value.code == "unavailable"


@pytest.mark.parametrize("head", [{}, {"ETag": "x"}, ResponseParserError("no XML"), ValueError("no time")])
async def test_what_answers_and_is_no_s3_is_as_if_there_were_none(head: Any) -> None:
    service = Service(b"x" * 512)
    service.head = head
    with pytest.raises(Refused) as caught:
        async with files_of(service).copied([UPLOAD]):
            pass
    assert caught.value.code == "unavailable"


async def test_after_s3_has_not_answered_nobody_waits_for_it_again_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = Service(b"x" * 512)
    service.head = asyncio.Event()
    files = files_of(service)
    monkeypatch.setattr(module, "SECONDS", 0.01)
    for _ in range(3):
        with pytest.raises(Refused) as caught:
            await files.head("uploads/x")
        assert caught.value.code == "unavailable"
    assert service.looked == 1
    monkeypatch.setattr(files, "_down_until", 0.0)
    monkeypatch.setattr(module, "SECONDS", 20.0)
    service.head = {"ETag": "x", "ContentLength": 4096}
    assert await files.head("uploads/x") == b"x" * 512
