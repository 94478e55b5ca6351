"""The connection that stays: what it tells, where it goes on, when it tries again."""

import asyncio

import pytest

from beseda.client import ConnectionLost, LoggedOut, OutboxFull, Rejected, Unreachable, live
from beseda.client.live import Event, Live
from tests.beseda.client.scripted import Frame, Script, kinds, new

BROKEN = ConnectionLost(1006)


async def gathered(staying: Live) -> list[Event]:
    """Every event until the session ends."""
    events: list[Event] = []
    with pytest.raises(LoggedOut, match="The session has ended"):
        async for event in staying:
            events.append(event)  # noqa: PERF401 - they are wanted although it raises
    return events


async def test_it_goes_on_where_the_last_event_was() -> None:
    script = Script(
        ([new(101), new(105)], BROKEN),
        ([new(106)], BROKEN),
        ([{"type": "resumed", "event_id": 110}], BROKEN),
        ([{"type": "resync", "event_id": 50, "log": "M"}], BROKEN),
    )
    async with script.live() as staying:
        events = await gathered(staying)
    assert script.asked == [(None, None), (105, "L"), (106, "L"), (110, "L"), (50, "M")]
    assert kinds(events) == [
        *("hello", "resync", "new_message", "new_message", "offline"),
        *("hello", "new_message", "offline"),
        *("hello", "resumed", "offline"),
        *("hello", "resync", "offline"),
    ]
    assert (staying.cursor, staying.log) == (50, "M")


async def test_who_kept_a_cursor_is_not_told_to_load_anew() -> None:
    script = Script(([new(101)], BROKEN))
    async with script.live(since=100, log="L") as staying:
        assert kinds(await gathered(staying)) == ["hello", "new_message", "offline"]
    assert script.asked[0] == (100, "L")


async def test_the_cursor_is_of_what_was_iterated_over_not_of_what_came() -> None:
    script = Script(([new(101), new(102)], None))
    async with script.live() as staying:
        seen = [await anext(staying) for _ in range(3)]
        assert kinds(seen) == ["hello", "resync", "new_message"]
        assert staying.cursor == 101
        assert staying.is_online


async def test_an_ack_out_of_its_place_is_no_event() -> None:
    repeat = {"type": "message_sent", "temp_id": "t", "message": {"id": 101}}
    script = Script(([repeat, new(101), repeat | {"event_id": 102}], BROKEN))
    async with script.live() as staying:
        events = await gathered(staying)
    assert [event.get("event_id") for event in events[2:-1]] == [101, 102]


async def test_attempts_come_later_and_later_until_a_connection_lasted() -> None:
    dead = Unreachable("gone")
    short: tuple[list[Frame], ConnectionLost] = ([], BROKEN)
    script = Script(dead, dead, short, dead, short)
    script.lasts = 0.9
    async with script.live() as staying:
        events = await gathered(staying)
    assert script.slept == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert [event["seconds"] for event in events if event["type"] == "offline"][-1] == 8.0
    script = Script(dead, dead, short, dead)
    script.lasts = 1.0
    async with script.live() as staying:
        await gathered(staying)
    assert script.slept == [0.5, 1.0, 0.5, 1.0]


async def test_a_server_that_asks_for_time_gets_it() -> None:
    script = Script(Rejected("unavailable", "Full.", status=503, retry_after=30.0), ConnectionLost(1012))
    async with script.live() as staying:
        [offline, _] = await gathered(staying)
    assert script.slept == [30.5, 5.0]
    assert offline["type"] == "offline"
    assert str(offline["error"]) == "Full."


async def test_where_coming_back_makes_no_sense_the_iteration_and_what_waits_end() -> None:
    script = Script(ConnectionLost(4509))
    async with script.live() as staying:
        waiting = asyncio.create_task(staying.send(7, "hello"))
        with pytest.raises(ConnectionLost, match="4509"):
            await anext(staying)
        with pytest.raises(ConnectionLost, match="4509"):
            await waiting
        with pytest.raises(ConnectionLost, match="4509"):
            await staying.send(7, "another")


async def test_what_was_not_acknowledged_is_sent_again_as_it_was_and_reads_nothing() -> None:
    script = Script(([], BROKEN), ([], None))
    script.answer = lambda frame: {"id": 1, "text": frame["text"]} if len(script.sockets) > 1 else None
    async with script.live() as staying:
        while not staying.is_online:
            await asyncio.sleep(0)
        sent = [asyncio.create_task(staying.send(7, text, temp_id=text)) for text in "abc"]
        assert [message["text"] for message in await asyncio.gather(*sent)] == list("abc")
    first, second = (socket.sent for socket in script.sockets)
    assert first == [{"text": "a", "temp_id": "a", "read": True}]
    assert second == [{"text": text, "temp_id": text, "read": False} for text in "abc"]


async def test_a_server_that_is_busy_gets_the_message_again_and_the_order_stays() -> None:
    refusals = [
        Rejected("rate_limited", "Slower.", retry_after=3.0),
        Rejected("unavailable", "Busy.", retry_after=1.0),
    ]
    script = Script(([], None))
    script.answer = lambda frame: refusals.pop(0) if refusals else {"id": 1, "text": frame["text"]}
    async with script.live() as staying:
        await asyncio.gather(*(staying.send(7, text) for text in "ab"))
    assert [frame["text"] for frame in script.sockets[0].sent] == ["a", "a", "a", "b"]
    assert script.slept == [3.5, 2.0]


async def test_what_is_refused_raises_and_the_next_goes() -> None:
    script = Script(([], None))
    script.answer = lambda frame: (
        Rejected("not_found", "No.") if frame["text"] == "a" else {"id": 1, "text": frame["text"]}
    )
    async with script.live() as staying:
        outcomes = await asyncio.gather(*(staying.send(7, text) for text in "ab"), return_exceptions=True)
    assert [getattr(outcome, "code", "stored") for outcome in outcomes] == ["not_found", "stored"]


async def test_a_frame_that_is_too_large_is_refused_and_not_sent_again() -> None:
    script = Script(([], ConnectionLost(1009)), ([], None))
    script.answer = lambda frame: None if frame["text"] == "large" else {"id": 1, "text": "small"}
    async with script.live() as staying:
        large = asyncio.create_task(staying.send(7, "large"))
        small = asyncio.create_task(staying.send(7, "small"))
        with pytest.raises(Rejected, match="larger than this server takes"):
            await large
        assert (await small)["text"] == "small"


async def test_an_outbox_that_is_full_says_so_and_loses_nothing() -> None:
    script = Script(([], None))
    staying = script.live(max_outbox=2)
    waiting = [asyncio.create_task(staying.send(7, text)) for text in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(OutboxFull, match="2 messages wait to be sent already"):
        await staying.send(7, "c")
    async with staying:
        assert [message["text"] for message in await asyncio.gather(*waiting)] == ["a", "b"]


async def test_two_messages_under_way_may_not_share_a_temp_id() -> None:
    script = Script(([], None))
    async with script.live() as staying:
        first = asyncio.create_task(staying.send(7, "a", temp_id="t"))
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="under way already"):
            await staying.send(7, "b", temp_id="t")
        assert (await first)["text"] == "a"


async def test_who_gives_up_waiting_has_nothing_sent_later() -> None:
    script = Script(([], None))
    staying = script.live()
    waiting = asyncio.create_task(staying.send(7, "a"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    async with staying:
        await staying.send(7, "b")
    assert [frame["text"] for frame in script.sockets[0].sent] == ["b"]


async def test_what_was_read_is_told_again_after_a_break() -> None:
    script = Script(([], BROKEN), ([], None))
    async with script.live() as staying:
        await staying.read(7, 101)
        await staying.read(7, 102)
        await staying.send(7, "after")
    assert script.sockets[-1].sent[0] == {"read": (7, 102)}


async def test_what_nobody_takes_is_left_with_the_server_and_fetched_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "MAX_WAITING", 4)
    script = Script(
        ([new(number) for number in range(101, 110)], None),
        ([new(number) for number in range(103, 106)], BROKEN),
    )
    async with script.live() as staying:
        await staying.send(7, "while nobody takes anything")
        events = await gathered(staying)
    assert [event["event_id"] for event in events if event["type"] == "new_message"] == [*range(101, 106)]
    assert script.asked[1] == (102, "L")


async def test_closing_ends_the_iteration_and_what_waits() -> None:
    script = Script(([], None))
    script.answer = lambda frame: None
    async with script.live() as staying:
        waiting = asyncio.create_task(staying.send(7, "hello"))
        await asyncio.sleep(0)
    with pytest.raises(ConnectionLost, match="this side closed it"):
        await waiting
    assert kinds([event async for event in staying]) == ["hello", "resync"]


async def test_a_bug_reaches_who_iterates() -> None:
    script = Script(([{"type": "resync"}], None))
    async with script.live() as staying:
        with pytest.raises(KeyError):
            async for _ in staying:
                pass
