"""Binding the sockets that the server listens on."""

import socket

import pytest

from beseda.listening import CannotListen, bind, url


def close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


def test_port_zero_takes_a_free_one() -> None:
    sockets = bind("127.0.0.1", 0)
    try:
        assert [one.getsockname()[0] for one in sockets] == ["127.0.0.1"]
        assert sockets[0].getsockname()[1] > 0
        assert not sockets[0].getblocking()
    finally:
        close(sockets)


def test_all_addresses_of_a_name_are_listened_on_with_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **rest: object) -> list[tuple[object, ...]]:
        addresses = ("127.0.0.1", "127.0.0.2", "127.0.0.1")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    sockets = bind("both.example", 0)
    try:
        assert [one.getsockname()[0] for one in sockets] == ["127.0.0.1", "127.0.0.2"]
        assert len({one.getsockname()[1] for one in sockets}) == 1
    finally:
        close(sockets)


def test_an_address_that_this_machine_lacks_is_passed_over_where_there_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def resolve(host: str, port: int, **rest: object) -> list[tuple[object, ...]]:
        addresses = ("203.0.113.1", "127.0.0.1")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    sockets = bind("both.example", 0)
    try:
        assert [one.getsockname()[0] for one in sockets] == ["127.0.0.1"]
    finally:
        close(sockets)


def test_an_address_that_this_machine_lacks_is_told() -> None:
    with pytest.raises(CannotListen, match=r"^cannot listen on 203\.0\.113\.1 port 8000: Cannot assign"):
        bind("203.0.113.1", 8000)


def test_a_port_that_is_taken_is_told_in_plain_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            CannotListen, match=rf"^cannot listen on 127\.0\.0\.1 port {port}: something else listens there$"
        ):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no such host", "a..b", "x" * 70 + ".example", "nowhere.invalid"])
def test_a_host_that_is_none_is_told(host: str) -> None:
    with pytest.raises(CannotListen, match=f"^cannot listen on {host}: "):
        bind(host, 0)


def test_a_failure_half_way_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]

        def resolve(host: str, port: int, **rest: object) -> list[tuple[object, ...]]:
            addresses = ("127.0.0.1", "127.0.0.2")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        # A socket that is left open would be a ResourceWarning, which is an error in tests.
        with pytest.raises(CannotListen, match="something else listens there"):
            bind("both.example", port)
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_an_ipv6_socket_leaves_ipv4_alone() -> None:
    try:
        sockets = bind("::", 0)
    except CannotListen:
        pytest.skip("there is no IPv6 here")
    try:
        assert sockets[0].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        close(bind("0.0.0.0", sockets[0].getsockname()[1]))
    finally:
        close(sockets)


def test_urls_have_brackets_around_ipv6() -> None:
    assert url("127.0.0.1", 8000) == "http://127.0.0.1:8000"
    assert url("::1", 8000) == "http://[::1]:8000"
