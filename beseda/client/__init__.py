"""A client of a Beseda server, for bots, scripts and terminals (docs/protocol.md).

async with Client("https://chat.example.org") as client:
    await client.login("bot@example.org", "password")
    async with client.live() as live:
        async for event in live:
            ...
"""

from beseda.client.backoff import Timing
from beseda.client.client import Client
from beseda.client.errors import ClientError, ConnectionLost, LoggedOut, OutboxFull, Rejected, Unreachable
from beseda.client.live import Event, Live
from beseda.client.rest import Tokens
from beseda.client.socket import Socket

__all__ = [
    "Client",
    "ClientError",
    "ConnectionLost",
    "Event",
    "Live",
    "LoggedOut",
    "OutboxFull",
    "Rejected",
    "Socket",
    "Timing",
    "Tokens",
    "Unreachable",
]
