"""Steps over REST, by people who may have no device on."""

from collections.abc import Callable
from typing import Any

from actions import conversations, members, messages, profile, receipts
from actions.actor import Actor
from actions.rules import Rules
from protocol.commands import AddMembers, CreateConversation, Draft, Rename, SetRole, UpdateProfile
from protocol.errors import Refused
from storage import Transaction
from tests.simulation.server import NAMES
from tests.simulation.step import LENGTHS, Step, client_of, one_of
from tests.simulation.world import World

REFUSALS = {"not_found", "forbidden", "invalid", "last_owner", "username_taken", "unavailable"}


def _act(world: World, step: Step, action: Callable[[Transaction, Rules, Actor], Any]) -> None:
    actor, server = _actor(step), world.server

    def answer(result: Any, refusal: Refused | None) -> None:
        assert refusal is None or refusal.code in REFUSALS, refusal

    if not server.is_stopping:
        server.write(actor, lambda tx: action(tx, server.rules, actor), answer)


def post(world: World, step: Step) -> None:
    at, text = _conversation(world, step), "y" * LENGTHS[step.amount % 4] + "y"
    _act(
        world,
        step,
        lambda tx, rules, actor: messages.send(tx, rules, actor, at, Draft(text=text), None, read=False),
    )


def post_draft(world: World, step: Step) -> None:
    """A client sends one of its messages over REST, under the same temp_id."""
    client = client_of(world, step)
    if not client.drafts:
        return
    temp_id = one_of(sorted(client.drafts), step.what)
    draft, server = client.drafts[temp_id], world.server

    def unit(tx: Transaction) -> Any:
        found = Draft(text=draft.text)
        return messages.send(
            tx, server.rules, client.actor, draft.conversation_id, found, temp_id, read=False
        )

    def answer(result: Any, refusal: Refused | None) -> None:
        client.posted(temp_id, result[0] if refusal is None else None)

    server.write(client.actor, unit, answer)


def make(world: World, step: Step) -> None:
    others = [number for number in range(1, len(NAMES) + 1) if step.what >> number & 1]
    is_dialog = step.amount % 3 == 0 and len(others) == 1
    command = CreateConversation(type="dialog" if is_dialog else "group", members=others)
    _act(world, step, lambda tx, rules, actor: conversations.create(tx, rules, actor, command))


def add(world: World, step: Step) -> None:
    at, command = _conversation(world, step), AddMembers(members=[1 + step.amount % len(NAMES)])
    _act(world, step, lambda tx, rules, actor: members.add(tx, rules, actor, at, command))


def remove(world: World, step: Step) -> None:
    at, user_id = _conversation(world, step), 1 + step.amount % len(NAMES)
    _act(world, step, lambda tx, rules, actor: members.remove(tx, actor, at, user_id))


def promote(world: World, step: Step) -> None:
    at, user_id = _conversation(world, step), 1 + step.amount % len(NAMES)
    _act(
        world, step, lambda tx, rules, actor: members.set_role(tx, actor, at, user_id, SetRole(role="owner"))
    )


def title(world: World, step: Step) -> None:
    at, command = _conversation(world, step), Rename(title=f"title {step.amount % 5}")
    _act(world, step, lambda tx, rules, actor: conversations.rename(tx, rules, actor, at, command))


def rename(world: World, step: Step) -> None:
    actor, server = _actor(step), world.server
    command = UpdateProfile(username=f"{NAMES[actor.user_id - 1]}{step.amount % 5}")

    def answer(result: Any, refusal: Refused | None) -> None:
        assert refusal is None or refusal.code in REFUSALS, refusal

    server.serve(
        lambda: profile.update(
            server.store, server.rules, _NoPasswords(), server.hub.online, actor, command, "203.0.113.1"
        ),
        answer,
    )


def read_elsewhere(world: World, step: Step) -> None:
    at = _conversation(world, step)
    _act(world, step, lambda tx, rules, actor: receipts.read(tx, rules, actor, at, world.history.tip))


class _NoPasswords:
    """Nobody changes an email here."""

    async def hash(self, password: str) -> str:
        raise NotImplementedError

    async def verify(self, encoded: str | None, password: str) -> bool:
        raise NotImplementedError


def _actor(step: Step) -> Actor:
    number = 1 + step.who % len(NAMES)
    return Actor(number, number)


def _conversation(world: World, step: Step) -> int:
    return one_of(sorted(world.history.conversations()) or [1], step.what)
