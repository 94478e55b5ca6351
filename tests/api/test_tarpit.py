"""Holding back refusals for rates (docs/protocol.md, Rates)."""

import asyncio

import pytest

from api.tarpit import Tarpit


@pytest.fixture
def waits() -> list[float]:
    """How long each refusal was held back for."""
    return []


@pytest.fixture
def opened() -> asyncio.Event:
    """Lets all go that are held back."""
    return asyncio.Event()


@pytest.fixture
def tarpit(waits: list[float], opened: asyncio.Event) -> Tarpit:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await opened.wait()

    return Tarpit(sleep)


async def held(tarpit: Tarpit, client: str, count: int) -> list[asyncio.Task[None]]:
    """So many refusals of a client, held back."""
    tasks = [asyncio.create_task(tarpit.hold(client)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_each_refusal_waits_for_those_before_it_of_the_same_client_and_no_longer_than_two_seconds(
    tarpit: Tarpit, waits: list[float], opened: asyncio.Event
) -> None:
    tasks = await held(tarpit, "ann", 25)
    assert waits == pytest.approx([number / 10 for number in range(1, 21)] + [2.0] * 5)
    tasks += await held(tarpit, "bob", 1)
    assert waits[-1] == 0.1
    opened.set()
    await asyncio.gather(*tasks)


async def test_who_waited_is_forgotten_even_where_the_wait_was_broken_off(
    tarpit: Tarpit, waits: list[float], opened: asyncio.Event
) -> None:
    one, two = await held(tarpit, "ann", 2)
    one.cancel()
    opened.set()
    await asyncio.wait([one, two])
    await (await held(tarpit, "ann", 1))[0]
    assert waits[-1] == 0.1
