"""Beseda's shape without its rules: the reference for what the shape costs.

One event loop, one thread for SQLite. All that waits is one transaction; all that one commit brings a socket leaves in
one write.
"""

import asyncio
import base64
import hashlib
import sqlite3
from collections import defaultdict
from typing import Any

import orjson
import uvloop

from bench.peers import database
from bench.peers.script import arguments

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


class Socket(asyncio.Protocol):
    """One person's socket."""

    def __init__(self, room: "Room") -> None:
        self._room = room
        self._buffer = b""
        self._is_open = False
        self.person = -1

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.sockets.pop(self.person, None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self._buffer = rest
            self._open(head)
        at = 0
        while (frame := parsed(self._buffer, at)) is not None:
            opcode, payload, at = frame
            self._take(opcode, payload)
        self._buffer = self._buffer[at:]

    def _open(self, head: bytes) -> None:
        lines = head.split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        self.person = int(lines[0].split()[1].partition(b"=")[2])
        self._room.sockets[self.person] = self
        accept = base64.b64encode(hashlib.sha1(headers[b"sec-websocket-key"] + GUID).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + framed(TEXT, b'{"type":"hello"}')
        )
        self._is_open = True

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._room.put(self, orjson.loads(payload))
        elif opcode == PING:
            self.transport.write(framed(PONG, payload))
        elif opcode == CLOSE:
            self.transport.write(framed(CLOSE, payload[:2]))
            self.transport.close()


class Room:
    """Who is there, and what waits to be stored."""

    def __init__(self, connection: sqlite3.Connection, members: database.Rooms) -> None:
        self.sockets: dict[int, Socket] = {}
        self._database = connection
        self._members = members
        self._waiting: list[tuple[Socket, database.Event]] = []
        self._is_committing = False

    def put(self, sender: Socket, frame: database.Event) -> None:
        """Have a message stored with the next commit, then told."""
        self._waiting.append((sender, frame))
        if not self._is_committing:
            self._is_committing = True
            # Once all that this turn of the loop reads is there.
            asyncio.get_running_loop().call_soon(self._commit)

    def _commit(self) -> None:
        batch, self._waiting = self._waiting, []
        stored = asyncio.get_running_loop().run_in_executor(None, self._store, batch)
        stored.add_done_callback(lambda done: self._tell(batch, done.result()))

    def _store(self, batch: list[tuple[Socket, database.Event]]) -> list[database.Event]:
        self._database.execute("BEGIN IMMEDIATE")
        messages = [database.store(self._database, sender.person, frame) for sender, frame in batch]
        self._database.execute("COMMIT")
        return messages

    def _tell(self, batch: list[tuple[Socket, database.Event]], messages: list[database.Event]) -> None:
        if self._waiting:
            self._commit()
        else:
            self._is_committing = False
        outgoing: defaultdict[Socket, list[bytes]] = defaultdict(list)
        for (sender, frame), message in zip(batch, messages, strict=True):
            event = framed(TEXT, orjson.dumps(database.told(message)))
            for person in self._members[message["conversation_id"]]:
                socket = self.sockets.get(person)
                if socket is not None and socket is not sender:
                    outgoing[socket].append(event)
            ack = database.acknowledged(message, frame["temp_id"])
            outgoing[sender].append(framed(TEXT, orjson.dumps(ack)))
        for socket, frames in outgoing.items():
            if not socket.transport.is_closing():
                socket.transport.write(b"".join(frames))


def framed(opcode: int, payload: bytes) -> bytes:
    """A server's frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload


def parsed(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    """A client's frame of less than 64 KiB: its opcode, its payload and where it ends; None while it is not whole."""
    begin = at + 6
    if len(data) < begin:
        return None
    size = data[at + 1] & 0x7F
    if size == 126:
        begin += 2
        size = int.from_bytes(data[at + 2 : at + 4], "big")
    if len(data) < begin + size:
        return None
    masking = data[begin - 4 : begin] * (size // 4 + 1)
    payload = int.from_bytes(data[begin : begin + size], "big") ^ int.from_bytes(masking[:size], "big")
    return data[at] & 0xF, payload.to_bytes(size, "big"), begin + size


async def serve() -> None:
    """Serve until the process is ended."""
    port, folder = arguments()
    members = database.rooms(folder)
    room = Room(database.opened(folder, members), members)
    server = await asyncio.get_running_loop().create_server(
        lambda: Socket(room), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
