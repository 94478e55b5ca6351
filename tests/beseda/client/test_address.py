"""The address of a server, as people write it."""

import pytest

from beseda.client import Unreachable
from beseda.client.address import base_url


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://chat.example.org", "https://chat.example.org"),
        ("https://chat.example.org/", "https://chat.example.org"),
        (" chat.example.org ", "https://chat.example.org"),
        ("Chat.Example.org:8443", "https://chat.example.org:8443"),
        ("wss://chat.example.org", "https://chat.example.org"),
        ("http://10.0.0.5:8000", "http://10.0.0.5:8000"),
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("[2001:db8::1]", "https://[2001:db8::1]"),
    ],
)
def test_an_address_may_be_written_as_people_do(written: str, meant: str) -> None:
    assert base_url(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "",
        "https://",
        "ftp://chat.example.org",
        "htp://chat.example.org",
        "https://chat.example.org/beseda",
        "https://chat.example.org?token=secret",
        "https://ann:secret@chat.example.org",
        "https://chat.example.org:99999",
        "https://[::1",
        "chat example.org",
    ],
)
def test_what_is_no_address_is_told_with_an_example(written: str) -> None:
    with pytest.raises(
        Unreachable, match=r"This is no server's address: .* looks like https://chat\.example\.org\."
    ):
        base_url(written)
