"""Steps of clients on their sockets."""

from tests.simulation.step import LENGTHS, Step, client_of, one_of
from tests.simulation.world import World


def connect(world: World, step: Step) -> None:
    client = client_of(world, step)
    if client.wire is None:
        client.connect(world.server)


def cut(world: World, step: Step) -> None:
    client_of(world, step).cut(is_noticed=step.what % 3 > 0)


def come_back(world: World, step: Step) -> None:
    """The connection breaks, and the client is back at once."""
    client = client_of(world, step)
    client.cut(is_noticed=step.what % 2 > 0)
    client.connect(world.server)


def hang_up(world: World, step: Step) -> None:
    client_of(world, step).hang_up()


def forget(world: World, step: Step) -> None:
    """The client is installed anew, with its outbox kept."""
    client = client_of(world, step)
    client.cut(is_noticed=True)
    client.cursor = None
    client.held.clear()


def say(world: World, step: Step) -> None:
    client = client_of(world, step)
    if client.held:
        client.say(
            one_of(sorted(client.held), step.what), f"{len(client.drafts)}" + "x" * LENGTHS[step.amount % 4]
        )


def repeat(world: World, step: Step) -> None:
    client = client_of(world, step)
    if client.drafts:
        client.send(one_of(sorted(client.drafts), step.what), read=False)


def read(world: World, step: Step) -> None:
    client = client_of(world, step)
    ids = [number for held in client.held.values() for number in held.messages]
    if ids:
        message_id = one_of(sorted(ids), step.what)
        conversation_id = next(number for number, held in client.held.items() if message_id in held.messages)
        client.tell({"type": "read", "conversation_id": conversation_id, "message_id": message_id})


def pace(world: World, step: Step) -> None:
    client = client_of(world, step)
    client.reads_slowly = not client.reads_slowly
