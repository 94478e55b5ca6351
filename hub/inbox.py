"""What comes from one client: frames, fragments put together, and how often it was wrong. Pure."""

from collections import deque
from typing import cast

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - where there is no compiled wheel
    from websockets.utils import apply_mask

MAX_FRAGMENTS = 128
MAX_CONTROL_BYTES = 125
"""Of a ping, a pong or a close frame (RFC 6455 section 5.5)."""

_WHOLE_TEXT = 0x81
"""The first byte of a text message in a single frame."""

_WHOLE_PONG = 0x8A

_OPCODES = frozenset(Opcode)

BAD_FRAMES = 20
BAD_FRAMES_SECONDS = 60.0
PINGS = 20
PINGS_SECONDS = 1.0


class TooBig(Exception):
    """One message has too many bytes, or came in more than `MAX_FRAGMENTS` pieces: its text says which."""


class Inbox:
    """The incoming half of one socket. What is no plain message the library has checked, and the order of fragments.

    A message may have `most` bytes. The library would count a ping between its fragments as a part of it, and so has to
    take `MAX_CONTROL_BYTES` more.
    """

    __slots__ = ("_bad", "_begun", "_fragments", "_most", "_pings", "_size")

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun = b""
        self._size = 0
        self._fragments: list[bytes] = []
        self._bad: deque[float] | None = None
        self._pings: deque[float] | None = None

    def split(self, data: bytes, protocol: ServerProtocol) -> list[bytes | Frame]:
        """The frames that are whole with these bytes (RFC 6455 section 5.2): text messages in one frame as their bytes.

        Those and pongs are nearly all that clients send, and unmasked here: the library takes ten times as long.
        Everything else, and all that is wrong, goes through `protocol`, which is given whole frames only and so knows
        no other place than between two of them.
        """
        if self._begun:
            data, self._begun = self._begun + data, b""
        found: list[bytes | Frame] = []
        at, end = 0, len(data)
        while protocol.state is OPEN and end - at >= 2:
            stop = begin = at + 6
            size = data[at + 1] & 0x7F
            if size >= 126:
                width = 2 if size == 126 else 8
                stop = begin = stop + width
                length = data[at + 2 : at + 2 + width]
                size = int.from_bytes(length, "big") if len(length) == width else 0  # half of it says nothing
            stop += size
            if (
                data[at + 1] < 0x80
                or data[at] & 0x0F not in _OPCODES
                or size > self._most + MAX_CONTROL_BYTES
            ):
                stop = end  # The library refuses it by its header; nothing behind it counts.
            elif stop > end:
                break
            elif protocol.current_size is None and (
                (data[at] == _WHOLE_TEXT and size <= self._most)
                or (data[at] == _WHOLE_PONG and size <= MAX_CONTROL_BYTES)
            ):
                payload = apply_mask(data[begin:stop], data[begin - 4 : begin])
                found.append(payload if data[at] == _WHOLE_TEXT else Frame(Opcode.PONG, payload))
                at = stop
                continue
            protocol.receive_data(data[at:stop])
            found += cast(list[Frame], protocol.events_received())
            at = stop
        if protocol.state is OPEN:
            self._begun = data[at:]
        elif at < end:
            protocol.receive_data(data[at:])
        return found

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
