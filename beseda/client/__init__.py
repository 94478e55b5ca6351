"""A client of a Beseda server, for bots, scripts and terminals (docs/protocol.md).

async with Client("https://chat.example.org") as client:
    await client.login("bot@example.org", "password")
    async with client.connect() as socket:
        async for event in socket:
            ...
"""

from beseda.client.client import Client
from beseda.client.errors import ClientError, ConnectionLost, LoggedOut, Rejected, Unreachable
from beseda.client.rest import Tokens
from beseda.client.socket import Socket

__all__ = [
    "Client",
    "ClientError",
    "ConnectionLost",
    "LoggedOut",
    "Rejected",
    "Socket",
    "Tokens",
    "Unreachable",
]
