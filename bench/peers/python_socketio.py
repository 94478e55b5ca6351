"""A room with python-socketio on uvicorn and sqlite3."""

import sqlite3
from typing import Any
from urllib.parse import parse_qs

import socketio
import uvicorn

from bench.peers import database
from bench.peers.script import arguments


def application(members: database.Rooms, connection: sqlite3.Connection) -> Any:
    """The ASGI application."""
    io = socketio.AsyncServer(async_mode="asgi", transports=["websocket"])
    people: dict[str, int] = {}

    async def connect(sid: str, environment: dict[str, str]) -> None:
        people[sid] = int(parse_qs(environment["QUERY_STRING"])["person"][0])
        for conversation, persons in members.items():
            if people[sid] in persons:
                await io.enter_room(sid, str(conversation))

    async def send_message(sid: str, frame: database.Event) -> database.Event:
        message = database.store_at_once(connection, people[sid], frame)
        room = str(message["conversation_id"])
        await io.emit("new_message", database.told(message), room=room, skip_sid=sid)
        return database.answered(message, frame["temp_id"])

    io.on("connect", connect)
    io.on("send_message", send_message)
    return socketio.ASGIApp(io)


if __name__ == "__main__":
    port, folder = arguments()
    rooms = database.rooms(folder)
    uvicorn.run(
        application(rooms, database.opened(folder, rooms)),
        port=port,
        log_level="warning",
        ws_ping_interval=None,
    )
