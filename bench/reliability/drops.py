"""Clients dropped at random through minutes of traffic: in the end every one's log is the history.

Messages in overlapping groups and dialogs, members who come and go, clients that abort, half-close, stop reading,
break off in the middle of a frame or are cut off there by a proxy, stay away, or name another log; a restart by
SIGTERM and one by kill -9. Who is more than 300 events behind has to load over REST (`limits.resume_events`).
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.process import Server
from bench.reliability.history import History, Members
from bench.reliability.person import Person, Proxy, misbehave
from bench.rest import Rest
from bench.seed import Crowd, seed

SETTINGS = {"LIMITS__RESUME_EVENTS": "300"}
GROUP_SIZE = 10
SETTLE_SECONDS = 60.0
PROXIED = 0.3


@dataclass(frozen=True)
class Plan:
    """How many clients, for how long, and how wild: means in seconds."""

    clients: int = 200
    seconds: float = 600.0
    between_messages: float = 4.0
    between_drops: float = 12.0
    between_changes: float = 0.5
    proxy_bytes: int = 100_000
    seed: int = 20261123


SHORT = Plan(
    clients=16, seconds=6.0, between_messages=0.4, between_drops=1.2, between_changes=0.15, proxy_bytes=4000
)


@dataclass
class World:
    """The people, their conversations, and what is done to them."""

    plan: Plan
    server: Server
    crowd: Crowd
    groups: dict[int, list[Members]]
    chance: random.Random
    people: list[Person]
    changes: int = 0

    async def talk(self, person: Person) -> None:
        """Send now and then, online or not."""
        number = 0
        while True:
            await asyncio.sleep(self.chance.expovariate(1 / self.plan.between_messages))
            number += 1
            person.say(f"{person.user_id} says {number}: " + "слово " * self.chance.randrange(30))

    async def change(self, conversation_id: int, owner: int) -> None:
        """Rename the group, add and remove members; each to its end before the next, whatever the server does."""
        rest = Rest(self.server.port, self.crowd.tokens[self.crowd.ids.index(owner)])
        states = self.groups[conversation_id]
        path = f"/chats/{conversation_id}"
        pause = self.plan.between_changes * len(self.groups)
        while True:
            await asyncio.sleep(self.chance.expovariate(1 / pause))
            now = states[-1]
            others = [user for user in self.crowd.ids if user not in now]
            if len(now) < GROUP_SIZE // 2 or (
                others and self.chance.random() < 0.5 and len(now) < 2 * GROUP_SIZE
            ):
                one = self.chance.choice(others)
                step = _insist(rest, "POST", f"{path}/members", {"members": [one]})
                following = now | {one}
            elif self.chance.random() < 0.8:
                one = self.chance.choice(sorted(now - {owner}))
                step = _insist(rest, "DELETE", f"{path}/members/{one}")
                following = now - {one}
            else:
                step = _insist(rest, "PATCH", path, {"title": f"Title {len(states)}"})
                following = now
            try:
                await asyncio.shield(step)
            finally:
                # What was begun is finished, or nobody would know whether it happened.
                await step
                states.append(following)
                self.changes += 1

    def settled(self, history: History) -> bool:
        """Whether everybody has everything, and is done."""
        return all(
            person.is_live and not person.outbox and person.log.cursor >= history.last_for(person.user_id)
            for person in self.people
        )


def _insist(rest: Rest, method: str, path: str, body: object = None) -> "asyncio.Task[None]":
    """Ask until it is done. Each of these can be asked twice and happens once; a 404 says that it had."""

    async def ask() -> None:
        while True:
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                answer = await rest.call(method, path, body)
                if answer.status < 300 or (method == "DELETE" and answer.status == 404):
                    return
                if answer.status not in (429, 503):
                    raise RuntimeError(f"{method} {path} answered {answer.status}: {answer.body!r}")
            await asyncio.sleep(0.2)

    return asyncio.get_running_loop().create_task(ask())


async def run(folder: Path, plan: Plan) -> list[str]:
    """Run it; what was broken."""
    chance = random.Random(plan.seed)
    everyone = range(plan.clients)
    groups = [chance.sample(everyone, GROUP_SIZE) for _ in range(max(2, plan.clients // 5))]
    pairs = [[index, index + 1] for index in range(0, plan.clients - 1, 2)]
    # In a thread: it has a loop of its own.
    crowd = await asyncio.to_thread(seed, folder / "data", plan.clients, groups + pairs)
    states = {
        conversation_id: [frozenset(crowd.ids[index] for index in members)]
        for conversation_id, members in zip(crowd.conversations, groups + pairs, strict=True)
    }
    with Server(folder / "data", SETTINGS) as server:
        async with Proxy(server.port, chance, plan.proxy_bytes).running() as proxy:
            people = [
                Person(
                    user, token, proxy.port if chance.random() < PROXIED else server.port, server.port, chance
                )
                for user, token in zip(crowd.ids, crowd.tokens, strict=True)
            ]
            owned = dict(list(states.items())[: len(groups)])
            owners = dict(
                zip(crowd.conversations, (crowd.ids[members[0]] for members in groups), strict=False)
            )
            world = World(plan, server, crowd, owned, chance, people)
            return await _live(world, folder / "data", states, owners, proxy)


async def _live(
    world: World, data_dir: Path, states: dict[int, list[Members]], owners: dict[int, int], proxy: Proxy
) -> list[str]:
    plan, server, people = world.plan, world.server, world.people
    staying = [asyncio.create_task(person.stay()) for person in people]
    wild = [asyncio.create_task(world.talk(person)) for person in people]
    wild += [asyncio.create_task(world.change(group, owner)) for group, owner in owners.items()]
    wild += [asyncio.create_task(misbehave(person, plan.between_drops, world.chance)) for person in people]
    await _pass(plan.seconds / 3, [*staying, *wild])
    drained = await asyncio.to_thread(server.stop)
    server.start()
    await _pass(plan.seconds / 3, [*staying, *wild])
    server.kill()
    began = time.monotonic()
    await asyncio.to_thread(server.start)
    back = time.monotonic() - began
    await _pass(plan.seconds / 3, [*staying, *wild])
    # On a busy machine less happens in so many seconds.
    deadline = time.monotonic() + SETTLE_SECONDS
    while _emptiness(world, proxy) and time.monotonic() < deadline:
        await _pass(0.2, [*staying, *wild])
    for task in wild:
        task.cancel()
    await asyncio.gather(*wild, return_exceptions=True)
    proxy.stop_cutting()
    for person in people:
        person.is_away = False
        if person.wire is not None and person.wire.is_open:
            person.wire.transport.resume_reading()
    faults, history = await _settle(world, data_dir, states)
    for task in staying:
        task.cancel()
    await asyncio.gather(*staying, return_exceptions=True)
    for person in people:
        faults += history.compare(person.user_id, person.log) + _compare_sent(person, history)
    _report(world, history, proxy, drained, back)
    return faults + _emptiness(world, proxy)


async def _pass(seconds: float, tasks: list["asyncio.Task[None]"]) -> None:
    """Let it go on. None of the tasks ends by itself: one that does has failed."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _settle(
    world: World, data_dir: Path, states: dict[int, list[Members]]
) -> tuple[list[str], History]:
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        # The changes that were under way may still be told, and outboxes emptied.
        await asyncio.sleep(0.5)
        # Not in a thread: the loop then stands still, so that the states are those of the moment.
        if not any(person.outbox for person in world.people):
            history = History(data_dir, states)
            if world.settled(history):
                return history.faults, history
        if time.monotonic() > deadline:
            history = History(data_dir, states)
            late = [
                f"{person.log.name} is not done: {len(person.outbox)} unsent, at {person.log.cursor}"
                f" of {history.last_for(person.user_id)}, live: {person.is_live}"
                for person in world.people
                if not person.is_live or person.outbox or person.log.cursor < history.last_for(person.user_id)
            ]
            return [*history.faults, *late], history


def _compare_sent(person: Person, history: History) -> list[str]:
    """Every acknowledged message is there once, under the id it was acknowledged with."""
    stored = Counter(
        found.text
        for messages in history.messages.values()
        for found in messages.values()
        if found.sender_id == person.user_id
    )
    ids = {
        found.text: found.id
        for messages in history.messages.values()
        for found in messages.values()
        if found.sender_id == person.user_id
    }
    faults = [f"{text!r} is there {count} times" for text, count in stored.items() if count > 1]
    for temp_id, text in person.texts.items():
        if temp_id in person.acked and ids.get(text) != person.acked[temp_id]:
            faults.append(f"{temp_id} was acknowledged as {person.acked[temp_id]}, and is {ids.get(text)}")
    return faults


def _totals(world: World) -> Counter[str]:
    return sum((person.counts for person in world.people), Counter())


def _report(world: World, history: History, proxy: Proxy, drained: float, back: float) -> None:
    counts = _totals(world)
    drops = {
        name: counts[name]
        for name in ("abort", "half-close", "stall", "stall and abort", "half a frame", "away")
    }
    told = sum(len(person.log.told) + len(person.log.changes) for person in world.people)
    stored = sum(len(messages) for messages in history.messages.values())
    print(f"drops: {len(world.people)} clients, {world.plan.seconds:g} s, seed {world.plan.seed}")
    print(f"  {stored} messages, {world.changes} changes, {told} events told and compared")
    print(f"  drops {drops}, cut by the proxy {proxy.cuts}; {counts['connections']} connections,")
    print(
        f"  {counts['resumed']} resumed, {counts['resync']} resync; {counts['sent again']} sent again,"
        f" {sum(len(person.refused) for person in world.people)} refused"
    )
    print("  " + ", ".join(f"{name}: {count}" for name, count in counts.items() if name.startswith("closed")))
    print(f"  SIGTERM drained in {drained:.1f} s; after kill -9 it listened in {back:.1f} s")


def _emptiness(world: World, proxy: Proxy) -> list[str]:
    """It shows nothing unless all of it happened."""
    counts = _totals(world)
    wanted = ["abort", "half-close", "stall", "half a frame", "resumed", "resync", "sent again"]
    lacking = [f"nothing was tried of: {name}" for name in wanted if not counts[name]]
    if not proxy.cuts:
        lacking.append("the proxy cut nothing")
    if world.changes < 3:
        lacking.append("hardly any membership changed")
    return lacking
