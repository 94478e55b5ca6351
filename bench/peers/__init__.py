"""Who is measured beside each other."""

from bench.peer import Peer
from bench.peers.beseda import Beseda
from bench.peers.script import PythonScript

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Beseda(),
        PythonScript("prototype", needs=["uvloop", "orjson"]),
        PythonScript("starlette", needs=["starlette", "uvicorn"]),
    )
}
"""By name, Beseda first."""
