"""What comes in on one socket: in turns, in order, a few under way; to the hub what is said, a refusal for the rest."""

import logging
from typing import TYPE_CHECKING, Any

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN as PROTOCOL_OPEN

from actions import audit
from actions.actor import Actor
from hub import frames
from hub.endpoint import State
from hub.inbox import BAD_FRAMES, PINGS, Inbox, TooBig, is_utf8
from hub.meter import FLOOD, Meter
from hub.outgoing import Outgoing
from protocol import closing
from protocol.codec import decode, parse_frame
from protocol.errors import Refused
from protocol.tracing import extra

if TYPE_CHECKING:
    from hub.hub import Hub

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 200

TURN_BYTES = 16 * 1024
"""So much of what a client sent is taken before it is others' turn. A read brings up to 256 KiB, which may be 16,000
frames: with twenty sockets that flood, others waited for seconds until they were heard. Less would part messages that
came together into commits of their own."""

SLOW_TURN_BYTES = 1024
"""So much of a client's whose last frames were all refused for their rate, and no more."""

REFUSED_SECONDS = 0.1
"""So long a client whose frames are all refused for their rate has to wait for its next turn, and one whose upgrade
is, for its answer."""


class Incoming(Outgoing):
    """The incoming half of a socket."""

    __slots__ = ("_early", "_held", "_inbox", "_is_turn_due", "_meter", "actor", "in_flight")

    def __init__(self, connections: set[Any], hub: "Hub") -> None:
        super().__init__(connections, hub)
        self._early = b""
        self._is_turn_due = False
        # The frames that wait for one that takes long; None while there is no such one.
        self._held: list[bytes | Frame] | None = None
        self._inbox = Inbox(hub.settings.frame_bytes)
        self._meter = Meter(hub.rules.rates)
        self.actor = Actor(0, 0, self)
        self.in_flight = 0

    # What the hub calls.

    def refuse(self, refusal: Refused, echo: dict[str, Any]) -> None:
        """Tell the client that its frame `echo` was refused."""
        if self.state is not State.OPEN:
            return
        self.hub.counts.refusals[refusal.code] += 1
        self.add(frames.error(refusal, echo))
        if self._meter.is_flood:
            self._expel(closing.FLOODING, f"{FLOOD} frames in a row were rate_limited")
        elif refusal.code in ("malformed", "invalid") and self._inbox.is_abuse(self.hub.timers.time()):
            self._expel(closing.ABUSE, f"{BAD_FRAMES} bad frames in a minute")

    def answered(self) -> None:
        """One of the socket's units of work is done."""
        self.in_flight -= 1
        if self.in_flight == MAX_IN_FLIGHT // 2:
            self._read_on()

    def asked(self) -> None:
        """One more unit of work is under way for the socket. Too many, and it has to wait."""
        self.in_flight += 1
        if self.in_flight == MAX_IN_FLIGHT:
            self._transport.pause_reading()

    def hold(self) -> None:
        """Take no more messages until `release`: the last one takes long, and they are handled in their order."""
        self._held = []

    def release(self) -> None:
        """Go on with the frames that had to wait."""
        held, self._held = self._held, None
        if held is None or self.state is not State.OPEN or self.hub.is_draining:
            return
        self._take_all(held)
        self._read_on()

    # In turns.

    def _may_go_on(self) -> bool:
        """Whether more may be taken: neither too much is under way for the client, nor too much held back."""
        return (
            self.state is State.OPEN
            and not self.hub.is_draining
            and self.in_flight < MAX_IN_FLIGHT
            and not self._holds_enough()
        )

    def _holds_enough(self) -> bool:
        held = self._held or ()
        return len(held) >= MAX_IN_FLIGHT or sum(map(_size, held)) > self.hub.settings.frame_bytes

    def _read_on(self) -> None:
        if not self._is_turn_due and self._may_go_on():
            if self._early:
                self._take_turn_soon()
            else:
                self._transport.resume_reading()

    def _take_turn_soon(self, delay: float = 0.0) -> None:
        self._transport.pause_reading()
        if not self._is_turn_due:
            self._is_turn_due = True
            self.hub.timers.call_later(delay, self._take_turn)

    def _take_turn(self) -> None:
        """Go on with what was read before. Nothing is read until it is all taken: uvloop would read first."""
        self._is_turn_due = False
        if self._may_go_on():
            early, self._early = self._early, b""
            self._transport.resume_reading()
            if early:
                self._receive(early)

    def _receive(self, data: bytes) -> None:
        size = SLOW_TURN_BYTES if self._meter.is_refusing else TURN_BYTES
        self._early = data[size:]
        frames_in = self._inbox.split(data if len(data) <= size else data[:size], self._protocol)
        if self._held is None:
            self._take_all(frames_in)
        else:
            self._hold_back(self._held, frames_in)
        if self.state is State.OPEN:
            if self._meter.is_refusing:
                self._take_turn_soon(REFUSED_SECONDS)
            elif self._early:
                self._take_turn_soon()

    def _take_all(self, frames_in: list[bytes | Frame]) -> None:
        try:
            self._take_each(frames_in)
        except Exception:
            # Left open, it would have lost frames that the client waits for; broken off, nobody would know why.
            logger.exception("What a client sent was not handled", extra=extra(self))
            self.close(closing.BUG, "an error in the server")

    def _take_each(self, frames_in: list[bytes | Frame]) -> None:
        for place, frame in enumerate(frames_in, 1):
            if isinstance(frame, bytes):
                self._read(frame)
            else:
                self._take(frame)
            if self.state is not State.OPEN:
                return
            if self._held is not None:
                self._hold_back(self._held, frames_in[place:])
                return
        if self._protocol.state is not PROTOCOL_OPEN:
            # The client closed, or broke the protocol: what must be said is queued, and nothing else follows.
            self._finish()
            return
        for pong in self._protocol.data_to_send():
            self.add(pong)

    def _hold_back(self, held: list[bytes | Frame], frames_in: list[bytes | Frame]) -> None:
        """Keep frames for later, but for pings and pongs: both sides are alive, though something takes long."""
        for frame in frames_in:
            if isinstance(frame, Frame) and frame.opcode in (Opcode.PING, Opcode.PONG):
                self._take(frame)
            else:
                held.append(frame)
        if self.state is not State.OPEN:
            return
        if self._protocol.state is PROTOCOL_OPEN:
            for pong in self._protocol.data_to_send():
                self.add(pong)
        if self._holds_enough():
            self._transport.pause_reading()

    def _take(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.TEXT | Opcode.CONT:
                try:
                    message = self._inbox.add(frame)
                except TooBig as error:
                    self.close(closing.TOO_BIG, str(error))
                    return
                if message is not None:
                    self._read(message)
            case Opcode.BINARY:
                self.close(closing.BINARY, "text frames only")
            case Opcode.PING:
                # The library has the pong ready.
                if self._inbox.is_ping_flood(self.hub.timers.time()):
                    self._expel(closing.ABUSE, f"more than {PINGS} pings in a second")
            case Opcode.PONG:
                proved = self.pulse.pong(bytes(frame.data))
                if proved:
                    self.hub.proofs.add(self.actor, proved)
                if self.pulse.handed:
                    self.pulse.beat(self.hub.timers.time())

    def _read(self, message: bytes) -> None:
        echo: dict[str, Any] = {}
        user_id = self.actor.user_id
        try:
            try:
                echo = decode(message)
                command = parse_frame(echo)
            except Refused as refusal:
                if refusal.code == "malformed" and not is_utf8(message):
                    self.close(closing.NOT_UTF8, "not UTF-8")
                    return
                self._meter.pay(user_id, None)
                raise
            self._meter.pay(user_id, command)
            self.hub.answering.handle(self, command, echo)
        except Refused as refusal:
            self.refuse(refusal, echo)

    # The end.

    def _expel(self, code: int, why: str) -> None:
        audit.refused(
            "expelled",
            user_id=self.actor.user_id,
            session_id=self.actor.session_id,
            connection_id=self.number,
            code=code,
            why=why,
        )
        self.close(code, why)

    def left(self) -> None:
        """Frames reach the client no more."""
        super().left()
        self._held = None

    def _give_up(self) -> None:
        # While frames are held back the pong may lie behind them, unread. The next tick asks again.
        if self._held is None:
            super()._give_up()

    def _finish(self) -> None:
        # If more lies behind, the client's close frame does as well: who knows how far.
        unread, self._early = self._early, b""
        self._send_last(is_unread=bool(unread))


def _size(frame: bytes | Frame) -> int:
    return len(frame if isinstance(frame, bytes) else frame.data)
