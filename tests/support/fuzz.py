"""What hostile clients may send, for hypothesis: JSON of every shape, frames, requests, and how they are cut.

The tests run a short form, the same one every time; with `BESEDA_TEST_FUZZ=50` and pytest's `-o faulthandler_timeout=0`
it is fifty times as many examples, and others each time.
"""

import json
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support.raw import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame_bytes

TIMES = int(os.environ.get("BESEDA_TEST_FUZZ", "1"))


def bounded(examples: int) -> settings:
    """So many examples in the short form."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        derandomize=TIMES == 1,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


# JSON.

scalars = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\0", "\ud800", "1", "x" * 70, "x" * 11_000, 1, 2, 2**53, True])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = ["temp_id", "conversation_id", "text", "attachments", "read", "message_id"]
KINDS = ["send_message", "typing_start", "typing_stop", "read", "hello", "new_message"]
plausible = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)},
    optional={
        "temp_id": st.text(min_size=1, max_size=8) | values,
        "conversation_id": st.integers(1, 12) | values,
        "message_id": st.integers(1, 12) | values,
        "text": st.text(max_size=30) | values,
        "attachments": st.lists(st.integers(1, 3), max_size=3) | values,
        "read": st.booleans() | values,
    },
)
objects = plausible | st.dictionaries(
    st.sampled_from([*FIELDS, "type"]) | st.text(max_size=5), values, max_size=6
)
documents = (objects | values).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))

RAW_VALUES = [
    *(b"NaN", b"Infinity", b"-Infinity", b"-0", b"0", b"-1", b"01", b"+1", b"1.0", b"1e0", b"1e400", b"0x1"),
    *(b"true", b"false", b"null", b"undefined", b"'1'", b"[]", b"{}", b"[1]", b'{"id": 1}', b'"1"', b'""'),
    *(str(2**power + more).encode() for power in (31, 53, 63, 64) for more in (-1, 0, 1)),
    *(b"9" * 400, b"9" * 5000, b"[" * 300 + b"]" * 300, b"[" * 20_000, b'{"a":' * 3000, b'"', b"\\", b""),
    *(rb'"\ud800"', rb'"\udfff\ud800"', rb'"\u0000"', b'"\0"', rb'"\x"', b'"\xff"', b'"\xed\xa0\x80"'),
    *('"\ufeff"'.encode(), '"\u202e"'.encode(), b'"' + b"x" * 11_000 + b'"', b'"' + b"x" * 66_000 + b'"'),
]
"""Written as they are, for some of them are no JSON."""

raw_values = st.sampled_from(RAW_VALUES) | values.map(lambda value: json.dumps(value).encode())


@st.composite
def mutated(draw: st.DrawFn, ids: list[int]) -> bytes:
    """A frame that the server knows, with ids that mean something, and up to three fields of it spoilt or doubled."""
    some_id = st.sampled_from(ids).map(lambda number: str(number).encode())
    fields: list[tuple[bytes, bytes]] = [
        (b"type", json.dumps(draw(st.sampled_from(KINDS[:4]))).encode()),
        (b"conversation_id", draw(some_id)),
        (b"message_id", draw(some_id)),
        (b"temp_id", json.dumps(draw(st.text(max_size=3)) or "t").encode()),
        (b"text", b'"hello"'),
    ]
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from([*FIELDS, "type", "", "unknown", "__proto__"])).encode()
        spoilt = (name, draw(raw_values))
        if draw(st.booleans()):
            fields = [field for field in fields if field[0] != name]
        fields.insert(draw(st.integers(0, len(fields))), spoilt)
    return b"{%b}" % b", ".join(b'"%b": %b' % field for field in fields)


# Frames.


def as_frame(payload: bytes) -> bytes:
    """A text frame."""
    return frame_bytes(TEXT, payload)


@st.composite
def fragmented(draw: st.DrawFn, payloads: st.SearchStrategy[bytes]) -> bytes:
    """A text message in fragments, cut anywhere, with control frames between them."""
    payload = draw(payloads)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=5)))
    pieces = [payload[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    data = b""
    for place, piece in enumerate(pieces):
        data += frame_bytes(TEXT if place == 0 else CONT, piece, fin=place == len(pieces) - 1)
        if draw(st.booleans()):
            data += frame_bytes(draw(st.sampled_from([PING, PONG])), draw(st.binary(max_size=8)))
    return data


frames = st.builds(
    frame_bytes,
    st.sampled_from([TEXT, BINARY, CONT, PING, PONG, CLOSE, TEXT, CONT]) | st.integers(0, 15),
    st.binary(max_size=140) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 0, 1, 4]),
    mask=st.sampled_from([True, True, True, False]),
    length=st.sampled_from([7, 7, 7, 16, 64]),
    declared=st.none() | st.none() | st.sampled_from([0, 125, 126, 65535, 65536, 2**31, 2**63 - 1, 2**63]),
)


@st.composite
def cut(draw: st.DrawFn, pieces: st.SearchStrategy[bytes], most: int = 8) -> list[bytes]:
    """Some pieces one after another, cut into segments anywhere."""
    data = b"".join(draw(st.lists(pieces, max_size=most)))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]


# Requests.

PATHS = [
    *(
        "/",
        "/healthz",
        "/server",
        "/chats",
        "/chats/1",
        "/chats/1/messages",
        "/users/me",
        "/users?query=a",
        "/ws",
    ),
    *(
        "/auth/refresh",
        "/auth/login",
        "/files/1?expires=1&signature=x",
        "/admin/invites",
        "/openapi.json",
        "*",
    ),
    *(
        "/chats/%31",
        "/chats/1%00",
        "/chats/%ff",
        "/chats/%",
        "/chats/%zz",
        "/chats/1%2fmessages",
        "/%2e%2e/x",
    ),
    *(
        "//",
        "/../../etc/passwd",
        "/chats/1;x",
        "/chats/1#x",
        "http://x/chats",
        "http://[",
        "x:1",
        "/" + "a" * 3000,
    ),
    *(
        "/users?query=%ff",
        "/users?ids=" + "1," * 900,
        "/chats?limit=%00",
        "/chats?before=1&before=x",
        "/users?%",
    ),
]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] * 3 + [
    "TRACE",
    "CONNECT",
    "BREW",
    "get",
    "",
]
VERSIONS = ["HTTP/1.1"] * 20 + ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/1.1 x", ""]
HEADER_LINES = [
    *(
        "Content-Length: 0",
        "Content-Length: 21",
        "Content-Length: 5",
        "Content-Length: -1",
        "Content-Length: +5",
    ),
    *(
        "Content-Length: 5, 5",
        "Content-Length: 0x5",
        "Content-Length: " + "9" * 30,
        "Content-Length:",
        "Content-Length: 5 5",
    ),
    *("Content-Length : 5", "Content-Length: 99999999", "Content-Length: 1e1", "Content-Length: \u0665"),
    *(
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
    ),
    *("Transfer-Encoding: chunked, identity", "Transfer-Encoding: xchunked", "Transfer-Encoding : chunked"),
    *("Transfer-Encoding:\x0bchunked", "Transfer-Encoding: chunked, chunked", "transfer-encoding: CHUNKED"),
    *(
        "Connection: close",
        "Connection: keep-alive",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Upgrade: h2c",
    ),
    *(
        "Expect: 100-continue",
        "Expect: x",
        "Content-Type: application/json",
        "Content-Type: \xff",
        "Content-Encoding: gzip",
    ),
    *(
        "Host: x",
        "Host: y",
        "Host: x/y",
        "Host:",
        "Authorization: Bearer x",
        "Authorization: Bearer \xff",
        "Range: bytes=0-",
    ),
    *(
        " folded",
        "no colon",
        ":",
        ": x",
        "a b: c",
        "X\0: y",
        "X: \0",
        "X: y\rZ: w",
        "X: y\nZ: w",
        "\x7f: x",
        "X" * 3000 + ": x",
    ),
    *(
        "If-None-Match: *",
        "Origin: null",
        "X-Forwarded-For: ,,",
        "Accept: application/json",
        "Cookie: " + "x" * 1000,
    ),
]
BODIES = [
    *(
        b"",
        b"{}",
        b'{"refresh_token":"x"}',
        b"x" * 5,
        b"\0" * 21,
        b"[" * 5000,
        b"GET /server HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    *(
        b"5\r\nhello\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"5\r\nhel",
        b"-1\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
    ),
    *(
        b"ffffffffffffffff\r\nx",
        b"fffffffffffffffff\r\nx",
        b"5;a=b\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"5 \r\nhello\r\n",
    ),
    *(b"0\r\n" + b"a: b\r\n" * 600, b"1\r\nx" * 20, b"\r\n\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n"),
]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Nearly a request: every part of it may be wrong."""
    method, path, version = (draw(st.sampled_from(parts)) for parts in (METHODS, PATHS, VERSIONS))
    lines = [f"{method} {path} {version}".strip(), *draw(st.lists(st.sampled_from(HEADER_LINES), max_size=4))]
    if draw(st.integers(0, 9)):
        lines.insert(1, "Host: x")
    end = draw(st.sampled_from(["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r"]))
    head = end.join([*lines, "", ""]).encode("latin-1", "replace")
    if draw(st.integers(0, 19)) == 0:
        place = draw(st.integers(0, len(head)))
        head = head[:place] + draw(st.binary(max_size=4)) + head[place:]
    return head + draw(st.sampled_from(BODIES) | st.binary(max_size=30))
