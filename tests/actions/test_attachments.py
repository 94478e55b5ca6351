"""Uploading, sending and clearing away, on a real store and real files."""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from actions import attachments, messages, sessions
from actions.actor import Actor
from actions.attachments import AttachmentRules
from protocol.commands import Draft, Presign
from protocol.entities import Message, Presigned
from protocol.errors import Refused
from storage import Store, Transaction, uploads
from storage.attachments.local import LocalFiles
from tests.support.stored import DAY, LIMITS, Stored, open_stored

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
async def stored(tmp_path: Path) -> AsyncIterator[Stored]:
    async with open_stored(tmp_path) as opened:
        yield opened


async def presign(
    stored: Stored, actor: Actor, size: int | None = None, limits: AttachmentRules = LIMITS
) -> Presigned:
    command = Presign(filename="a.png", content_type="image/png", size=size)
    return await attachments.presign(
        stored.store, stored.rules, limits, stored.files, actor, command, "http://host"
    )


async def stream(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def upload(
    stored: Stored,
    attachment_id: int,
    data: bytes,
    length: int | None = None,
    limits: AttachmentRules = LIMITS,
) -> None:
    await attachments.upload(
        stored.store, stored.rules.rates, limits, stored.files, attachment_id, stream(data), length
    )


async def content(stored: Stored, attachment_id: int) -> bytes:
    found = await attachments.download(stored.store, stored.files, attachment_id)
    try:
        return b"".join([chunk async for chunk in found.file.chunks(0, found.file.size)])
    finally:
        found.file.close()


async def sent_to_self(stored: Stored, ann: Actor, attachment_id: int) -> Message:
    return await stored.send(ann, await stored.group(ann), attachment_id)


async def untouchable() -> AsyncIterator[bytes]:
    pytest.fail("it read what it had to refuse before")
    yield b""  # type: ignore[unreachable]  # makes it a stream


async def test_a_presign_tells_where_the_bytes_go_and_for_how_long(stored: Stored) -> None:
    ann = await stored.person("ann")
    answer = await presign(stored, ann, 5)
    url = stored.rules.links.upload(answer["id"], "http://host")
    headers = {"Content-Type": "image/png"}
    assert answer == {"id": answer["id"], "url": url, "method": "PUT", "headers": headers, "expires_in": 600}


async def test_a_presign_needs_a_session_that_lasts(stored: Stored) -> None:
    ann = await stored.person("ann")
    await stored.store.write(lambda tx: sessions.logout(tx, ann))
    with pytest.raises(Refused) as refused:
        await presign(stored, ann)
    assert refused.value.code == "unauthorized"


async def test_a_file_that_is_declared_too_large_is_refused_before_it_is_sent(stored: Stored) -> None:
    ann = await stored.person("ann")
    await presign(stored, ann, LIMITS.max_bytes)
    with pytest.raises(Refused) as refused:
        await presign(stored, ann, LIMITS.max_bytes + 1)
    assert (refused.value.code, refused.value.status) == ("too_large", 413)


async def test_a_user_may_have_only_so_many_files_unsent(stored: Stored) -> None:
    ann, bob = await stored.person("ann"), await stored.person("bob")
    ids = [(await presign(stored, ann))["id"] for _ in range(LIMITS.unsent_files)]
    with pytest.raises(Refused) as refused:
        await presign(stored, ann)
    assert (refused.value.code, refused.value.status) == ("too_many_uploads", 429)
    assert refused.value.retry_after
    await presign(stored, bob)
    await upload(stored, ids[0], b"x")
    await sent_to_self(stored, ann, ids[0])
    await presign(stored, ann)


async def test_a_user_may_have_only_so_many_bytes_unsent_as_declared(stored: Stored) -> None:
    ann = await stored.person("ann")
    await presign(stored, ann, 1000)
    await presign(stored, ann, 900)
    with pytest.raises(Refused) as refused:
        await presign(stored, ann, 101)
    assert refused.value.code == "too_many_uploads"
    await presign(stored, ann, 100)


async def test_a_user_may_have_only_so_many_bytes_unsent_as_uploaded(stored: Stored) -> None:
    ann = await stored.person("ann")
    ids = [(await presign(stored, ann))["id"] for _ in range(3)]
    await upload(stored, ids[0], bytes(1000))
    await upload(stored, ids[1], bytes(900))
    kept = stored.kept()
    for length in (101, None):
        with pytest.raises(Refused) as refused:
            await upload(stored, ids[2], bytes(101), length)
        assert refused.value.code == "too_many_uploads"
        assert stored.kept() == kept
    await upload(stored, ids[2], bytes(100))
    await upload(stored, ids[1], bytes(900), 900)  # its own former bytes don't count against it


async def test_what_may_wait_to_be_sent_is_no_more_in_a_rush(stored: Stored) -> None:
    ann = await stored.person("ann")
    answers = await asyncio.gather(*(presign(stored, ann) for _ in range(20)), return_exceptions=True)
    ids = [answer["id"] for answer in answers if not isinstance(answer, BaseException)]
    assert len(ids) == LIMITS.unsent_files == 3
    # Each fits beside what is there; together they do not.
    puts = [upload(stored, attachment_id, bytes(700)) for attachment_id in ids]
    ends = await asyncio.gather(*puts, return_exceptions=True)
    assert [getattr(end, "code", None) for end in ends].count("too_many_uploads") == 1
    assert ends.count(None) == 2
    assert len(stored.kept()) == 2


async def test_files_leave_the_disk_to_the_messages(stored: Stored) -> None:
    ann = await stored.person("ann")
    chat = await stored.group(ann)
    attachment_id = (await presign(stored, ann))["id"]
    full = dataclasses.replace(LIMITS, min_free_bytes=1 << 60)
    with pytest.raises(Refused) as refused:
        await presign(stored, ann, limits=full)
    assert (refused.value.code, refused.value.status) == ("storage_low", 503)
    assert refused.value.retry_after
    with pytest.raises(Refused) as refused:
        await upload(stored, attachment_id, b"x", limits=full)
    assert refused.value.code == "storage_low"
    assert stored.kept() == []
    assert (await stored.send(ann, chat))["text"] == "look"


async def test_an_upload_may_be_repeated_and_the_last_one_holds(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    for data in (b"first", b"second", b""):
        await upload(stored, attachment_id, data)
        assert await content(stored, attachment_id) == data
        assert len(stored.kept()) == 1, "the bytes before it are gone"


async def test_a_failed_repetition_leaves_the_bytes_before_it(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    await upload(stored, attachment_id, b"first")
    with pytest.raises(Refused) as refused:
        await upload(stored, attachment_id, bytes(LIMITS.max_bytes + 1))
    assert refused.value.code == "too_large"
    assert await content(stored, attachment_id) == b"first"
    assert len(stored.kept()) == 1


async def test_a_length_beyond_the_limit_is_refused_without_reading(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    with pytest.raises(Refused) as refused:
        await attachments.upload(
            stored.store,
            stored.rules.rates,
            LIMITS,
            stored.files,
            attachment_id,
            untouchable(),
            LIMITS.max_bytes + 1,
        )
    assert refused.value.code == "too_large"


async def test_what_was_sent_never_changes(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    await upload(stored, attachment_id, b"sent")
    message = await sent_to_self(stored, ann, attachment_id)
    assert message["attachments"][0]["size"] == 4
    kept = stored.kept()
    with pytest.raises(Refused) as refused:
        await attachments.upload(
            stored.store, stored.rules.rates, LIMITS, stored.files, attachment_id, untouchable(), None
        )
    assert (refused.value.code, refused.value.status) == ("attachment_unavailable", 409)
    assert await content(stored, attachment_id) == b"sent"
    assert stored.kept() == kept


async def test_a_message_that_is_sent_while_another_upload_streams_keeps_its_bytes(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    await upload(stored, attachment_id, b"sent")
    sending = asyncio.Event()

    async def overtaken() -> AsyncIterator[bytes]:
        yield b"la"
        await sending.wait()
        yield b"te"

    late = asyncio.ensure_future(
        attachments.upload(
            stored.store, stored.rules.rates, LIMITS, stored.files, attachment_id, overtaken(), None
        )
    )
    while len(stored.kept()) < 2:
        await asyncio.sleep(0.01)
    message = await sent_to_self(stored, ann, attachment_id)
    sending.set()
    with pytest.raises(Refused) as refused:
        await late
    assert refused.value.code == "attachment_unavailable"
    assert message["attachments"][0]["size"] == 4
    assert await content(stored, attachment_id) == b"sent"
    assert len(stored.kept()) == 1, "the loser's file is gone"


async def test_uploads_to_one_attachment_never_hold_more_than_one_file_and_the_newest_wins(
    stored: Stored,
) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    begun, held, going = 0, 0, asyncio.Event()

    async def slow(data: bytes) -> AsyncIterator[bytes]:
        nonlocal begun, held
        begun, held = begun + 1, max(held, len(stored.kept()))
        if data == b"last":
            going.set()
        await going.wait()
        yield data

    def put(data: bytes) -> asyncio.Future[None]:
        return asyncio.ensure_future(
            attachments.upload(
                stored.store, stored.rules.rates, LIMITS, stored.files, attachment_id, slow(data), None
            )
        )

    async with asyncio.timeout(20):
        older = [put(b"first")]
        while not begun:
            await asyncio.sleep(0.01)
        older += [put(b"older") for _ in range(15)]
        while stored.files._turns[attachment_id].newest < 16:
            await asyncio.sleep(0.01)
        await put(b"last")
        outcomes = await asyncio.gather(*older, return_exceptions=True)
    codes = {outcome.code if isinstance(outcome, Refused) else outcome for outcome in outcomes}
    assert codes == {"attachment_unavailable"}
    assert held == 1
    assert await content(stored, attachment_id) == b"last"
    assert len(stored.kept()) == 1
    assert stored.files._turns == {}, "nothing is remembered of uploads that are over"


async def test_an_upload_that_is_being_recorded_is_waited_for_and_then_replaced(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    async with asyncio.timeout(20):
        receiving = stored.files.receive(attachment_id, stream(b"older"), max_bytes=9, min_free_bytes=0)
        async with receiving as received:
            newer = asyncio.ensure_future(upload(stored, attachment_id, b"newer"))
            while stored.files._turns[attachment_id].uploads < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            assert len(stored.kept()) == 1
            await stored.store.write(
                lambda tx: uploads.record(tx, uploads.require_unsent(tx, attachment_id), *received)
            )
        await newer
    assert await content(stored, attachment_id) == b"newer"
    assert len(stored.kept()) == 1


async def test_uploads_that_are_cancelled_lock_nobody_out_and_are_forgotten(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]

    async def stuck() -> AsyncIterator[bytes]:
        yield b"half"
        await asyncio.Event().wait()

    def put() -> asyncio.Future[None]:
        return asyncio.ensure_future(
            attachments.upload(
                stored.store, stored.rules.rates, LIMITS, stored.files, attachment_id, stuck(), None
            )
        )

    async with asyncio.timeout(20):
        older = put()
        while not stored.kept():
            await asyncio.sleep(0.01)
        newer = put()
        while stored.files._turns[attachment_id].newest < 2:
            await asyncio.sleep(0)
        # The older one is ended by now and is not gone yet: its client goes away, and so does the newer one's.
        older.cancel()
        newer.cancel()
        assert [type(end) for end in await asyncio.gather(older, newer, return_exceptions=True)] == [
            asyncio.CancelledError,
            asyncio.CancelledError,
        ]
        assert stored.files._turns == {}
        assert stored.kept() == []
        await upload(stored, attachment_id, b"whole")
    assert await content(stored, attachment_id) == b"whole"


async def test_an_upload_that_is_refused_at_once_does_not_end_the_one_under_way(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]

    async def meanwhile() -> AsyncIterator[bytes]:
        yield b"go"
        with pytest.raises(Refused) as refused:
            await upload(stored, attachment_id, b"", LIMITS.max_bytes + 1)
        assert refused.value.code == "too_large"
        yield b"es on"

    await attachments.upload(
        stored.store, stored.rules.rates, LIMITS, stored.files, attachment_id, meanwhile(), None
    )
    assert await content(stored, attachment_id) == b"goes on"


async def test_uploads_and_sends_that_race_end_with_one_file_and_the_size_that_was_told(
    stored: Stored,
) -> None:
    ann = await stored.person("ann")
    chat = await stored.group(ann)
    raced = 0
    for _ in range(15):
        attachment_id = (await presign(stored, ann))["id"]
        await upload(stored, attachment_id, b"x")
        draft = Draft(attachments=[attachment_id])

        async def send(draft: Draft = draft) -> Message:
            await asyncio.sleep(0.001)
            message, _ = await stored.store.write(
                lambda tx: messages.send(tx, stored.rules, ann, chat, draft, None, read=True)
            )
            return message

        putting = [upload(stored, attachment_id, bytes(size)) for size in range(2, 8)]
        message, *outcomes = await asyncio.gather(send(), *putting, return_exceptions=True)
        assert isinstance(message, dict)
        for outcome in outcomes:
            assert outcome is None or isinstance(outcome, Refused)
            raced += isinstance(outcome, Refused) and "is sent" in outcome.detail
        assert len(await content(stored, attachment_id)) == message["attachments"][0]["size"]
    assert raced, "no upload ever lost the race: this test shows nothing"
    assert len(stored.kept()) == 15


async def test_nobody_can_send_what_is_not_uploaded(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    with pytest.raises(Refused) as refused:
        await sent_to_self(stored, ann, attachment_id)
    assert refused.value.code == "attachment_unavailable"


async def test_a_fresh_url_is_for_those_who_may_read_the_message(stored: Stored) -> None:
    ann, bob, eve = [await stored.person(name) for name in ("ann", "bob", "eve")]
    chat = await stored.group(ann, bob)
    attachment_id = (await presign(stored, ann))["id"]

    codes: list[str] = []

    async def readers() -> list[bool]:
        async def may(person: Actor) -> bool:
            try:
                link = await attachments.resolve(stored.store, stored.rules, None, person, attachment_id)
            except Refused as refused:
                codes.append(refused.code)
                return False
            assert link == stored.rules.links.fresh(attachment_id)
            return True

        return [await may(person) for person in (ann, bob, eve)]

    assert await readers() == [False, False, False], "there is nothing to read yet"
    await upload(stored, attachment_id, b"x")
    assert await readers() == [True, False, False]
    await stored.send(ann, chat, attachment_id)
    assert await readers() == [True, True, False]
    await stored.leave(bob, chat)
    assert await readers() == [True, False, False]
    # What was sent is the conversation's: who has left it can't read it, and be it one's own.
    await stored.leave(ann, chat)
    assert await readers() == [False, False, False]
    assert set(codes) == {"not_found"}


async def test_a_download_tells_what_its_bytes_are_and_whether_they_are_final(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    await upload(stored, attachment_id, b"<html>")
    found = await attachments.download(stored.store, stored.files, attachment_id)
    found.file.close()
    assert (found.filename, found.served, found.is_final) == (
        "a.png",
        ("application/octet-stream", False),
        False,
    )
    await upload(stored, attachment_id, PNG)
    await sent_to_self(stored, ann, attachment_id)
    found = await attachments.download(stored.store, stored.files, attachment_id)
    found.file.close()
    assert (found.served, found.is_final) == (("image/png", True), True)


async def test_a_download_that_an_upload_overtakes_gets_the_new_bytes(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    await upload(stored, attachment_id, b"old")
    opened, was = 0, LocalFiles.open

    async def overtaken(self: LocalFiles, key: str) -> object:
        nonlocal opened
        opened += 1
        if opened == 1:
            await upload(stored, attachment_id, b"new")
        return await was(self, key)

    monkeypatch.setattr(LocalFiles, "open", overtaken)
    assert await content(stored, attachment_id) == b"new"
    assert opened == 2


async def test_what_is_not_there_is_not_found(stored: Stored, caplog: pytest.LogCaptureFixture) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    for missing in (attachment_id, attachment_id + 1):
        with pytest.raises(Refused) as refused:
            await content(stored, missing)
        assert refused.value.code == "not_found"
    with pytest.raises(Refused) as refused:
        await upload(stored, attachment_id + 1, b"x")
    assert refused.value.code == "not_found"
    assert not caplog.records
    await upload(stored, attachment_id, b"x")
    stored.kept()[0].unlink()
    with pytest.raises(Refused) as refused, caplog.at_level(logging.ERROR):
        await content(stored, attachment_id)
    assert refused.value.code == "not_found"
    assert len(caplog.records) == 1, "a lost file is something the operator must hear of"


async def test_an_upload_whose_attachment_was_cleared_away_leaves_nothing(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        stored.clock.now += DAY + 1
        await attachments.sweep(stored.store, stored.files, LIMITS)

    with pytest.raises(Refused) as refused:
        await attachments.upload(
            stored.store, stored.rules.rates, LIMITS, stored.files, attachment_id, slow(), None
        )
    assert refused.value.code == "not_found"
    assert stored.kept() == []


async def test_what_is_never_sent_goes_after_a_day_and_what_is_sent_stays(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "STALE_AT_ONCE", 2)
    ann, bob = await stored.person("ann"), await stored.person("bob")
    stale = [(await presign(stored, who))["id"] for who in (ann, ann, bob, bob, bob)]
    for attachment_id in stale[1:]:
        await upload(stored, attachment_id, b"x")
    sent = (await presign(stored, ann))["id"]
    await upload(stored, sent, b"sent")
    await sent_to_self(stored, ann, sent)
    stored.clock.now += DAY
    fresh = await stored.person("eve")
    kept = (await presign(stored, fresh))["id"]
    await upload(stored, kept, b"fresh")
    await attachments.sweep(stored.store, stored.files, LIMITS)
    assert len(stored.kept()) == 6, "a day is not over yet"
    stored.clock.now += 1
    await attachments.sweep(stored.store, stored.files, LIMITS)
    assert len(stored.kept()) == 2
    for _ in range(LIMITS.unsent_files):
        await presign(stored, bob)  # what he had waiting counts no more
    assert await content(stored, sent) == b"sent"
    assert await content(stored, kept) == b"fresh"
    for attachment_id in stale:
        with pytest.raises(Refused) as refused:
            await sent_to_self(stored, ann if attachment_id in stale[:2] else bob, attachment_id)
        assert refused.value.code == "attachment_unavailable"
        with pytest.raises(Refused) as refused:
            await content(stored, attachment_id)
        assert refused.value.code == "not_found"
        assert (
            await stored.store.read(lambda snapshot, wanted=attachment_id: uploads.find(snapshot, wanted))  # type: ignore[misc]
            is None
        )


async def test_what_a_crash_left_behind_is_swept_and_what_is_coming_in_is_not(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    await upload(stored, attachment_id, b"good")
    good = stored.kept()[0]
    orphan = good.with_name(f"{attachment_id}-{good.parent.name}{'0' * 30}")
    of_no_row = good.with_name(f"999-{good.parent.name}{'0' * 30}")
    half = stored.data_dir / "attachments" / "incoming" / f"{attachment_id}-{'1' * 32}"
    for path in (orphan, of_no_row, half):
        path.write_bytes(b"left behind")
    other = (await presign(stored, ann))["id"]

    async def meanwhile() -> AsyncIterator[bytes]:
        yield b"com"
        await attachments.sweep(stored.store, stored.files, LIMITS)
        yield b"ing in"

    await attachments.upload(stored.store, stored.rules.rates, LIMITS, stored.files, other, meanwhile(), None)
    assert not any(path.exists() for path in (orphan, of_no_row, half))
    assert await content(stored, attachment_id) == b"good"
    assert await content(stored, other) == b"coming in"
    assert len(stored.kept()) == 2


async def test_an_upload_that_is_whole_but_not_yet_recorded_is_not_swept(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    receiving = stored.files.receive(attachment_id, stream(b"whole"), max_bytes=9, min_free_bytes=0)
    async with receiving as received:
        assert len(stored.kept()) == 1
        await attachments.sweep(stored.store, stored.files, LIMITS)
        await stored.store.write(
            lambda tx: uploads.record(tx, uploads.require_unsent(tx, attachment_id), *received)
        )
    await attachments.sweep(stored.store, stored.files, LIMITS)
    assert await content(stored, attachment_id) == b"whole"


async def test_an_upload_that_is_cancelled_while_it_is_recorded_keeps_what_the_row_names(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await stored.person("ann")
    attachment_id = (await presign(stored, ann))["id"]
    was = Store.write

    async def cancelled(self: Store, unit: Callable[[Transaction], object]) -> object:
        writing = asyncio.ensure_future(was(self, unit))
        await asyncio.sleep(0)
        writing.cancel()
        return await writing

    with monkeypatch.context() as patch, pytest.raises(asyncio.CancelledError):
        patch.setattr(Store, "write", cancelled)
        await upload(stored, attachment_id, b"whole")
    await stored.store.idle()
    assert await content(stored, attachment_id) == b"whole"
