"""Which web pages may open a socket."""

import pytest

from protocol.origins import is_allowed

OWN = "https://chat.example.org"


@pytest.mark.parametrize(
    "origin",
    [
        OWN,
        "https://chat.example.org:443",
        "https://CHAT.example.org",
        "HTTPS://chat.example.org",
        None,  # no browser asks
    ],
)
def test_the_servers_own_pages_and_programs_may(origin: str | None) -> None:
    assert is_allowed(origin, OWN, [])


@pytest.mark.parametrize(
    "origin",
    [
        "null", "", "*", "https://", "https://evil.example", "http://chat.example.org", "https://chat.example.org:8443",
        "https://chat.example.org.evil.example", "https://evil-chat.example.org", "https://example.org",
        "https://chat.example.org@evil.example", "https://chat.example.org:x", "https://chat.example.org:99999",
        "https://[", "https://[::1", "ws://chat.example.org", "file:///chat.example.org", "chat.example.org",
        "//chat.example.org", "https://chat.example.org\u3002evil", "https://chatⓔ.example.org\u2100", "\0", "\udcff",
        "chrome-extension://abcdef",
    ],
)  # fmt: skip
def test_all_others_may_not(origin: str) -> None:
    assert not is_allowed(origin, OWN, [])
    assert not is_allowed(origin, OWN, ["https://app.example.org"])


def test_pages_of_the_origins_in_the_settings_may_too() -> None:
    others = ["https://app.example.org", "http://localhost:3000/"]
    assert is_allowed("https://app.example.org", OWN, others)
    assert is_allowed("http://localhost:3000", OWN, others)
    assert is_allowed(OWN, OWN, others)
    assert not is_allowed("http://localhost:3001", OWN, others)
    assert not is_allowed("https://evil.example", OWN, others)


def test_a_star_lets_every_page_in() -> None:
    for origin in ("https://evil.example", "null", "chrome-extension://abcdef"):
        assert is_allowed(origin, OWN, ["*"])


def test_an_origin_may_be_an_address() -> None:
    assert is_allowed("http://[::1]:8000", "http://[::1]:8000", [])
    assert is_allowed("http://127.0.0.1:8000", "http://127.0.0.1:8000", [])
    assert not is_allowed("http://127.0.0.1", "http://127.0.0.1:8000", [])


def test_a_settings_entry_that_is_no_url_lets_nobody_in() -> None:
    for origin in ("null", "nonsense", "https://["):
        assert not is_allowed(origin, "also nonsense", ["nonsense", "null", "https://["])
