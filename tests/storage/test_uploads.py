"""Attachments' rows: what may be sent with a message, who may read it, and what is removed."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from protocol.errors import Refused
from storage import Snapshot, Transaction, uploads
from storage.uploads import StoredAttachment, Unsent
from tests.support.stored import DAY, Stored, open_stored


@pytest.fixture
async def stored(tmp_path: Path) -> AsyncIterator[Stored]:
    async with open_stored(tmp_path) as opened:
        yield opened


def insert(uploader_id: int, declared_size: int | None = None) -> Callable[[Transaction], int]:
    return lambda tx: uploads.insert(
        tx, uploader_id=uploader_id, filename="a b.png", content_type="image/png", declared_size=declared_size
    )


async def test_an_attachment_has_no_bytes_until_they_are_recorded(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = await stored.store.write(insert(ann.user_id, 5))
    before = await stored.store.read(lambda snapshot: uploads.find(snapshot, attachment_id))
    assert before == (attachment_id, ann.user_id, "a b.png", "image/png", None, None, None, None)
    await stored.store.write(
        lambda tx: uploads.record(tx, uploads.require_unsent(tx, attachment_id), "a key", 7)
    )
    after = await stored.store.read(lambda snapshot: uploads.find(snapshot, attachment_id))
    assert after == (attachment_id, ann.user_id, "a b.png", "image/png", "a key", 7, None, None)
    assert await stored.store.read(lambda snapshot: uploads.find(snapshot, attachment_id + 1)) is None


async def test_attachments_are_claimed_and_shown_in_the_order_they_were_named(stored: Stored) -> None:
    ann = await stored.person("ann")
    one, two, three = [await stored.uploaded(ann, f"{name}.png", 10) for name in ("one", "two", "three")]
    claimed = await stored.store.write(lambda tx: uploads.claim(tx, 100, ann.user_id, [three, one, two]))
    expected = [
        StoredAttachment(three, "three.png", "image/png", 10, f"key of {three}"),
        StoredAttachment(one, "one.png", "image/png", 10, f"key of {one}"),
        StoredAttachment(two, "two.png", "image/png", 10, f"key of {two}"),
    ]
    assert claimed == expected
    found = await stored.store.read(lambda snapshot: uploads.of_messages(snapshot, [99, 100, 101]))
    assert found == {100: expected}


@pytest.mark.parametrize("bad", ["not uploaded", "another's", "already sent", "of no one"])
async def test_one_attachment_that_cannot_be_sent_claims_none(stored: Stored, bad: str) -> None:
    ann, bob = await stored.person("ann"), await stored.person("bob")
    good = await stored.uploaded(ann)
    other = {
        "not uploaded": lambda: stored.store.write(insert(ann.user_id)),
        "another's": lambda: stored.uploaded(bob),
        "already sent": lambda: stored.uploaded(ann),
        "of no one": lambda: stored.uploaded(ann),
    }
    taken = await other[bad]()
    if bad == "already sent":
        await stored.store.write(lambda tx: uploads.claim(tx, 99, ann.user_id, [taken]))
    if bad == "of no one":
        taken += 1000
    with pytest.raises(Refused) as refused:
        await stored.store.write(lambda tx: uploads.claim(tx, 100, ann.user_id, [good, taken]))
    assert refused.value.code == "attachment_unavailable"
    found = await stored.store.read(lambda snapshot: uploads.find(snapshot, good))
    assert found is not None
    assert found.message_id is None


async def test_only_what_waits_to_be_sent_counts_against_a_user(stored: Stored) -> None:
    ann, bob = await stored.person("ann"), await stored.person("bob")

    async def unsent(besides: int = 0) -> Unsent:
        return await stored.store.read(
            lambda snapshot: uploads.unsent(snapshot, ann.user_id, besides=besides)
        )

    assert await unsent() == Unsent(0, 0)
    await stored.uploaded(bob, size=1000)
    declared = await stored.store.write(insert(ann.user_id, 50))
    await stored.store.write(insert(ann.user_id))
    assert await unsent() == Unsent(2, 50), "a size that was declared counts, one that was not can't"
    await stored.store.write(lambda tx: uploads.record(tx, uploads.require_unsent(tx, declared), "a key", 70))
    assert await unsent() == Unsent(2, 70), "once uploaded, the real size counts"
    assert await unsent(besides=declared) == Unsent(1, 0)
    await stored.store.write(lambda tx: uploads.claim(tx, 100, ann.user_id, [declared]))
    assert await unsent() == Unsent(1, 0)


async def test_what_is_sent_or_gone_takes_no_bytes(stored: Stored) -> None:
    ann = await stored.person("ann")
    sent = await stored.uploaded(ann)
    await stored.store.write(lambda tx: uploads.claim(tx, 100, ann.user_id, [sent]))
    for attachment_id, code in ((sent, "attachment_unavailable"), (sent + 1, "not_found")):

        def require(snapshot: Snapshot, attachment_id: int = attachment_id) -> object:
            return uploads.require_unsent(snapshot, attachment_id)

        with pytest.raises(Refused) as refused:
            await stored.store.read(require)
        assert refused.value.code == code


async def test_only_members_may_read_what_is_sent_and_only_the_uploader_what_is_not(stored: Stored) -> None:
    ann, bob, eve = [await stored.person(name) for name in ("ann", "bob", "eve")]
    chat = await stored.group(ann, bob)
    attachment_id = await stored.uploaded(ann)

    async def readers() -> list[bool]:
        return [
            await stored.store.read(
                lambda snapshot, person=person: uploads.is_readable(snapshot, attachment_id, person.user_id)  # type: ignore[misc]
            )
            for person in (ann, bob, eve)
        ]

    assert await readers() == [True, False, False]
    await stored.send(ann, chat, attachment_id)
    assert await readers() == [True, True, False]
    await stored.leave(ann, chat)
    assert await readers() == [False, True, False], "the sender may read it no more than anyone who left"


async def test_what_is_not_uploaded_can_be_read_by_no_one(stored: Stored) -> None:
    ann = await stored.person("ann")
    attachment_id = await stored.store.write(insert(ann.user_id))
    assert not await stored.store.read(
        lambda snapshot: uploads.is_readable(snapshot, attachment_id, ann.user_id)
    )


async def test_only_what_was_never_sent_goes_stale_oldest_first(stored: Stored) -> None:
    ann = await stored.person("ann")
    presigned = await stored.store.write(insert(ann.user_id))
    uploaded = await stored.uploaded(ann)
    sent = await stored.uploaded(ann)
    await stored.store.write(lambda tx: uploads.claim(tx, 100, ann.user_id, [sent]))
    stored.clock.now += DAY
    fresh = await stored.uploaded(ann)

    async def remove(limit: int) -> list[str | None]:
        return await stored.store.write(lambda tx: uploads.remove_stale(tx, tx.now - DAY // 2, limit))

    assert await remove(1) == [None]
    assert await remove(10) == [f"key of {uploaded}"]
    assert await remove(10) == []
    left = await stored.store.read(lambda snapshot: snapshot.rows("SELECT id FROM attachments ORDER BY id"))
    assert [row[0] for row in left] == [sent, fresh]
    assert presigned < uploaded < sent


async def test_the_id_of_a_removed_attachment_is_never_given_again(stored: Stored) -> None:
    ann = await stored.person("ann")
    first = await stored.store.write(insert(ann.user_id))
    stored.clock.now += 1
    await stored.store.write(lambda tx: uploads.remove_stale(tx, tx.now, 10))
    assert await stored.store.write(insert(ann.user_id)) > first


async def test_keys_are_told_of_what_has_one(stored: Stored) -> None:
    ann = await stored.person("ann")
    with_bytes, without = await stored.uploaded(ann), await stored.store.write(insert(ann.user_id))
    found = await stored.store.read(lambda snapshot: uploads.keys(snapshot, [with_bytes, without, 10_000]))
    assert found == {with_bytes: f"key of {with_bytes}"}


async def test_no_query_scans_the_table(stored: Stored) -> None:
    asked: list[str] = []

    def unit(tx: Transaction) -> list[str]:
        tx.db.set_trace_callback(asked.append)
        uploads.find(tx, 1)
        uploads.unsent(tx, 1)
        uploads.of_messages(tx, [1, 2])
        uploads.is_readable(tx, 1, 1)
        uploads.keys(tx, [1, 2])
        uploads.remove_stale(tx, 5, 10)
        tx.db.set_trace_callback(None)
        return [row[3] for sql in asked for row in tx.rows("EXPLAIN QUERY PLAN " + sql)]

    plans = await stored.store.write(unit)
    assert len(asked) >= 6
    assert not [plan for plan in plans if plan.startswith("SCAN") and "json_each" not in plan]
