"""Rooms and dialogs: what every peer is asked to do."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from bench.generator import Plan, Seat, drive
from bench.peer import Peer
from bench.scale import Figures, Scale

Run = Callable[[Peer, Scale], Figures]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something to run against a peer."""

    name: str
    run: Run
    short: Collection[str] | None = None
    """The peers that the short form has it with; None for all."""


def room(members: int, senders: int, outstanding: int) -> Run:
    """One room in which everybody is connected, and some send."""

    def run(peer: Peer, scale: Scale) -> Figures:
        return _room(peer, scale, members, senders, outstanding, 0.0)

    return run


def paced_room(members: int, deliveries_per_s: float) -> Run:
    """One room with one sender who sends at a steady pace, well below what the server could do."""

    def run(peer: Peer, scale: Scale) -> Figures:
        return _room(peer, scale, members, 1, 0, deliveries_per_s / (members - 1))

    return run


def dialogs(pairs: int, outstanding: int) -> Run:
    """Dialogs, one side of each sending."""

    def run(peer: Peer, scale: Scale) -> Figures:
        with peer.serving(2 * pairs, [(2 * pair, 2 * pair + 1) for pair in range(pairs)]) as server:
            seats = [
                Seat(server.credentials[index], server.conversations[index // 2])
                for index in range(2 * pairs)
            ]
            return drive(
                Plan(
                    dialect=peer.dialect,
                    port=server.port,
                    pids=server.pids(),
                    senders=seats[0::2],
                    receivers=seats[1::2],
                    fan_out=1,
                    outstanding=outstanding,
                    seconds=scale.seconds,
                )
            )

    return run


def _room(peer: Peer, scale: Scale, members: int, senders: int, outstanding: int, rate: float) -> Figures:
    with peer.serving(members, [range(members)]) as server:
        seats = [Seat(credential, server.conversations[0]) for credential in server.credentials]
        return drive(
            Plan(
                dialect=peer.dialect,
                port=server.port,
                pids=server.pids(),
                senders=seats[:senders],
                receivers=seats[senders:],
                fan_out=members - 1,
                outstanding=outstanding,
                rate=rate,
                seconds=scale.seconds,
            )
        )


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("room of 200, 8 under way", room(200, 1, 8)),
        Scenario("room of 200, 1 under way", room(200, 1, 1), short=("beseda", "broadcast")),
        Scenario("room of 200, 8 senders", room(200, 8, 1), short=()),
        Scenario("room of 20, 8 under way", room(20, 1, 8), short=()),
        Scenario("room of 20, 8 senders", room(20, 8, 1), short=()),
        Scenario("room of 2000, 8 under way", room(2000, 1, 8), short=()),
        Scenario("room of 2000, 8 senders", room(2000, 8, 1), short=()),
        Scenario("room of 200, 10,000 deliveries/s", paced_room(200, 10_000), short=("beseda",)),
        Scenario("100 dialogs, 1 under way", dialogs(100, 1)),
        Scenario("100 dialogs, 4 under way", dialogs(100, 4), short=()),
        Scenario("1 dialog, 1 under way", dialogs(1, 1), short=("beseda",)),
    )
}
"""By name, in the order in which they are run."""
