"""The generator counts what a server did, and finds out where it did something else."""

from collections.abc import Sequence

import pytest

from bench.clients import Client, Sampler, Sender
from bench.dialects import DIALECTS, text
from bench.generator import Plan, Seat, drive
from bench.peer import Running
from bench.peers import PEERS


def plan(server: Running, dialect: str, fan_out: int, **how: float) -> Plan:
    seats = [Seat(credential, server.conversations[0]) for credential in server.credentials]
    return Plan(
        dialect,
        server.port,
        server.pids(),
        senders=seats[:2],
        receivers=seats[2:],
        fan_out=fan_out,
        outstanding=int(how.get("outstanding", 2)),
        rate=how.get("rate", 0.0),
        seconds=0.2,
        patience=how.get("patience", 30.0),
    )


@pytest.mark.parametrize("name", ["beseda", "prototype"])
def test_a_room_is_driven_and_every_message_reaches_every_other_member(name: str) -> None:
    peer = PEERS[name]
    with peer.serving(5, [range(5)]) as server:
        figures = drive(plan(server, peer.dialect, 4))
    assert figures["messages_per_s"] > 0
    assert figures["deliveries_per_s"] == pytest.approx(4 * figures["messages_per_s"], rel=0.2)
    assert 0 < figures["ack_p50_ms"] <= figures["ack_p99_ms"]
    assert 0 < figures["delivery_p50_ms"] <= figures["delivery_p99_ms"]
    assert figures["cpu_us_per_message"] > figures["cpu_us_per_delivery"] > 0
    assert figures["server_cpu"] > 0
    assert figures["generator_cpu"] > 0
    assert figures["rss_mib"] > 10


def test_a_run_in_which_not_everybody_was_reached_has_no_figures() -> None:
    peer = PEERS["prototype"]
    with peer.serving(5, [range(4)]) as server, pytest.raises(RuntimeError, match="somebody had no answer"):
        drive(plan(server, peer.dialect, 4, rate=100.0, patience=0.2))


def test_a_run_in_which_somebody_got_nothing_has_no_figures_though_the_sum_is_right() -> None:
    peer = PEERS["prototype"]
    members, outsider = 34, 34
    with peer.serving(members + 1, [range(members)]) as server:
        seats = [Seat(credential, server.conversations[0]) for credential in server.credentials]
        # Of so many every other one is timed: the outsider is not, and the warm-up doesn't wait for it.
        receivers = [seats[1], seats[outsider], *seats[2:members]]
        whole = Plan(
            peer.dialect,
            server.port,
            server.pids(),
            seats[:1],
            receivers,
            members - 1,
            seconds=0.1,
            patience=1.0,
        )
        with pytest.raises(RuntimeError, match=r"0 deliveries to a client, \d+ expected"):
            drive(whole)


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return "127.0.0.1", 1


def fed(client: Client, data: bytes, size: int) -> Wire:
    """The client's transport, once the client has had the data in pieces of so many bytes."""
    wire = Wire()
    client.connection_made(wire)
    for start in range(0, len(data), size):
        client.data_received(data[start : start + size])
    return wire


DELIVERY = b'\x81\x7e\x00\x99{"type":"new_message","message":{"text":"%s"}}'
ACK = b'\x81\x7e\x00\x89{"type":"message_sent","message":{"text":"%s"}}'
PING = b"\x89\x08\x00\x00\x00\x00\x00\x00\x00\x07"


@pytest.mark.parametrize("size", [1, 2, 7, 50, 1000])
def test_what_is_cut_in_pieces_is_counted_once(size: int) -> None:
    hello = b'HTTP/1.1 101\r\n\r\n\x81\x10{"type":"hello"}'
    data = hello + b"".join(DELIVERY % text(0, n) + ACK % text(0, n) + PING for n in range(20))
    sent: Sequence[Sequence[float]] = [[0.0] * 20]
    dialect = DIALECTS["plain"]
    client, sampler = Client(dialect, "1", "1"), Sampler(dialect, "1", "1", sent)
    sender = Sender(dialect, 0, "0", "1")
    sender.sent = [0.0] * 20
    for one in (client, sampler, sender):
        pongs = b"".join(fed(one, data, size).written[1:])
        assert one.deliveries == 20
        assert pongs.count(b"\x8a\x88\0\0\0\0" + PING[2:]) == 20
    assert len(sampler.seconds) == 40  # its text stands in the ACKs, too, which only senders get
    assert sender.acks == len(sender.seconds) == 20


def test_every_text_is_as_long_as_the_other() -> None:
    assert {len(text(0, 0)), len(text(199, 9_999_999))} == {42}
