"""A bare broadcast in Beseda's own stack, without rules or storage: what uvicorn, websockets and uvloop cost alone.

An event is encoded and framed once, and written to every member; all that one read asks for leaves in one write for
each socket.
"""

import asyncio
import time
from collections import defaultdict
from typing import Any

import orjson
import uvicorn
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from bench.peers import database
from bench.peers.script import arguments

sockets: dict[int, "Socket"] = {}
members: database.Rooms = {}


class Socket(asyncio.Protocol):
    """One person's socket; uvicorn constructs it, and gives it the upgrade request as its first data."""

    count = 0

    def __init__(self, config: object, server_state: Any, app_state: object, _loop: object = None) -> None:
        self._connections = server_state.connections
        self._protocol = ServerProtocol()
        self._person = -1

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        sockets.pop(self._person, None)

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        outgoing: defaultdict[Socket, list[bytes]] = defaultdict(list)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._open(event)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._tell(orjson.loads(event.data), outgoing)
        outgoing[self] += self._protocol.data_to_send()
        for socket, frames in outgoing.items():
            socket.transport.write(b"".join(frames))

    def shutdown(self) -> None:
        """uvicorn stops."""
        self.transport.close()

    def _open(self, request: Request) -> None:
        self._person = int(request.path.partition("=")[2])
        sockets[self._person] = self
        self._protocol.send_response(self._protocol.accept(request))
        self._protocol.send_text(b'{"type":"hello"}')

    def _tell(self, frame: database.Event, outgoing: "defaultdict[Socket, list[bytes]]") -> None:
        Socket.count += 1
        conversation = frame["conversation_id"]
        message = {
            "id": Socket.count,
            "conversation_id": conversation,
            "seq": Socket.count,
            "sender_id": self._person,
            "text": frame["text"],
            "attachments": [],
            "created_at": time.time_ns() // 1_000_000,
        }
        event = framed(database.told(message))
        for person in members[conversation]:
            if person != self._person and person in sockets:
                outgoing[sockets[person]].append(event)
        outgoing[self].append(framed(database.acknowledged(message, frame["temp_id"])))


def framed(event: database.Event) -> bytes:
    """A server's text frame."""
    return Frame(Opcode.TEXT, orjson.dumps(event)).serialize(mask=False)


async def refuse(scope: object, receive: object, send: object) -> None:
    """The application behind the sockets: there is none."""


if __name__ == "__main__":
    port, folder = arguments()
    members.update(database.rooms(folder))
    uvicorn.run(refuse, port=port, log_level="warning", ws=Socket)
