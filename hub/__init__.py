"""Who is listening right now: connections, rooms, presence, typing and receipts. All of it may be lost."""

from hub.connection import Connection
from hub.hub import Hub
from hub.settings import Settings

__all__ = ["Connection", "Hub", "Settings"]
