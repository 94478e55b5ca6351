"""Passwords are hashed beside the event loop, and not without end."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Iterator

import argon2
import pytest
from argon2.exceptions import VerifyMismatchError

from actions.passwords import _NOBODYS as NOBODYS
from actions.passwords import hash_password, verify_password
from beseda import passwords
from beseda.passwords import MAX_WAITING, PasswordPool
from protocol.errors import Refused


@pytest.fixture
def pool() -> Iterator[PasswordPool]:
    made = PasswordPool(2)
    yield made
    made.close()


async def test_a_password_matches_its_own_hash_only(pool: PasswordPool) -> None:
    encoded = await pool.hash("correct horse")
    assert encoded.startswith("$argon2id$")
    assert await pool.verify(encoded, "correct horse")
    assert not await pool.verify(encoded, "wrong horse")
    assert not await pool.verify(None, "correct horse")


def test_where_there_is_no_account_a_password_is_checked_at_the_same_cost() -> None:
    real = hash_password("correct horse")
    assert argon2.extract_parameters(NOBODYS) == argon2.extract_parameters(real)
    with pytest.raises(VerifyMismatchError):
        argon2.PasswordHasher().verify(NOBODYS, "correct horse")


async def test_the_event_loop_goes_on_meanwhile(pool: PasswordPool) -> None:
    hashing = asyncio.create_task(pool.hash("correct horse"))
    turns = 0
    while not hashing.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 10


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux a thread has a niceness of its own")
async def test_the_hashing_steps_back_behind_the_event_loop(
    pool: PasswordPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    niceness: list[int] = []

    def hash_password(_: str) -> str:
        niceness.append(os.getpriority(os.PRIO_PROCESS, 0))  # of whoever asks: on Linux the thread
        return "encoded"

    monkeypatch.setattr(passwords, "hash_password", hash_password)
    await pool.hash("correct horse")
    assert niceness == [min(os.getpriority(os.PRIO_PROCESS, 0) + passwords.NICENESS, 19)]


class Gate:
    """Stands in for the hashing: takes as long as the test wants, and counts who is in it."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, password: str) -> str:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.is_open.wait(20)
        with self._lock:
            self.inside -= 1
        return password


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate()
    monkeypatch.setattr(passwords, "hash_password", made)
    yield made
    made.is_open.set()


async def test_whoever_comes_when_the_queue_is_full_is_told_to_come_back(
    pool: PasswordPool, gate: Gate
) -> None:
    waiting = [asyncio.create_task(pool.hash(str(number))) for number in range(2 + MAX_WAITING)]
    await asyncio.sleep(0)
    started = time.monotonic()
    for hashing in (pool.hash("late"), pool.verify(None, "late")):
        with pytest.raises(Refused) as refused:
            await hashing
        assert refused.value.status == 503
        assert refused.value.retry_after == passwords.RETRY_AFTER
        assert "(auth.hash_concurrency)" in refused.value.detail
    assert time.monotonic() - started < 10, "the refusal had to wait itself"
    gate.is_open.set()
    assert await asyncio.gather(*waiting) == [str(number) for number in range(2 + MAX_WAITING)]
    assert gate.most == 2
    assert await pool.hash("again") == "again"


async def test_who_goes_away_makes_room(pool: PasswordPool, gate: Gate) -> None:
    waiting = [asyncio.create_task(pool.hash(str(number))) for number in range(2 + MAX_WAITING)]
    await asyncio.sleep(0)
    waiting[-1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[-1]
    last = asyncio.create_task(pool.hash("last"))
    await asyncio.sleep(0)
    gate.is_open.set()
    assert await last == "last"
    await asyncio.gather(*waiting[:-1])


async def test_at_the_end_what_only_waits_is_not_begun(gate: Gate) -> None:
    pool = PasswordPool(1)
    running, waiting = (asyncio.create_task(pool.hash(name)) for name in ("running", "waiting"))
    while not gate.inside:
        await asyncio.sleep(0.001)
    pool.close()
    gate.is_open.set()
    assert await running == "running"
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_the_hash_is_argon2id_with_the_library_s_defaults() -> None:
    assert hash_password("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_an_account_that_does_not_exist_costs_the_work_of_one_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, checked = argon2.PasswordHasher(), []

    class Hasher:
        def verify(self, encoded: str, password: str) -> bool:
            checked.append(encoded.rsplit("$", 2)[0])
            return real.verify(encoded, password)

    own = hash_password("x")
    monkeypatch.setattr("actions.passwords._hasher", Hasher())
    assert verify_password(own, "x")
    for tried in ("x", "nobody's password"):
        assert not verify_password(None, tried)
    assert checked == [own.rsplit("$", 2)[0]] * 3
