"""A rough load: durable messages over dialogs, and deliveries in one room, with what they cost the server.

    python -m bench.load [--seconds S] [dialogs | room]

The generator masks with a key of zeros and counts instead of parsing, so that it is not what is measured; it
reports its own CPU beside the server's.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from bench.process import Server
from bench.seed import Crowd, seed
from bench.wire import masked

# Of one length, so that the tail kept of each read can complete either, and hold neither.
ACK = b'{"type":"message_sent"'
DELIVERY = b'{"type":"new_message",'
PING = b"\x89\x08"
TAIL = len(ACK) - 1
# So high that nobody comes near them, and not 0: what it costs to count is part of what is measured.
RATES = {
    "LIMITS__MESSAGES_PER_SECOND": "1000000",
    "LIMITS__MESSAGE_BURST": "1000000",
    "LIMITS__REQUESTS_PER_SECOND": "1000000",
    "LIMITS__REQUEST_BURST": "1000000",
}


class Client(asyncio.Protocol):
    """A socket that counts what it receives and answers pings."""

    def __init__(self, on_ack: Callable[["Client", int], None] | None = None) -> None:
        self.deliveries = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_ack = on_ack
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self.ready.done():
            if b'"hello"' not in data:
                self.ready.set_exception(RuntimeError(data.decode(errors="replace")))
                return
            self.ready.set_result(None)
            data = data.partition(b'"hello"')[2]
        data = self._rest + data
        self.deliveries += data.count(DELIVERY)
        if self._on_ack is not None:
            acks = data.count(ACK)
            if acks:
                self._on_ack(self, acks)
        at = data.find(PING)
        while 0 <= at <= len(data) - 10:
            self.transport.write(masked(0xA, data[at + 2 : at + 10]))
            at = data.find(PING, at + 10)
        # Enough of the end to complete a marker that was cut in two, and too little to count one twice.
        self._rest = data[at:] if at >= 0 else data[-TAIL:]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(RuntimeError("the connection was lost"))


async def connect(port: int, token: str, on_ack: Callable[[Client, int], None] | None = None) -> Client:
    """A socket that has had its hello."""
    _, client = await asyncio.get_running_loop().create_connection(lambda: Client(on_ack), "127.0.0.1", port)
    client.transport.write(
        f"GET /ws?token={token} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await asyncio.wait_for(client.ready, 30)
    return client


class Sender:
    """Keeps a number of messages under way on one socket, and notes how long each ACK took."""

    _numbers = itertools.count()

    def __init__(self, conversation_id: int, under_way: int) -> None:
        self.acks: list[float] = []
        self.under_way = under_way
        self.is_sending = True
        self._sent: list[float] = []
        self._conversation_id = conversation_id

    def start(self, client: Client) -> None:
        """Send the first messages."""
        self._send(client, self.under_way)

    def acknowledged(self, client: Client, count: int) -> None:
        """So many ACKs came; as many messages follow."""
        now = time.perf_counter()
        self.acks += [now - sent for sent in self._sent[:count]]
        del self._sent[:count]
        if self.is_sending:
            self._send(client, count)

    @property
    def waits(self) -> bool:
        """Whether an ACK is still to come."""
        return bool(self._sent)

    def _send(self, client: Client, count: int) -> None:
        out = []
        for _ in range(count):
            number = next(Sender._numbers)
            out.append(
                masked(
                    1,
                    b'{"type":"send_message","temp_id":"%032x","conversation_id":%d,'
                    b'"text":"Message number %d, and some words.","attachments":[]}'
                    % (number, self._conversation_id, number),
                )
            )
            self._sent.append(time.perf_counter())
        client.transport.write(b"".join(out))


async def measure(
    server: Server, senders: list[Sender], clients: list[Client], receivers: list[Client], seconds: float
) -> dict[str, float]:
    """Send for a while, wait for the last ACK and delivery, and reckon."""
    expected_per_message = len(receivers) // len(senders)
    cpu, own, start = server.cpu(), time.process_time(), time.perf_counter()
    for sender, client in zip(senders, clients, strict=True):
        sender.start(client)
    await asyncio.sleep(seconds)
    for sender in senders:
        sender.is_sending = False
    deadline = time.perf_counter() + 30
    while time.perf_counter() < deadline:
        messages = sum(len(sender.acks) for sender in senders)
        deliveries = sum(client.deliveries for client in receivers)
        if not any(sender.waits for sender in senders) and deliveries == messages * expected_per_message:
            break
        await asyncio.sleep(0.01)
    else:
        raise RuntimeError(f"{deliveries} deliveries of {messages} messages to {expected_per_message} each")
    took, cpu, own = time.perf_counter() - start, server.cpu() - cpu, time.process_time() - own
    acks = sorted(ack for sender in senders for ack in sender.acks)
    return {
        "messages_per_s": messages / took,
        "deliveries_per_s": deliveries / took,
        "cpu_us_per_message": cpu / messages * 1e6,
        "cpu_us_per_delivery": cpu / deliveries * 1e6,
        "ack_p50_ms": statistics.median(acks) * 1e3,
        "ack_p99_ms": acks[int(len(acks) * 0.99)] * 1e3,
        "server_cpu": cpu / took,
        "generator_cpu": own / took,
    }


async def dialogs(
    server: Server, crowd: Crowd, pairs: int, under_way: int, seconds: float
) -> dict[str, float]:
    """`pairs` dialogs, one side of each sending."""
    senders = [Sender(crowd.conversations[pair], under_way) for pair in range(pairs)]
    clients = [
        await connect(server.port, crowd.tokens[2 * pair], senders[pair].acknowledged)
        for pair in range(pairs)
    ]
    receivers = [await connect(server.port, crowd.tokens[2 * pair + 1]) for pair in range(pairs)]
    return await measure(server, senders, clients, receivers, seconds)


async def room(
    server: Server, crowd: Crowd, members: int, under_way: int, seconds: float
) -> dict[str, float]:
    """One room, one sender in it."""
    sender = Sender(crowd.conversations[0], under_way)
    client = await connect(server.port, crowd.tokens[0], sender.acknowledged)
    receivers = [await connect(server.port, token) for token in crowd.tokens[1:members]]
    return await measure(server, [sender], [client], receivers, seconds)


def main() -> None:
    """Run what the command line names, each on a server of its own, and print a line of figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenario", nargs="?", choices=["dialogs", "room"])
    parser.add_argument("--seconds", type=float, default=5.0)
    chosen = parser.parse_args()
    runs: dict[str, tuple[int, list[list[int]], Callable[[Server, Crowd], Any]]] = {
        "dialogs, 100 pairs, 1 under way each": (200, [[2 * pair, 2 * pair + 1] for pair in range(100)],
            lambda server, crowd: dialogs(server, crowd, 100, 1, chosen.seconds)),
        "dialogs, 1 pair, 1 under way": (2, [[0, 1]],
            lambda server, crowd: dialogs(server, crowd, 1, 1, chosen.seconds)),
        "room of 200, 1 sender, 8 under way": (200, [list(range(200))],
            lambda server, crowd: room(server, crowd, 200, 8, chosen.seconds)),
    }  # fmt: skip
    for name, (people, groups, run) in runs.items():
        if chosen.scenario and not name.startswith(chosen.scenario):
            continue
        with tempfile.TemporaryDirectory(prefix="beseda-load-") as folder:
            data_dir = Path(folder) / "data"
            crowd = seed(data_dir, people, groups)
            server = Server(data_dir, RATES)
            try:
                figures = uvloop.run(run(server, crowd))
            finally:
                server.stop()
        print(name)
        print("   " + "  ".join(f"{key} {value:,.2f}" for key, value in figures.items()), flush=True)


if __name__ == "__main__":
    main()
