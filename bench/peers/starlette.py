"""A room as anyone would write it with Starlette, uvicorn and sqlite3."""

import json
import sqlite3

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.peers import database
from bench.peers.script import arguments


def application(members: database.Rooms, connection: sqlite3.Connection) -> Starlette:
    """The application: one route."""
    sockets: dict[int, WebSocket] = {}

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        person = int(socket.query_params["person"])
        sockets[person] = socket
        await socket.send_json({"type": "hello"})
        try:
            while True:
                frame = await socket.receive_json()
                message = database.store_at_once(connection, person, frame)
                await socket.send_json(database.acknowledged(message, frame["temp_id"]))
                event = json.dumps(database.told(message), separators=(",", ":"))
                for member in members[message["conversation_id"]]:
                    if member != person and member in sockets:
                        await sockets[member].send_text(event)
        except WebSocketDisconnect:
            del sockets[person]

    return Starlette(routes=[WebSocketRoute("/", talk)])


if __name__ == "__main__":
    port, folder = arguments()
    rooms = database.rooms(folder)
    uvicorn.run(
        application(rooms, database.opened(folder, rooms)),
        port=port,
        log_level="warning",
        ws_ping_interval=None,
    )
