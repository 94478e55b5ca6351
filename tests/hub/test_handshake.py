"""Who may open a socket: requests in, answers out. `rfc6455/test_opening.py` has what makes a handshake one."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from actions.tickets import Tickets
from actions.tokens import Tokens
from hub import handshake
from protocol.errors import Code, Refused
from tests.support.hub import SETTINGS
from tests.support.raw import ACCEPT, KEY, upgrade_bytes

NOW = 1_800_000_000_000
TOKENS = Tokens(b"k" * 32, 900, 86400, lambda: NOW)
TICKETS = Tickets(lambda: NOW / 1000)
TOKEN = TOKENS.issue_access(5, 9)
TARGET = f"/ws?token={TOKEN}"


def accept(
    request: bytes, peer: str = "192.0.2.1", scheme: str = "http", **settings: Any
) -> handshake.Accepted:
    """What the server makes of a request."""
    return handshake.accept(request, peer, scheme, replace(SETTINGS, **settings), TOKENS, TICKETS)


def refused(
    request: bytes, code: Code, peer: str = "192.0.2.1", scheme: str = "http", **settings: Any
) -> Refused:
    """The refusal of a request, which must have this code."""
    with pytest.raises(Refused) as caught:
        accept(request, peer, scheme, **settings)
    assert caught.value.code == code
    return caught.value


def test_a_handshake_is_answered_as_the_rfc_has_it() -> None:
    accepted = accept(upgrade_bytes(TARGET))
    assert accepted.claims.user_id == 5
    assert accepted.claims.session_id == 9
    status, *lines = accepted.response.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert status == "HTTP/1.1 101 Switching Protocols"
    headers = dict(line.split(": ", 1) for line in lines)
    assert headers.pop("Date")
    assert headers == {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": ACCEPT}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_may_stand_in_a_header(scheme: str) -> None:
    request = upgrade_bytes("/ws", {"Authorization": f"{scheme} {TOKEN}"})
    assert accept(request).claims.user_id == 5


def test_a_ticket_opens_one_socket() -> None:
    request = upgrade_bytes(f"/ws?token={TICKETS.issue(5, 9)}")
    claims = accept(request).claims
    assert (claims.user_id, claims.session_id) == (5, 9)
    refused(request, "unauthorized")


def test_a_ticket_stands_in_the_url_only() -> None:
    refused(upgrade_bytes("/ws", {"Authorization": f"Bearer {TICKETS.issue(5, 9)}"}), "unauthorized")


def test_a_request_that_is_refused_for_something_else_uses_up_no_ticket() -> None:
    target = f"/ws?token={TICKETS.issue(5, 9)}"
    refused(upgrade_bytes(target, {"Origin": "https://evil.test"}), "forbidden_origin")
    assert accept(upgrade_bytes(target)).claims.user_id == 5


def test_other_parameters_beside_the_token_are_ignored() -> None:
    assert accept(upgrade_bytes(f"/ws?a=1&token={TOKEN}&b")).claims.user_id == 5
    assert accept(upgrade_bytes(f"http://beseda.test/ws?token={TOKEN}")).claims.user_id == 5


@pytest.mark.parametrize(
    "target",
    [
        "/ws",
        "/ws?token=",
        "/ws?token",
        "/ws?token=x",
        "/ws?token=%FF%00",
        f"/ws?token={TOKEN}x",
        f"/ws?token=x&token={TOKEN}",
        f"/ws?Token={TOKEN}",
        f"/ws?token={TOKENS.issue_refresh(5, 9, 'jti')}",
        f"/ws?token={Tokens(b'other' * 8, 900, 900, lambda: NOW).issue_access(5, 9)}",
        f"/ws?token={Tokens(b'k' * 32, 900, 900, lambda: NOW - 900_000).issue_access(5, 9)}",
    ],
)
def test_a_bad_or_missing_token_is_unauthorized(target: str) -> None:
    refused(upgrade_bytes(target), "unauthorized")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Basic YTpi", f"Token {TOKEN}", TOKEN, "Bearer x", "Bearer \xff"]
)
def test_a_bad_header_is_unauthorized(header: str) -> None:
    refused(upgrade_bytes("/ws", {"Authorization": header}), "unauthorized")


@pytest.mark.parametrize(
    "target",
    ["/", "/ws/", "/wss", "/WS", "/%77s", "//ws", "/ws;x", "/auth/login", "*", "//[", "//[::1", "http://["],
)
def test_any_other_path_does_not_exist_whatever_the_token(target: str) -> None:
    refused(upgrade_bytes(f"{target}?token={TOKEN}"), "not_found")


OWN = "http://beseda.test"


@pytest.mark.parametrize(
    ("origin", "settings"),
    [
        ("", {}),
        (OWN, {}),
        ("HTTP://BESEDA.TEST", {}),
        (f"{OWN}:80", {}),
        ("https://chat.example", {"public_url": "https://chat.example"}),
        ("https://chat.example:443", {"public_url": "https://chat.example"}),
        ("https://app.example", {"origins": ("https://app.example",)}),
        ("https://any.example", {"origins": ("*",)}),
    ],
)
def test_pages_of_the_servers_own_origin_and_of_those_in_the_settings_are_let_in(
    origin: str, settings: dict[str, Any]
) -> None:
    assert accept(upgrade_bytes(TARGET, {"Origin": origin}), **settings).claims.user_id == 5


@pytest.mark.parametrize(
    ("origin", "settings"),
    [
        ("null", {}),
        ("https://beseda.test", {}),
        (f"{OWN}:8000", {}),
        (f"{OWN}.evil.example", {}),
        ("http://evil.example", {}),
        (OWN, {"public_url": "https://chat.example"}),
        ("https://evil.example", {"origins": ("https://app.example",)}),
        ("http://[", {}),
        ("file://", {}),
        (" ", {}),
    ],
)
def test_pages_of_any_other_origin_are_forbidden(origin: str, settings: dict[str, Any]) -> None:
    refused(upgrade_bytes(TARGET, {"Origin": origin}), "forbidden_origin", **settings)


def test_the_origin_is_judged_before_the_token() -> None:
    refused(upgrade_bytes("/ws", {"Origin": "http://evil.example"}), "forbidden_origin")


def test_without_a_host_only_what_has_no_origin_is_let_in() -> None:
    refused(upgrade_bytes(TARGET, {"Host": "", "Origin": OWN}), "forbidden_origin")
    assert accept(upgrade_bytes(TARGET, {"Host": ""})).claims.user_id == 5


def test_behind_a_trusted_proxy_the_scheme_is_what_the_proxy_heard() -> None:
    page = {"Origin": "https://beseda.test", "X-Forwarded-Proto": "https"}
    assert accept(upgrade_bytes(TARGET, page), peer="127.0.0.1").claims.user_id == 5
    refused(upgrade_bytes(TARGET, page), "forbidden_origin", peer="192.0.2.1")
    refused(upgrade_bytes(TARGET, {**page, "Origin": OWN}), "forbidden_origin", peer="127.0.0.1")


def test_with_tls_of_its_own_the_servers_origin_is_https() -> None:
    assert (
        accept(upgrade_bytes(TARGET, {"Origin": "https://beseda.test"}), scheme="https").claims.user_id == 5
    )
    refused(upgrade_bytes(TARGET, {"Origin": OWN}), "forbidden_origin", scheme="https")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Connection": ""}, "upgrade_required"),
        ({"Connection": "close"}, "upgrade_required"),
        ({"Upgrade": ""}, "upgrade_required"),
        ({"Upgrade": "h2c"}, "upgrade_required"),
        ({"Sec-WebSocket-Key": "AAAA"}, "malformed"),
        ({"Sec-WebSocket-Key": "\xe4" * 24}, "malformed"),
        ({"Connection": "Upgrade, ,;;"}, "malformed"),
        ({"X": "\x01"}, "malformed"),
        ({"X": "x" * 9000}, "headers_too_large"),
        ({f"X-{number}": "x" for number in range(200)}, "headers_too_large"),
    ],
)
def test_what_is_no_handshake_is_refused(headers: dict[str, str], code: Code) -> None:
    refused(upgrade_bytes(TARGET, headers), code)


def test_an_endless_url_is_refused() -> None:
    refused(upgrade_bytes("/ws?token=" + "x" * 9000), "headers_too_large")


@pytest.mark.parametrize(
    "request_line",
    [b"", b"\r\n\r\n", b"GET\r\n\r\n", b"GET /ws HTTP/2\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"],
)
def test_what_cannot_be_read_is_malformed(request_line: bytes) -> None:
    refused(request_line, "malformed")


def answer(refusal: Refused) -> tuple[str, dict[str, str], bytes]:
    head, _, body = handshake.refuse(refusal).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize(
    ("code", "status", "header", "value"),
    [
        ("malformed", "400 Bad Request", "Connection", "close"),
        ("unauthorized", "401 Unauthorized", "WWW-Authenticate", "Bearer"),
        ("forbidden_origin", "403 Forbidden", "Cache-Control", "no-store"),
        ("not_found", "404 Not Found", "X-Content-Type-Options", "nosniff"),
        ("method_not_allowed", "405 Method Not Allowed", "Allow", "GET"),
        ("upgrade_required", "426 Upgrade Required", "Upgrade", "websocket"),
        ("upgrade_required", "426 Upgrade Required", "Sec-WebSocket-Version", "13"),
        ("headers_too_large", "431 Request Header Fields Too Large", "Referrer-Policy", "no-referrer"),
        ("unavailable", "503 Service Unavailable", "Retry-After", "30"),
    ],
)
def test_a_refusal_is_an_http_answer_with_a_problem(code: Code, status: str, header: str, value: str) -> None:
    line, headers, body = answer(Refused(code, retry_after=30 if code == "unavailable" else None))
    assert line == f"HTTP/1.1 {status}"
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Content-Length"] == str(len(body))
    assert headers["Connection"] == "close"
    assert headers[header] == value
    assert f'"code":"{code}"'.encode() in body


def test_nothing_of_a_token_stands_in_a_refusal() -> None:
    refusal = refused(upgrade_bytes(f"/ws?token={TOKEN}x"), "unauthorized")
    assert TOKEN[-20:].encode() not in handshake.refuse(refusal)
    refusal = refused(upgrade_bytes(TARGET, {"Sec-WebSocket-Key": "AAAA"}), "malformed")
    assert TOKEN[-20:].encode() not in handshake.refuse(refusal)


def test_the_key_of_these_tests_is_the_rfcs() -> None:
    assert len(base64.b64decode(KEY)) == 16
