"""The generator's XMPP: with a server that knows just enough of it, and with Prosody and ejabberd where they are."""

import asyncio
import base64
import os
import re

import pytest

from bench.clients import Sampler, Sender
from bench.dialects import DIALECTS, text
from bench.generator import Plan, Seat, drive
from bench.peer import Peer
from bench.peers.ejabberd import Ejabberd
from bench.peers.prosody import Prosody
from tests.bench.test_generator import fed

XMPP = DIALECTS["xmpp"]
PEOPLE = [f"p{index}@localhost" for index in range(4)]
ROOM, DIALOG = "room0@rooms.localhost", " ".join(PEOPLE[:2])
STANZA = re.compile(
    rb"<(stream:stream)[^>]*>|<(auth|iq|message)\b.*?</\2>|<(presence)(?:/>|.*?</presence>)|<(enable|r) [^>]*/>"
)
ANSWERS = {
    b"stream:stream": b"<stream:stream><stream:features><bind/></stream:features>",
    b"auth": b"<success/>",
    b"iq": b"<iq type='result' id='b'><bind/></iq>",
    b"presence": b"<presence from='room'/><message type='groupchat'><subject/></message>",
    b"enable": b"<enabled/>",
}


class Server:
    """Everybody is in the room who has said it was there; a dialog is between the first two. Nothing is kept."""

    def __init__(self) -> None:
        self._sockets: dict[str, asyncio.StreamWriter] = {}

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one socket until it is closed."""
        data, handled, is_managed = b"", 0, False
        while read := await reader.read(65536):
            data, end = data + read, 0
            for found in STANZA.finditer(data):
                stanza, end = found[0], found.end()
                kind = next(group for group in found.groups() if group)
                writer.write(ANSWERS.get(kind, b""))
                if kind == b"auth":
                    _, name, password = base64.b64decode(stanza.split(b">")[1][:-6]).decode().split("\0")
                    assert name == password
                    self._sockets[f"{name}@localhost"] = writer
                elif kind == b"message":
                    handled += is_managed
                    self._tell(stanza, stanza.split(b"'")[1].decode())
                elif kind == b"enable":
                    is_managed = True
                elif kind == b"r":
                    assert is_managed
                    writer.write(b"<a xmlns='urn:xmpp:sm:3' h='%d'/>" % handled)
            data = data[end:]
        writer.close()

    def _tell(self, stanza: bytes, to: str) -> None:
        for person, socket in self._sockets.items():
            if to in (person, ROOM):
                socket.write(stanza)


def plan(port: int, pids: list[int], conversation: str, senders: int) -> Plan:
    count = len(conversation.split()) if conversation == DIALOG else len(PEOPLE)
    seats = [Seat(person, conversation) for person in PEOPLE[:count]]
    return Plan(
        "xmpp",
        port,
        pids,
        senders=seats[:senders],
        receivers=seats[senders:],
        fan_out=count - 1,
        outstanding=2,
        seconds=0.2,
    )


@pytest.mark.parametrize(("conversation", "senders"), [(ROOM, 2), (DIALOG, 1)])
async def test_what_an_xmpp_server_delivers_is_counted(conversation: str, senders: int) -> None:
    server = await asyncio.start_server(Server().talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        # That everything is acknowledged and told to everybody, and nothing twice, is the generator's to see.
        figures = await asyncio.to_thread(drive, plan(port, [os.getpid()], conversation, senders))
    assert figures["messages_per_s"] > 0
    assert figures["deliveries_per_s"] > 0


@pytest.mark.parametrize(
    ("peer", "packages"), [(Prosody(), "prosody lua-dbi-sqlite3"), (Ejabberd(), "ejabberd")]
)
def test_a_server_that_is_not_there_says_which_package_to_install(
    peer: Peer, packages: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    lacking = peer.missing()
    assert lacking is not None
    assert lacking.endswith(f"apt install {packages}")


@pytest.mark.parametrize("size", [1, 2, 7, 50, 1000])
def test_a_rooms_ack_is_the_senders_own_message_and_a_dialogs_the_servers_count(size: int) -> None:
    messages = b"".join(
        b"<message type='groupchat'><body>%s</body></message>" % text(sender, number)
        for number in range(10)
        for sender in (0, 1)
    )
    entered = b"</stream:features><success/></stream:features><iq></iq><subject/></message>"
    sender, sampler = Sender(XMPP, 1, PEOPLE[1], ROOM), Sampler(XMPP, PEOPLE[2], ROOM, [[0.0] * 10] * 2)
    sender.sent = [0.0] * 10
    for client in (sender, sampler):
        fed(client, entered + messages, size)
        assert client.deliveries == 20
    assert sender.acks == 10
    assert len(sampler.seconds) == 20

    present = b"</stream:features><success/></stream:features><iq></iq><presence from='p0'/><enabled/>"
    sender = Sender(XMPP, 0, PEOPLE[0], DIALOG)
    sender.sent = [0.0] * 10
    fed(sender, present + b"".join(b"<a xmlns='urn:xmpp:sm:3' h='%d'/>" % h for h in range(1, 11)), size)
    assert sender.acks == 10
    assert sender.deliveries == 0
