"""The generator's sockets: they count what they are brought, and the senders among them go on sending."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

from bench.dialects import NUMBER, NUMBER_BYTES, PING_BYTES, Dialect

LOGIN_SECONDS = 60.0
LOGINS_AT_ONCE = 50


class Client(asyncio.Protocol):
    """A socket that logs in, counts deliveries and answers pings."""

    def __init__(self, dialect: Dialect, credential: str, conversation: str) -> None:
        self.credential = credential
        self.conversation = conversation
        self.deliveries = 0
        self.ready: asyncio.Future[None] | None = None
        """Set once the login is through; or an OSError."""
        self._dialect = dialect
        self._is_ready = False
        self._lost: str | None = None
        self._steps: list[tuple[bytes, bytes]] = []
        self._rest = b""
        self._keep = max(NUMBER_BYTES, PING_BYTES, len(dialect.delivery)) - 1

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        port = transport.get_extra_info("peername")[1]
        self._steps = list(self._dialect.login(port, self.credential, self.conversation))
        self.transport.write(self._steps[0][0])

    def data_received(self, data: bytes) -> None:
        if not self._is_ready:
            data = self._log_in(data)
        rest = self._rest
        if rest:
            data = rest + data
        self._count(data, len(rest))
        # Enough of the end to complete what was cut in two.
        self._rest = data[-self._keep :]

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = f"a socket was lost ({exc or 'closed'}), its last bytes {self._rest[-200:]!r}"
        if self.ready is not None and not self.ready.done():
            self.ready.set_exception(OSError(self._lost))

    def check(self) -> None:
        """Raises RuntimeError where the socket was lost."""
        if self._lost is not None:
            raise RuntimeError(self._lost)

    def _log_in(self, data: bytes) -> bytes:
        """Go on with the login; what came behind it."""
        self._rest += data
        while self._steps:
            _, found, behind = self._rest.partition(self._steps[0][1])
            if not found:
                return b""
            self._rest = behind
            del self._steps[0]
            if self._steps:
                self.transport.write(self._steps[0][0])
        self._is_ready = True
        data, self._rest = self._rest, b""
        if self.ready is not None and not self.ready.done():
            self.ready.set_result(None)
        return data

    def _count(self, data: bytes, old: int) -> None:
        """Count what ends behind the first `old` bytes: those have been looked at."""
        delivery = self._dialect.delivery
        self.deliveries += data.count(delivery, max(0, old - len(delivery) + 1))
        if pongs := self._dialect.pongs(data, max(0, old - PING_BYTES + 1)):
            self.transport.write(pongs)


class Sampler(Client):
    """A client that times each delivery. `sent` has, by sender and number, when each message was sent."""

    def __init__(
        self, dialect: Dialect, credential: str, conversation: str, sent: Sequence[Sequence[float]]
    ) -> None:
        super().__init__(dialect, credential, conversation)
        self.seconds: list[float] = []
        self._sent = sent

    def _count(self, data: bytes, old: int) -> None:
        super()._count(data, old)
        now = time.perf_counter()
        for found in NUMBER.finditer(data, max(0, old - NUMBER_BYTES + 1)):
            self.seconds.append(now - self._sent[int(found[1])][int(found[2])])


class Sender(Client):
    """A client that sends a message for each ACK, so that `outstanding` are under way; with 0 no more."""

    def __init__(self, dialect: Dialect, number: int, credential: str, conversation: str) -> None:
        super().__init__(dialect, credential, conversation)
        self.outstanding = 0
        self.acks = 0
        self.seconds: list[float] = []
        """How long each ACK took. ACKs come in order."""
        self.sent: list[float] = []
        self._number = number
        self._ack = dialect.ack(number, conversation)
        self._keep = max(self._keep, len(self._ack) - 1)

    def send(self, count: int) -> None:
        """Send so many messages in one write."""
        first = len(self.sent)
        self.transport.write(
            b"".join(
                self._dialect.message(self._number, number, self.credential, self.conversation)
                for number in range(first, first + count)
            )
        )
        self.sent += [time.perf_counter()] * count

    def _count(self, data: bytes, old: int) -> None:
        super()._count(data, old)
        acks = data.count(self._ack, max(0, old - len(self._ack) + 1))
        if acks:
            now = time.perf_counter()
            self.seconds += [now - sent for sent in self.sent[self.acks : self.acks + acks]]
            self.acks += acks
            if self.outstanding:
                self.send(acks)


async def connect(clients: Iterable[Client], port: int) -> None:
    """Log all in, some at a time. Raises OSError where one isn't let in, and TimeoutError, which is one, in the end."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(LOGINS_AT_ONCE)

    async def one(client: Client) -> None:
        async with gate, asyncio.timeout(LOGIN_SECONDS):
            client.ready = loop.create_future()
            await loop.create_connection(lambda: client, "127.0.0.1", port)
            await client.ready

    await asyncio.gather(*(one(client) for client in clients))
