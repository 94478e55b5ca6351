"""Who is measured beside each other."""

from bench.peer import Peer
from bench.peers.beseda import Beseda
from bench.peers.ejabberd import Ejabberd
from bench.peers.native import Native
from bench.peers.node import SocketIo
from bench.peers.prosody import Prosody
from bench.peers.script import PythonScript

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Beseda(),
        # The first proof of delivery is asked for at once, and the next when the run is over. Presence is quiet anyway.
        Beseda("beseda-quiet", "100 dialogs, *", RECEIPTS__INTERVAL_SECONDS="60"),
        PythonScript("prototype", needs=["uvloop", "orjson"]),
        PythonScript("starlette", needs=["starlette", "uvicorn"]),
        PythonScript("python-socketio", "socketio", needs=["socketio", "uvicorn"]),
        SocketIo(),
        PythonScript("broadcast", needs=["uvicorn", "websockets"], stores=False),
        Native(),
        Prosody(),
        Ejabberd(),
    )
}
"""By name, Beseda first."""
