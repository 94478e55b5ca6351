"""Tokens: only ours, only of the right kind, only in their time (docs/protocol.md section 1)."""

import base64
import contextlib
import json
from typing import Any

import jwt
import pytest

from actions.tokens import KNOWN_TOKENS, Claims, Tokens
from protocol.errors import Refused
from tests.support.store import KEY, START, Clock

NOW = START // 1000
ACCESS: dict[str, Any] = {"sub": "7", "sid": 3, "typ": "access", "iat": NOW, "exp": NOW + 900}


def b64(data: bytes) -> str:
    """As in a JWT."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims: Any = None, key: bytes = KEY, algorithm: str = "HS256", **header: Any) -> str:
    """A token with these claims, signed as it says."""
    payload = b64(json.dumps(ACCESS if claims is None else claims).encode())
    head = b64(json.dumps({"alg": algorithm, "typ": "JWT", **header}).encode())
    # What is no HMAC is signed as if it were: the key that an attacker has guessed, in the confusion of the two kinds.
    signer = jwt.algorithms.get_default_algorithms()[algorithm if algorithm.startswith("HS") else "HS256"]
    signature = signer.sign(f"{head}.{payload}".encode(), signer.prepare_key(key))
    return f"{head}.{payload}.{b64(signature)}"


def without(*names: str, **changes: Any) -> dict[str, Any]:
    """The claims of a good access token, but for these."""
    return {key: value for key, value in {**ACCESS, **changes}.items() if key not in names}


@pytest.fixture
def clock() -> Clock:
    """The tokens' clock."""
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    """What issues and reads them."""
    return Tokens(KEY, 900, 30 * 86_400, clock)


def refuse(tokens: Tokens, token: str, kind: Any = "access") -> None:
    """The token must be refused, in the words in which all are."""
    with pytest.raises(Refused) as caught:
        tokens.read(token, kind)
    assert caught.value.code == "unauthorized"
    assert caught.value.detail == "The token is missing, invalid or expired."


def test_what_was_issued_is_read_back(tokens: Tokens) -> None:
    assert tokens.read(tokens.issue_access(7, 3), "access") == Claims(7, 3, None)
    assert tokens.read(tokens.issue_refresh(7, 3, "a jti"), "refresh") == Claims(7, 3, "a jti")
    # The forgeries below are made by the same recipe as this one, so each is refused for its own fault.
    assert tokens.read(signed(), "access") == Claims(7, 3, None)


def test_a_token_says_what_the_protocol_says(tokens: Tokens) -> None:
    assert jwt.get_unverified_header(tokens.issue_access(7, 3))["alg"] == "HS256"
    options: Any = {"verify_signature": False}
    assert jwt.decode(tokens.issue_access(7, 3), options=options) == ACCESS
    assert jwt.decode(tokens.issue_refresh(7, 3, "a jti"), options=options) == {
        **ACCESS,
        "typ": "refresh",
        "jti": "a jti",
        "exp": NOW + 30 * 86_400,
    }


def test_one_kind_is_never_taken_for_the_other(tokens: Tokens) -> None:
    refuse(tokens, tokens.issue_access(7, 3), "refresh")
    refuse(tokens, tokens.issue_refresh(7, 3, "a jti"), "access")
    for kind in (None, "", "Access", "access ", ["access"], {"access": 1}, True, 1, "ticket"):
        refuse(tokens, signed(without(typ=kind)))


def test_a_token_ends_at_its_hour(tokens: Tokens, clock: Clock) -> None:
    access, refresh = tokens.issue_access(7, 3), tokens.issue_refresh(7, 3, "a jti")
    clock.advance(899.999)
    assert tokens.read(access, "access").user_id == 7
    clock.advance(0.001)
    refuse(tokens, access)
    clock.advance(30 * 86_400 - 901)
    assert tokens.read(refresh, "refresh").user_id == 7
    clock.advance(1)
    refuse(tokens, refresh, "refresh")


@pytest.mark.parametrize("year", [1971, 2100])
def test_only_the_clock_that_was_given_is_asked(year: int) -> None:
    tokens = Tokens(KEY, 900, 900, Clock((year - 1970) * 365 * 86_400_000))
    assert tokens.read(tokens.issue_access(7, 3), "access") == Claims(7, 3, None)


def test_a_token_that_is_known_is_held_to_its_kind_and_its_time_and_forges_no_other(
    tokens: Tokens, clock: Clock
) -> None:
    access, refresh = tokens.issue_access(7, 3), tokens.issue_refresh(7, 3, "a jti")
    for _ in range(2):
        assert tokens.read(access, "access") == Claims(7, 3, None)
        assert tokens.read(refresh, "refresh") == Claims(7, 3, "a jti")
        refuse(tokens, access, "refresh")
        refuse(tokens, refresh)
        refuse(tokens, access[:-5] + refresh[-5:])
        refuse(tokens, signed(key=b"another HS256 key of 32 bytes..."))
        refuse(Tokens(b"another HS256 key of 32 bytes...", 900, 900, clock), access)
    clock.advance(900)
    assert tokens.read(access, "access", expired_too=True) == Claims(7, 3, None, has_expired=True)
    refuse(tokens, access)
    clock.advance(-1)
    assert tokens.read(access, "access") == Claims(7, 3, None)


def test_a_token_is_verified_anew_when_many_others_were_shown_since(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    decode = jwt.decode

    def recording(token: str, *given: Any, **named: Any) -> Any:
        verified.append(token)
        return decode(token, *given, **named)

    monkeypatch.setattr(jwt, "decode", recording)
    shown = [tokens.issue_access(user_id, 3) for user_id in range(1, KNOWN_TOKENS + 2)]
    for token in [shown[0], *shown]:
        tokens.read(token, "access")
    assert verified == shown
    tokens.read(shown[1], "access")
    tokens.read(shown[0], "access")
    assert verified == [*shown, shown[0]]


def test_a_clock_that_was_stepped_back_by_half_a_minute_logs_nobody_out(tokens: Tokens, clock: Clock) -> None:
    token = tokens.issue_access(7, 3)
    clock.advance(-30)
    assert tokens.read(token, "access").user_id == 7
    clock.advance(-1)
    refuse(tokens, token)


@pytest.mark.parametrize("name", ["sub", "sid", "typ", "iat", "exp"])
def test_a_token_that_says_too_little_is_refused(tokens: Tokens, name: str) -> None:
    refuse(tokens, signed(without(name)))
    refuse(tokens, signed(without(**{name: None})))


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": 7},
        {"sub": "0"},
        {"sub": "-7"},
        {"sub": "07"},
        {"sub": "7.0"},
        {"sub": "٧"},
        {"sub": " 7"},
        {"sub": "anna"},
        {"sub": str(2**53)},
        {"sub": ["7"]},
        {"sub": {"7": 7}},
        {"sub": True},
        {"sid": "3"},
        {"sid": 3.0},
        {"sid": True},
        {"sid": [3]},
        {"iat": str(NOW)},
        {"iat": NOW + 0.5},
        {"iat": True},
        {"iat": [NOW]},
        {"iat": NOW + 31},
        {"iat": 10**400},
        {"iat": float("nan")},
        {"exp": str(NOW + 900)},
        {"exp": NOW + 900.5},
        {"exp": 1e308},
        {"exp": float("inf")},
        {"exp": -(10**400)},
        {"exp": True},
        {"exp": [NOW + 900]},
        {"exp": NOW},
        {"exp": 0},
        {"exp": -1},
        {"jti": 7},
        {"jti": ["a jti"]},
    ],
    ids=lambda changes: json.dumps(changes)[:20],
)
def test_a_claim_of_another_type_or_time_is_refused(tokens: Tokens, changes: dict[str, Any]) -> None:
    refuse(tokens, signed(without(**changes)))


@pytest.mark.parametrize("changes", [{"iss": "others"}, {"admin": True}, {"scope": ["all"]}], ids=json.dumps)
def test_claims_that_nobody_asked_for_change_nothing(tokens: Tokens, changes: dict[str, Any]) -> None:
    assert tokens.read(signed(without(**changes)), "access") == Claims(7, 3, None)


def unsigned(algorithm: Any) -> str:
    """A token that says that it needs no signature."""
    return f"{b64(json.dumps({'alg': algorithm, 'typ': 'JWT'}).encode())}.{b64(json.dumps(ACCESS).encode())}."


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", None, 0, [], {}, ["HS256"], "hs256", "HS256 "], ids=repr
)
def test_a_token_without_a_signature_is_refused(tokens: Tokens, algorithm: Any) -> None:
    refuse(tokens, unsigned(algorithm))
    refuse(tokens, unsigned(algorithm) + signed().rpartition(".")[2])


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "none"])
def test_only_the_one_algorithm_is_accepted_even_with_the_right_key(tokens: Tokens, algorithm: str) -> None:
    refuse(tokens, signed(algorithm=algorithm))


@pytest.mark.parametrize("key", [b"\0" * 32, KEY[:-1], KEY + b"x", KEY.upper(), b64(KEY).encode()], ids=repr)
def test_a_token_signed_with_another_key_is_refused(tokens: Tokens, key: bytes) -> None:
    refuse(tokens, signed(key=key))


def test_a_key_that_the_token_brings_along_is_not_asked(tokens: Tokens) -> None:
    own = b"another key of just thirty-two b"
    jwk = {"kty": "oct", "k": b64(own), "alg": "HS256"}
    for header in (
        {"jwk": jwk},
        {"kid": "../../dev/null"},
        {"jku": "https://evil.example/"},
        {"x5u": "https://evil.example/"},
    ):
        refuse(tokens, signed(key=own, **header))


def test_no_part_of_a_token_can_be_changed(tokens: Tokens) -> None:
    header, payload, signature = tokens.issue_access(7, 3).split(".")
    other = b64(json.dumps(without(sub="8")).encode())
    for changed in (
        f"{header}.{other}.{signature}",
        f"{header}.{payload}.{signature[:-2]}",
        f"{header}.{payload}.{signature[::-1]}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{header}..{signature}",
        f".{payload}.{signature}",
        f"{header}.{payload}.{signature}.{signature}",
        f"{payload}.{header}.{signature}",
        f"{signed(without(sub='8')).rpartition('.')[0]}.{signature}",
    ):
        refuse(tokens, changed)


@pytest.mark.parametrize(
    "payload",
    [
        '{"sub": "8", "sub": "7", %s}',
        '{"sub": "7", "sub": "8", %s}',
        '{"sub": "7", %s, "exp": 99999999999}',
        '{"sub": "7", %s, "typ": "refresh", "typ": "access"}',
        '{"sub": "\\ud800", %s}',
    ],
)
def test_a_claim_that_is_made_twice_needs_the_key_like_any_other(tokens: Tokens, payload: str) -> None:
    rest = f'"sid": 3, "typ": "access", "iat": {NOW}, "exp": {NOW + 900}'
    head, _, signature = tokens.issue_access(7, 3).split(".")
    refuse(tokens, f"{head}.{b64((payload % rest).encode())}.{signature}")


@pytest.mark.parametrize("padding", ["=", "==", "===", "=x"])
def test_however_a_token_is_spelled_it_is_of_the_same_session(tokens: Tokens, padding: str) -> None:
    # The library takes `token=` too: so what ends a session ends it by what the token says, never by its letters.
    token = tokens.issue_access(7, 3)
    with contextlib.suppress(Refused):
        assert tokens.read(token + padding, "access") == Claims(7, 3, None)


def nested(depth: int, opening: str, closing: str) -> str:
    """A token whose header is nested as deep as that."""
    header = opening * depth + closing * depth
    return f"{b64(header.encode())}.{b64(json.dumps(ACCESS).encode())}.{b64(b'x' * 32)}"


GARBAGE = {
    "nothing": "",
    "a dot": ".",
    "two dots": "..",
    "three dots": "...",
    "a word": "nonsense",
    "three letters": "a.b.c",
    "NUL": "\0",
    "other scripts": "токен.из.букв",
    "a letter too many": signed() + "é",
    "half a character": signed()[:-1] + "\ud800",
    "much of it": "x" * 100_000,
    "dots only": "." * 100_000,
    "brackets": nested(1_000, "[", "]"),
    "many brackets": nested(100_000, "[", "]"),
    "many braces": nested(100_000, '{"alg":', "}"),
    "a large number": f"{b64(b'1' * 5000)}.e30.e30",
    "a header with a large number": b64(b'{"alg": ' + b"1" * 5000 + b"}") + ".e30.e30",
    "a header of null": f"{b64(b'null')}.e30.e30",
    "a header that is no text": f"{b64(bytes([255] * 30))}.e30.e30",
    "a list of claims": signed([]),
    "a text for claims": signed("claims"),
    "a number for claims": signed(7),
    "a detached payload": signed(b64=False, crit=["b64"]),
    "a critical extension": signed(crit=["unheard-of"]),
    "a claim with a large number": b64(b'{"alg": "HS256"}')
    + "."
    + b64(b'{"exp": ' + b"1" * 5000 + b"}")
    + ".e30",
    "no critical extension": signed(crit=[]),
    "a key id that is a number": signed(kid=7),
    "a scheme": "Bearer " + signed(),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_refused_like_any_other_token(tokens: Tokens, name: str) -> None:
    for kind in ("access", "refresh"):
        refuse(tokens, GARBAGE[name], kind)


def test_a_token_that_has_expired_is_read_where_that_is_asked_for(tokens: Tokens, clock: Clock) -> None:
    token = tokens.issue_access(7, 3)
    assert tokens.read(token, "access", expired_too=True) == Claims(7, 3, None)
    clock.advance(900)
    refuse(tokens, token)
    assert tokens.read(token, "access", expired_too=True) == Claims(7, 3, None, has_expired=True)
    for forged in (token[:-5] + "AAAAA", signed(key=b"another key of thirty-two bytes.")):
        with pytest.raises(Refused):
            tokens.read(forged, "access", expired_too=True)
