"""Who asks, behind proxies (`protocol.forwarded`)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.forwarded import client, networks

TRUSTED = ("127.0.0.1", "::1", "10.0.0.0/8", "fd00::/8")


def forwarded_for(*values: str) -> list[tuple[str, str]]:
    return [("X-Forwarded-For", value) for value in values]


def test_without_headers_the_peer_asks() -> None:
    assert client("203.0.113.7", [], TRUSTED) == ("203.0.113.7", None)


def test_a_stranger_s_headers_count_for_nothing() -> None:
    headers = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-proto", "https")]
    assert client("203.0.113.7", headers, TRUSTED) == ("203.0.113.7", None)


def test_nobody_is_trusted_where_the_settings_name_nobody() -> None:
    assert client("127.0.0.1", forwarded_for("198.51.100.1"), ()) == ("127.0.0.1", None)


def test_a_trusted_proxy_tells_whom_it_heard() -> None:
    assert client("127.0.0.1", forwarded_for("198.51.100.1"), TRUSTED) == ("198.51.100.1", None)


def test_what_stands_left_of_the_first_stranger_may_be_an_invention() -> None:
    headers = forwarded_for("127.0.0.1, 192.0.2.66, 198.51.100.1, 10.1.2.3")
    assert client("127.0.0.1", headers, TRUSTED) == ("198.51.100.1", None)


def test_repeated_headers_are_one_list_in_their_order() -> None:
    headers = forwarded_for("192.0.2.66, 198.51.100.1", "10.1.2.3")
    assert client("::1", headers, TRUSTED) == ("198.51.100.1", None)


def test_where_all_are_proxies_the_farthest_one_asks() -> None:
    assert client("127.0.0.1", forwarded_for("10.9.9.9, 10.1.2.3"), TRUSTED) == ("10.9.9.9", None)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("198.51.100.1:5678", "198.51.100.1"),
        ("[2001:db8::1]:5678", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("  198.51.100.1\t", "198.51.100.1"),
    ],
)
def test_addresses_are_understood_as_proxies_write_them(written: str, address: str) -> None:
    assert client("127.0.0.1", forwarded_for(written), TRUSTED) == (address, None)


@pytest.mark.parametrize("garbage", ["", ",", "unknown", "_hidden", "1.2.3", "999.1.1.1", "\xff", "a" * 5000])
def test_behind_garbage_the_last_known_proxy_asks(garbage: str) -> None:
    headers = forwarded_for(f"198.51.100.1, {garbage}, 10.1.2.3")
    assert client("127.0.0.1", headers, TRUSTED) == ("10.1.2.3", None)


def test_an_ipv4_peer_of_an_ipv6_listener_is_recognized() -> None:
    assert client("::ffff:10.0.0.1", forwarded_for("198.51.100.1"), TRUSTED) == ("198.51.100.1", None)


@pytest.mark.parametrize(
    ("written", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("wss", "https"),
        ("http", "http"),
        ("ws", "http"),
        ("ftp", None),
    ],
)
def test_a_trusted_proxy_tells_the_scheme(written: str, scheme: str | None) -> None:
    headers = [("X-Forwarded-Proto", written)]
    assert client("127.0.0.1", headers, TRUSTED) == ("127.0.0.1", scheme)


def test_of_several_schemes_the_nearest_proxy_s_counts() -> None:
    headers = [("x-forwarded-proto", "http, https"), ("x-forwarded-proto", "https, http")]
    assert client("127.0.0.1", headers, TRUSTED) == ("127.0.0.1", "http")


def test_a_peer_without_an_address_is_nobody_s_proxy() -> None:
    assert client("", forwarded_for("198.51.100.1"), ("0.0.0.0/0", "::/0")) == ("", None)


@given(
    st.text(),
    st.lists(st.tuples(st.sampled_from(["x-forwarded-for", "X-Forwarded-Proto", "Via"]), st.text())),
)
def test_no_header_makes_it_raise(peer: str, headers: list[tuple[str, str]]) -> None:
    for known in (peer, "127.0.0.1"):
        address, scheme = client(known, headers, TRUSTED)
        assert isinstance(address, str)
        assert scheme in (None, "http", "https")


@pytest.mark.parametrize("wrong", ["", "localhost", "10.0.0.1/8", "1.2.3.4/33"])
def test_what_is_no_network_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(ValueError, match=f"'?{wrong}'?"):
        networks(("::1", wrong))
