"""How the load generator talks to a peer: the login, a message, and by which bytes ACKs and deliveries are counted."""

import base64
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence

from bench.wire import masked

NUMBER = re.compile(rb"Message (\d{3})\.(\d{7})")
"""A sender, and which of its messages it is: in every text, so whoever receives it knows when it was sent."""
NUMBER_BYTES = len("Message 000.0000000")
PING = b"\x89\x08"
PING_BYTES = 10

Login = Sequence[tuple[bytes, bytes]]
"""What to send, and what must have been received before what follows is sent."""


def text(sender: int, number: int) -> bytes:
    """The same for all peers: 42 bytes."""
    return b"Message %03d.%07d, and a few more words." % (sender, number)


class Dialect(ABC):
    """One way to talk. Nothing is parsed: `ack` and `delivery` are bytes that stand once in each of them."""

    delivery: bytes

    @abstractmethod
    def login(self, port: int, credential: str, conversation: str) -> Login:
        """What opens a socket, to the point at which it takes part."""

    @abstractmethod
    def message(self, sender: int, number: int, credential: str, conversation: str) -> bytes:
        """A message as it goes over the socket."""

    @abstractmethod
    def ack(self, sender: int, conversation: str) -> bytes:
        """What stands once in what acknowledges a message of this sender's, and in nothing else it receives."""

    def echoes(self, conversation: str) -> bool:
        """Whether a message is delivered to its sender, too, and that is its ACK."""
        return False

    def pongs(self, data: bytes, start: int) -> bytes:
        """The answers to the pings that begin at `start` or behind it, and are whole."""
        return b""


class WebSocket(Dialect):
    """JSON in text frames, as Beseda has it; the other servers of ours are made to say the same."""

    delivery = b'{"type":"new_message",'

    def __init__(self, target: str) -> None:
        self._target = target

    def login(self, port: int, credential: str, conversation: str) -> Login:
        return [(_upgrade(port, self._target + credential), b'"hello"')]

    def message(self, sender: int, number: int, credential: str, conversation: str) -> bytes:
        return masked(
            1,
            b'{"type":"send_message","temp_id":"%032x","conversation_id":%s,"text":"%s","attachments":[]}'
            % (sender << 32 | number, conversation.encode(), text(sender, number)),
        )

    def ack(self, sender: int, conversation: str) -> bytes:
        return b'{"type":"message_sent"'

    def pongs(self, data: bytes, start: int) -> bytes:
        # JSON is no place for these two bytes, and a frame's length is followed by its JSON.
        answers = []
        at = data.find(PING, start)
        while 0 <= at <= len(data) - PING_BYTES:
            answers.append(masked(0xA, data[at + 2 : at + PING_BYTES]))
            at = data.find(PING, at + PING_BYTES)
        return b"".join(answers)


class SocketIo(Dialect):
    """Socket.IO 4 over a WebSocket from the start; an ACK is the call of the message's callback."""

    delivery = b'["new_message",'

    def login(self, port: int, credential: str, conversation: str) -> Login:
        return [
            (_upgrade(port, f"/socket.io/?EIO=4&transport=websocket&person={credential}"), b'0{"sid"'),
            (masked(1, b"40"), b'40{"sid"'),
        ]

    def message(self, sender: int, number: int, credential: str, conversation: str) -> bytes:
        return masked(
            1,
            b'42%d["send_message",{"temp_id":"%032x","conversation_id":%s,"text":"%s","attachments":[]}]'
            % (number, sender << 32 | number, conversation.encode(), text(sender, number)),
        )

    def ack(self, sender: int, conversation: str) -> bytes:
        return b'[{"temp_id"'

    def pongs(self, data: bytes, start: int) -> bytes:
        return masked(1, b"3") * data.count(b"\x81\x012", start)


class Xmpp(Dialect):
    """XMPP over plain TCP: a room for several (XEP-0045), or a dialog, named as both people with a space between.

    The ACK is the first word of the server's own that it has the message. In a room that is the message itself, as the
    sender is told it like everybody; in a dialog the answer to stream management's question (XEP-0198), put behind
    each message. A receipt (XEP-0184) would be the other person's word, not the server's. Prosody and ejabberd say
    either once the message is on the disk: in the room's archive, or in the sender's; the receiver's archive is
    written before the message is passed on, which in ejabberd may be after the ACK.
    """

    delivery = b"<body>Message "

    def login(self, port: int, credential: str, conversation: str) -> Login:
        name, _, host = credential.partition("@")
        open_stream = (
            f"<?xml version='1.0'?><stream:stream to='{host}' version='1.0' xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams'>"
        ).encode()
        plain = base64.b64encode(f"\0{name}\0{name}".encode()).decode()
        steps = [
            (open_stream, b"</stream:features>"),
            (
                f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>".encode(),
                b"<success",
            ),
            (open_stream, b"</stream:features>"),
            (b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", b"</iq>"),
        ]
        if _is_room(conversation):
            # The room tells its subject last: from then on the occupant is there.
            join = (
                f"<presence to='{conversation}/{name}'><x xmlns='http://jabber.org/protocol/muc'>"
                "<history maxstanzas='0'/></x></presence>"
            )
            steps.append((join.encode(), b"<subject"))
        else:
            steps.append((b"<presence/>", b"<presence "))
        return steps

    def message(self, sender: int, number: int, credential: str, conversation: str) -> bytes:
        if _is_room(conversation):
            to, kind, request = conversation, "groupchat", ""
        else:
            to = next(person for person in conversation.split() if person != credential)
            kind, request = "chat", "<r xmlns='urn:xmpp:sm:3'/>"
        # With a sender's first message, as those who only receive would be asked, and would have to answer.
        enable = "" if number or not request else "<enable xmlns='urn:xmpp:sm:3'/>"
        return b"%s<message to='%s' type='%s' id='%032x'><body>%s</body></message>%s" % (
            enable.encode(),
            to.encode(),
            kind.encode(),
            sender << 32 | number,
            text(sender, number),
            request.encode(),
        )

    def ack(self, sender: int, conversation: str) -> bytes:
        return b"<body>Message %03d." % sender if _is_room(conversation) else b"<a "

    def echoes(self, conversation: str) -> bool:
        return _is_room(conversation)


def _is_room(conversation: str) -> bool:
    return " " not in conversation


def _upgrade(port: int, target: str) -> bytes:
    return (
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


DIALECTS: dict[str, Dialect] = {
    "beseda": WebSocket("/ws?token="),
    "plain": WebSocket("/?person="),
    "socketio": SocketIo(),
    "xmpp": Xmpp(),
}
