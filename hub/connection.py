"""One socket: RFC 6455 by websockets' Sans-I/O protocol, between a transport and the hub."""

import asyncio
from typing import Any

from websockets.protocol import OPEN as PROTOCOL_OPEN
from websockets.protocol import SEND_EOF
from websockets.server import ServerProtocol

from actions import audit
from actions.actor import Actor
from hub import handshake
from hub.endpoint import State
from hub.inbox import MAX_CONTROL_BYTES
from hub.incoming import REFUSED_SECONDS, SLOW_TURN_BYTES, Incoming
from hub.replay import Replay
from protocol import closing
from protocol.errors import Refused


class Connection(Incoming):
    """A socket of one user, from the handshake to its end.

    uvicorn constructs it, and gives it the upgrade request as its first data.
    """

    __slots__ = ("_response",)

    def __init__(
        self,
        config: object,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(server_state.connections, app_state["hub"])
        self._response = b""

    # What asyncio and uvicorn call.

    def data_received(self, data: bytes) -> None:
        """Bytes arrived: the upgrade request first, then frames."""
        match self.state:
            case State.OPEN if not self._early:
                self._receive(data)
            case State.HANDSHAKE:
                self._line_up(data)
            case State.ADMITTING | State.OPEN:
                # Behind the request, or what waits for its turn. Until there is something, an end of the stream is to
                # be seen: who has gone must not be let in.
                self._early += data
                self._transport.pause_reading()
            case State.CLOSING if len(data) > SLOW_TURN_BYTES:
                # This is more than an answer to our close frame, and nobody has to read it.
                self._end()
            case State.CLOSING:
                self._inbox.split(data, self._protocol)  # Nothing that comes now counts.
                if SEND_EOF in self._protocol.data_to_send():
                    self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        super().connection_lost(exc)
        self.actor = Actor(self.actor.user_id, self.actor.session_id)  # no cycle may be left

    def shutdown(self) -> None:
        """uvicorn stops. The hub has closed its sockets before; this is for those still shaking hands."""
        if self.state is State.OPEN:
            self.close(closing.RESTART, "the server restarts")
        elif self.state in (State.HANDSHAKE, State.ADMITTING):
            self._transport.abort()

    # What the hub calls.

    def open(self, greeting: list[bytes]) -> None:
        """The hub admitted the socket: complete the handshake, and send the first frames with it in one write."""
        # A fresh one: the handshake's would keep the request and its headers alive.
        max_size = self.hub.settings.frame_bytes + MAX_CONTROL_BYTES
        self._protocol = ServerProtocol(state=PROTOCOL_OPEN, max_size=max_size, logger=handshake.quiet)
        self.state = State.OPEN
        self._await_reading()
        for part in (self._response, *greeting):
            self.add(part)
        self._response = b""
        if self._early:
            # Not now: the hub is in the middle of telling a commit.
            self._take_turn_soon()
        else:
            self._transport.resume_reading()

    def reject(self, refusal: Refused) -> None:
        """Answer the upgrade with an HTTP error."""
        if self.state is State.ADMITTING:
            self.hub.counts.turned_away[refusal.code] += 1
            self._depart(handshake.refuse(refusal), is_last=True)

    # The handshake.

    def _line_up(self, request: bytes) -> None:
        self.state = State.ADMITTING
        try:
            self.hub.admission.line_up(self, request)
        except Refused as refusal:
            self.reject(refusal)

    def shake_hands(self, request: bytes) -> None:
        """Answer the upgrade request, or have the store asked whether it may be."""
        if not self.is_waiting:
            return
        peer = self._transport.get_extra_info("peername") or ("",)
        scheme = "https" if self._transport.get_extra_info("sslcontext") else "http"
        rules = self.hub.rules
        try:
            self.hub.require_room()
            accepted = handshake.accept(
                request, str(peer[0]), scheme, self.hub.settings, rules.tokens, rules.tickets
            )
            rules.rates.call(accepted.claims.user_id)
        except Refused as refusal:
            if refusal.code == "rate_limited":
                user_id = accepted.claims.user_id
                audit.refused("rate_limited", user_id=user_id, address=accepted.address, why=refusal.detail)
                self.hub.timers.call_later(REFUSED_SECONDS, self.reject, refusal)
            else:
                self.reject(refusal)
            return
        self._response = accepted.response
        self.actor = Actor(accepted.claims.user_id, accepted.claims.session_id, self)
        if accepted.since is not None:
            self.replay = Replay(accepted.since)
        self.hub.admission.admit(self)

    # The end.

    def left(self) -> None:
        """Frames reach the client no more."""
        super().left()
        self.hub.detach(self)
