"""A client by the book (docs/protocol.md section 6): a cursor, an outbox, and what it holds of its conversations."""

import json
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame as SocketFrame
from websockets.frames import Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from actions.actor import Actor
from protocol.errors import Refused
from tests.simulation.history import Frame, History
from tests.simulation.loading import Loading
from tests.simulation.records import Draft, Heard, Held, Visit
from tests.simulation.server import Server
from tests.simulation.wire import Wire

BY_DESIGN = {None, 1000, 1005, 1006, 1012, 4008, 4509}
"""How a socket may end here, None without a close frame. 1011, for a missing pong, is told apart by its reason."""


class Client:
    """One device of a user's. Moves when the world has it move."""

    def __init__(self, user_id: int, name: str, history: History) -> None:
        self.actor = Actor(user_id, user_id)
        self.name = name
        self.cursor: int | None = None
        self.held: dict[int, Held] = {}
        self.drafts: dict[str, Draft] = {}
        """All ever written, by temp_id, oldest first."""
        self.visits: list[Visit] = []
        self.posts: list[tuple[str, Frame]] = []
        """What REST acknowledged, with its temp_id."""
        self.ends: list[int | None] = []
        """How its sockets ended: the close codes, None where there was none."""
        self.reads_slowly = False
        self.wire: Wire | None = None
        self.server: Server | None = None
        self._history = history
        self._stack: ClientProtocol | None = None
        self._loading: Loading | None = None
        self._waiting: list[Frame] = []
        self._is_open = self._is_live = self._has_loaded = False
        self._tip = 0

    @property
    def is_current(self) -> bool:
        """Whether the client has caught up with the live traffic, and all that it sent is answered."""
        is_live = self._is_open and self._loading is None and self._is_live
        return is_live and not any(draft.is_open for draft in self.drafts.values())

    # What it does.

    def connect(self, server: Server) -> None:
        """Open a socket, from the cursor on if there is one."""
        token = server.rules.tokens.issue_access(self.actor.user_id, self.actor.session_id)
        since = "" if self.cursor is None else f"&since={self.cursor}&log=simulated"
        self.wire, number = server.accept()
        self.server = server
        self._stack = ClientProtocol(parse_uri(f"ws://beseda.test/ws?token={token}{since}"))
        self._stack.send_request(self._stack.connect())
        self._is_live = self._has_loaded = False
        self.visits.append(Visit(number, self.cursor))
        self._write()

    def say(self, conversation_id: int, text: str) -> None:
        """Send a message; when there is no socket, later."""
        temp_id = f"{self.name}-{len(self.drafts)}"
        self.drafts[temp_id] = Draft(conversation_id, text)
        if self._is_open:
            self.send(temp_id, read=True)

    def send(self, temp_id: str, *, read: bool) -> None:
        """Send a message, for the first time or again."""
        draft = self.drafts[temp_id]
        frame = {"type": "send_message", "temp_id": temp_id, "conversation_id": draft.conversation_id}
        self.tell({**frame, "text": draft.text, "read": read})

    def tell(self, frame: Frame) -> None:
        """Send a frame, if the socket is open."""
        if self._is_open and self._stack is not None and self._stack.state is OPEN:
            self._stack.send_text(json.dumps(frame).encode())
            self._write()

    def posted(self, temp_id: str, message: Frame | None) -> None:
        """REST answered what was posted under a temp_id; None where the conversation is not there for the user."""
        self.drafts[temp_id].is_open = False
        if message is not None:
            self.posts.append((temp_id, message))

    def hang_up(self) -> None:
        """Close the socket in good order."""
        if self._is_open and self._stack is not None and self._stack.state is OPEN:
            self._is_open = False
            self._stack.send_close(1000)
            self._write()

    def cut(self, *, is_noticed: bool) -> None:
        """The connection breaks."""
        if self.wire is not None and self.server is not None:
            self.server.loop.do(self.wire.cut if is_noticed else self.wire.go_dark)
        self.gone()

    def gone(self) -> None:
        """There is no socket any more. What was being loaded is begun anew next time, from the same cursor."""
        self.wire = self.server = self._stack = self._loading = None
        self._is_open = False
        self._waiting = []

    # What it hears.

    def hear(self, size: int) -> None:
        """Take so many bytes from the wire."""
        assert self.wire is not None
        assert self.server is not None
        assert self._stack is not None
        self._stack.receive_data(self.server.loop.do(self.wire.read, size))
        for event in self._stack.events_received():
            if isinstance(event, Response):
                if event.status_code != 101:
                    assert event.status_code == 503, event
                    self.gone()
                    return
                self._is_open = True
            elif isinstance(event, SocketFrame) and event.opcode is Opcode.TEXT:
                self._take(json.loads(bytes(event.data)))
        self._write()
        if self.wire.is_over:
            self.lose()

    def lose(self) -> None:
        """The wire has ended."""
        assert self._stack is not None
        self._stack.receive_eof()
        code, reason = self._stack.close_code, self._stack.close_reason
        assert code in BY_DESIGN or (code, reason) == (1011, "no pong in time"), f"closed: {code} {reason}"
        self.ends.append(code)
        self.gone()

    def _write(self) -> None:
        if self._stack is None or self.wire is None:
            return
        for data in self._stack.data_to_send():
            if data:
                self.wire.send(data)
            else:
                self.wire.end()

    def _take(self, frame: Frame) -> None:
        self.visits[-1].frames.append(Heard(frame, self._history.tip))
        match frame["type"]:
            case "hello":
                if self.cursor is None:
                    self._load(0, frame["event_id"])
                self._flush()
            case "resync":
                assert self.cursor is not None
                self._load(self.cursor, frame["event_id"])
            case "resumed":
                self.cursor, self._is_live = frame["event_id"], True
            case "error" if "temp_id" in frame:
                assert frame["code"] == "not_found", frame
                self.drafts[frame["temp_id"]].is_open = False
            case "message_sent":
                self.drafts[frame["temp_id"]].is_open = False
        if "event_id" in frame and "log" not in frame and frame["type"] != "resumed":
            if self._loading is not None:
                self._waiting.append(frame)
            else:
                self._apply(frame)

    def _flush(self) -> None:
        """Send again what was not answered: its temp_id counts once."""
        for temp_id, draft in self.drafts.items():
            if draft.is_open:
                self.send(temp_id, read=False)

    def _apply(self, frame: Frame) -> None:
        self.cursor = frame["event_id"]
        match frame["type"]:
            case "new_message" | "message_sent":
                message = frame["message"]
                if held := self._find(message["conversation_id"]):
                    held.messages[message["id"]] = message
            case "conversation_created":
                conversation = frame["conversation"]
                self.held[conversation["id"]] = Held(conversation, frame["event_id"])
            case "conversation_updated":
                if held := self._find(frame["conversation_id"]):
                    held.conversation = frame["conversation"]
            case "conversation_removed":
                self.held.pop(frame["conversation_id"], None)

    def _find(self, conversation_id: int) -> Held | None:
        """What is held of a conversation; None where REST told already of its end, which is yet to come here."""
        held = self.held.get(conversation_id)
        assert held is not None or self._has_loaded, f"{self.name} never heard of {conversation_id} before"
        return held

    # Loading anew.

    def _load(self, cursor: int, tip: int) -> None:
        last = {number: max(held.messages, default=held.since) for number, held in self.held.items()}
        self._loading, self._tip = Loading(cursor, last), tip
        self._ask(self._loading)

    def _ask(self, loading: Loading) -> None:
        server, query = self.server, loading.query
        assert server is not None
        if query is None:
            self._finish_loading(loading)
            return

        def answer(result: Any, refusal: Refused | None) -> None:
            if self._loading is loading:
                loading.take(result, refusal)
                self._ask(loading)

        server.read(self.actor, lambda view: query(view, server.rules, self.actor), answer)

    def _finish_loading(self, loading: Loading) -> None:
        for conversation_id in loading.left:
            self.held.pop(conversation_id, None)
        for conversation_id, conversation in loading.conversations.items():
            held = self.held.setdefault(conversation_id, Held(conversation, 0))
            held.conversation = conversation
            held.messages.update(loading.messages[conversation_id])
        self.cursor, self._is_live, self._loading = self._tip, True, None
        self._has_loaded = True
        waiting, self._waiting = self._waiting, []
        for frame in waiting:
            self._apply(frame)
