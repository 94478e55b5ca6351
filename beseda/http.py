"""uvicorn's HTTP protocol with what it leaves open: deadlines, caps on headers, and a whole hand-over to the socket.

Nothing waits for ever, header bytes are counted, bytes behind an upgrade request are the socket's, and an upgraded
connection leaves nothing behind.
"""

import asyncio
import enum
from collections import Counter
from typing import Any, ClassVar

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from api.problems import MEDIA_TYPE
from api.security import HEADERS
from protocol.codec import encode
from protocol.errors import Code, Refused, problem

HEADER_SECONDS = 10.0
PACE_SECONDS = 20.0
PACE_BYTES = 4096
"""A body has to bring so many bytes in each PACE_SECONDS."""

STUCK_SECONDS = 30.0
"""How long a client may read nothing of its answer."""

FRAMING_FACTOR = 16
"""How many bytes of chunk sizes and extensions each byte of a body may cost; alone in its chunk it costs 5 or more."""

LINGER_SECONDS = 2.0
DISCARD_BYTES = 32 * 1024 * 1024
"""What is read and thrown away of a request that was answered before its end, so that its client sees the answer."""


class Stage(enum.Enum):
    """What the bytes that come next belong to."""

    BETWEEN = enum.auto()
    HEADERS = enum.auto()
    BODY = enum.auto()


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection, until it ends or becomes a socket."""

    header_bytes = 32 * 1024
    refusals: ClassVar[Counter[Code]]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._stage = Stage.BETWEEN
        self._begun = 0
        self._header_received = 0
        self._body_received = 0
        self._body_total = 0
        self._framing = 0
        self._since_body = 0
        self._discarded = 0
        self._is_refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._served: RequestResponseCycle | None = None
        self._newest: RequestResponseCycle | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected; its request has to follow in time."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone. Of pipelined requests uvicorn tells only the last one."""
        self._unwatch()
        self._catch_up()
        if self._served is not None and not self._served.response_complete:
            self._served.disconnected = True
            self._served.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads slower than we answer. One that reads nothing at all must not hold a file open for ever."""
        super().pause_writing()
        self._stuck = self.loop.call_later(STUCK_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client read."""
        self._catch_up()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Bytes of requests; behind an upgrade request, of what was upgraded to."""
        if self._is_refused:
            self._discard(len(data))
            return
        self._unset_keepalive_if_required()
        stage, begun, body = self._stage, self._begun, self._body_total
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._upgrade(data[stop.args[0] :])
            return
        except httptools.HttpParserError as error:
            refusal = error.__context__
            self._refuse(
                refusal if isinstance(refusal, Refused) else Refused("malformed", "This is no HTTP request.")
            )
            return
        if self._stage is Stage.HEADERS:
            self._count_header(len(data), stage, self._begun - begun)
        elif self._stage is stage is Stage.BODY and self._begun == begun:
            self._count_framing(len(data), self._body_total - body)
        self._watch()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request's first byte."""
        super().on_message_begin()
        self._stage = Stage.HEADERS
        self._begun += 1
        self._header_received = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; behind a chunked body a trailer, which nobody here reads and so none is kept."""
        if self._stage is not Stage.BODY:
            super().on_header(name, value)
            return
        self._header_received += len(name) + len(value) + 4
        if self._header_received > self.header_bytes:
            raise self._too_large()

    def on_headers_complete(self) -> None:
        """A request's last header: it is served, unless the parser is about to stop at an upgrade.

        It must have one Host, save in HTTP/1.0 (RFC 9112, section 3.2).
        """
        self._stage = Stage.BODY
        self._body_received = self._body_total = self._framing = self._since_body = 0
        self._unwatch()
        self._header_received = len(self.url) + sum(
            len(name) + len(value) + 4 for name, value in self.headers
        )
        if self._header_received > self.header_bytes:
            raise self._too_large()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            # Whoever forwards it may take another one for it than we do.
            raise Refused("malformed", "A request names its host once.")
        if self.parser.should_upgrade():
            self.scope["method"] = self.parser.get_method().decode("ascii")
            self.scope["http_version"] = self.parser.get_http_version()
            return
        super().on_headers_complete()
        self._newest = self.cycle

    def on_body(self, body: bytes) -> None:
        """A piece of a request's body."""
        self._body_received += len(body)
        self._body_total += len(body)
        if self.cycle.response_complete:
            self._discard(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request's last byte."""
        self._stage = Stage.BETWEEN
        self._unwatch()
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._served = cycle
        super()._start_asgi_task(cycle, app)

    # Upgrades.

    def _should_upgrade(self) -> bool:
        # An upgrade within HTTP/1.0 is to be ignored (RFC 9110, section 7.8), and HTTP/2.0 is none of ours.
        return self.scope["http_version"] == "1.1" and super()._should_upgrade()

    def _upgrade(self, rest: bytes) -> None:
        """The parser stopped behind a request that asks for another protocol; `rest` is what came after it."""
        if self._is_answering():
            # An earlier request's answer needs this connection still: it closes with it.
            self._close_after_answer()
        elif self._should_upgrade():
            self._hand_over(rest)
        elif self.scope["method"] == "CONNECT":
            self._refuse(Refused("malformed", "This is no proxy."))
        else:
            self._ignore_upgrade(rest)

    def _hand_over(self, rest: bytes) -> None:
        """Make the connection the hub's, and let go of it so that no cycle keeps this object alive."""
        self._unwatch()
        # The end of an earlier answer may wait in the transport still; that its client reads is the hub's to see now.
        self._catch_up()
        self.connections.discard(self)
        assert self.ws_protocol_class is not None
        protocol = self.ws_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        transport = self.transport
        protocol.connection_made(transport)
        if self.flow.write_paused:
            # The transport has told us, and tells nobody again.
            protocol.pause_writing()
        protocol.data_received(self._head(self.headers))
        if rest and not transport.is_closing():
            protocol.data_received(rest)
        transport.set_protocol(protocol)
        self.parser = self.flow = self.scope = self.headers = self.transport = None  # type: ignore[assignment]
        self.cycle = self._served = self._newest = None  # type: ignore[assignment]

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Serve a request for a protocol that we don't speak as if it had not asked (RFC 9110, section 7.8).

        Java's client, say, asks for `h2c` with every request. The parser takes what follows such a request for the
        other protocol's, body included, so it reads the request again without the header.
        """
        kept = [(name, value) for name, value in self.headers if name not in (b"upgrade", b"http2-settings")]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._stage = Stage.BETWEEN
        self.data_received(self._head(kept) + rest)

    def _head(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        version = b" HTTP/" + self.scope["http_version"].encode()
        lines = [self.scope["method"].encode() + b" " + self.url + version]
        lines += [name + b": " + value for name, value in headers]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    # Deadlines and caps.

    def _watch(self) -> None:
        """See to it that what the client owes us comes in time. A clock that runs already goes on running."""
        if self._deadline is not None or self.transport.is_closing():
            return
        if self._stage is Stage.BODY:
            self._body_received = 0
            self._deadline = self.loop.call_later(PACE_SECONDS, self._check_pace)
        elif self._stage is Stage.HEADERS or not self._is_answering():
            self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _catch_up(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _check_pace(self) -> None:
        self._deadline = None
        # While we don't read, it is not the client that is slow.
        if self._body_received < PACE_BYTES and not self.flow.read_paused:
            self.transport.close()
        self._watch()

    def _count_header(self, received: int, stage: Stage, begun: int) -> None:
        """Bound what the parser keeps of headers that have not ended yet.

        Where a request began in the middle of what was received, how much of that is its own is not known; but that
        is one read from the socket at most.
        """
        if begun == 0:
            self._header_received += received
        elif begun == 1 and stage is Stage.BETWEEN:
            self._header_received = received
        if self._header_received > self.header_bytes:
            self._refuse(self._too_large())

    def _count_framing(self, received: int, body: int) -> None:
        """Bound what comes beside a chunked body: sizes, extensions, trailers. The parser keeps an unfinished one.

        Of what was received together with a piece of the body, how much came after it is not known; but that is one
        read from the socket at most.
        """
        self._framing += received - body
        self._since_body = 0 if body else self._since_body + received
        if self.transport.is_closing():
            return
        if self._since_body > self.header_bytes:
            self._refuse(self._too_large())
        elif self._framing > self.header_bytes + FRAMING_FACTOR * self._body_total:
            self._refuse(Refused("malformed", "The body's chunks bring too little for what is around it."))

    def _discard(self, received: int) -> None:
        self._discarded += received
        if self._discarded > DISCARD_BYTES:
            self.transport.abort()

    # Refusals below HTTP.

    def _is_answering(self) -> bool:
        return self._newest is not None and not self._newest.response_complete

    def _refuse(self, refusal: Refused) -> None:
        """Answer a request that cannot be read, and close: what follows it cannot be read either."""
        if self.pipeline and self.cycle.more_body:
            # It waits behind others, and will never be whole: it is not begun.
            self.pipeline.popleft()
            before = self.pipeline[0][0] if self.pipeline else self._served
            assert before is not None
            self.cycle = self._newest = before
        if self._is_answering():
            if self.cycle.response_started or not self.cycle.more_body:
                self._close_after_answer()
                return
            # To whoever reads the body, the client is gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._unwatch()
        self._is_refused = True
        if not self._was_answered_early():
            self.refusals[refusal.code] += 1
            self.transport.write(self._answer(refusal))
        # Closed at once, with bytes unread, the connection would be reset and the answer lost on its way.
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._deadline = self.loop.call_later(LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()

    def _was_answered_early(self) -> bool:
        """Whether the request whose body is being read has its answer: a second one would be another request's."""
        newest = self._newest
        if self._stage is not Stage.BODY or newest is None:
            return False
        return newest.scope is self.scope and newest.response_complete

    def _close_after_answer(self) -> None:
        self.cycle.keep_alive = False
        self._is_refused = True

    def _answer(self, refusal: Refused) -> bytes:
        body = encode(problem(refusal))
        headers = {
            **HEADERS,
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        lines = [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
        lines += [f"{name.lower()}: {value}\r\n".encode() for name, value in headers.items()]
        return STATUS_LINE[refusal.status] + b"".join(lines) + b"\r\n" + body

    def _too_large(self) -> Refused:
        limit = f"{self.header_bytes} bytes at most (limits.header_bytes)"
        return Refused("headers_too_large", f"The URL and headers may have {limit}.")


def protocol_class(header_bytes: int, refusals: Counter[Code] | None = None) -> type[HttpProtocol]:
    """The protocol with this cap, which counts its `refusals` there.

    uvicorn makes its instances, so what they need to know is in the class.
    """
    members = {"header_bytes": header_bytes, "refusals": Counter() if refusals is None else refusals}
    return type("HttpProtocol", (HttpProtocol,), members)
