"""Why a socket is closed, and what its client is to do then (docs/protocol.md section 6).

Of our own codes 4000 to 4499 mean come back, 4500 to 4999 mean don't.
"""

from dataclasses import dataclass
from typing import Final

PROTOCOL_ERROR: Final = 1002
BINARY: Final = 1003
NOT_UTF8: Final = 1007
ABUSE: Final = 1008
TOO_BIG: Final = 1009
NO_PONG: Final = 1011
BUG: Final = 1011
RESTART: Final = 1012
TOO_SLOW: Final = 4008
FLOODING: Final = 4029
SESSION_ENDED: Final = 4501
TOO_MANY_SOCKETS: Final = 4509


@dataclass(frozen=True, slots=True)
class Close:
    """What a close code means, and what to do about it."""

    name: str
    meaning: str
    advice: str


CLOSE_CODES: Final = {
    PROTOCOL_ERROR: Close("protocol_error", "the client broke the WebSocket protocol", "mend the client"),
    BINARY: Close("binary", "a binary frame", "send text"),
    NOT_UTF8: Close("not_utf8", "text that is not UTF-8", "don't send that frame again"),
    ABUSE: Close("abuse", "too many bad frames in a minute, or too many pings in a second", "wait a minute"),
    TOO_BIG: Close("too_big", "a frame too large, or in too many fragments", "don't send that frame again"),
    NO_PONG: Close("broken", "no pong in time, or a bug in the server", "connect again, with since"),
    RESTART: Close(
        "restart",
        "the server restarts, or can't read its log",
        "connect again after a random 0 to 5 s, with since",
    ),
    TOO_SLOW: Close("too_slow", "the client read too slowly", "connect again, with since"),
    FLOODING: Close(
        "flooding",
        "hundreds of frames in a row past the rate",
        "wait a minute, then connect again, with since",
    ),
    SESSION_ENDED: Close("session_ended", "the session has ended", "log in"),
    TOO_MANY_SOCKETS: Close("too_many_sockets", "the user opened too many sockets; the oldest goes", "don't"),
}
