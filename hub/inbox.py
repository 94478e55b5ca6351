"""What comes from one client: fragments put together, and how often it was wrong. Pure."""

from collections import deque

from websockets.frames import Frame

MAX_FRAGMENTS = 128
MAX_CONTROL_BYTES = 125
"""Of a ping, a pong or a close frame (RFC 6455 section 5.5)."""

BAD_FRAMES = 20
BAD_FRAMES_SECONDS = 60.0
PINGS = 20
PINGS_SECONDS = 1.0


class TooBig(Exception):
    """One message has too many bytes, or came in more than `MAX_FRAGMENTS` pieces: its text says which."""


class Inbox:
    """The incoming half of one socket. The library has checked each frame, and that fragments are in order.

    A message may have `most` bytes. The library would count a ping between its fragments as a part of it, and so has to
    take `MAX_CONTROL_BYTES` more.
    """

    __slots__ = ("_bad", "_fragments", "_most", "_pings", "_size")

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._fragments: list[bytes] = []
        self._bad: deque[float] | None = None
        self._pings: deque[float] | None = None

    def add(self, frame: Frame) -> bytes | None:
        """The message that is whole with this frame of it (RFC 6455 section 5.4). Raises TooBig."""
        self._size += len(frame.data)
        if self._size > self._most:
            raise TooBig(f"more than {self._most} bytes")
        if frame.fin:
            self._size = 0
        if frame.fin and not self._fragments:
            return bytes(frame.data)
        self._fragments.append(bytes(frame.data))
        if len(self._fragments) > MAX_FRAGMENTS:
            # The library counts bytes only; a fragment costs far more than its byte.
            raise TooBig(f"more than {MAX_FRAGMENTS} fragments")
        if not frame.fin:
            return None
        fragments, self._fragments = self._fragments, []
        return b"".join(fragments)

    def is_abuse(self, now: float) -> bool:
        """Note a bad frame; whether it was one too many (docs/protocol.md section 6, Errors)."""
        if self._bad is None:
            self._bad = deque(maxlen=BAD_FRAMES)
        self._bad.append(now)
        return len(self._bad) == BAD_FRAMES and now - self._bad[0] <= BAD_FRAMES_SECONDS

    def is_ping_flood(self, now: float) -> bool:
        """Note a ping; whether it was one too many: each of them costs a pong."""
        if self._pings is None:
            self._pings = deque(maxlen=PINGS + 1)
        self._pings.append(now)
        return len(self._pings) > PINGS and now - self._pings[0] < PINGS_SECONDS


def is_utf8(data: bytes) -> bool:
    """Whether a text message is text (RFC 6455 section 8.1)."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
