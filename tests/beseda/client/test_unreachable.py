"""What a client says of a server that it can't reach: one sentence, whatever the reason."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trustme

from beseda.client import Client, LoggedOut, Rejected, Tokens, Unreachable

TOKENS = Tokens("access", "refresh")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Something that listens and is no Beseda; its port."""
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(ConnectionError):
            await serve(reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


def answering(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    return serve


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def both(
    url: str, expected: str, *, verify: ssl.SSLContext | None = None, timeout: float = 20.0
) -> None:
    """Calling and connecting both fail with this sentence."""
    async with Client(url, TOKENS, verify=verify, timeout=timeout) as client:
        with pytest.raises(Unreachable, match=expected):
            await client.server()
        with pytest.raises(Unreachable, match=expected):
            async with client.connect():
                pass


async def test_a_dead_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    await both(
        f"http://127.0.0.1:{port}",
        rf"^Nothing listens at http://127\.0\.0\.1:{port}\. Is the server running\?$",
    )


async def test_a_name_that_does_not_exist() -> None:
    await both("https://chat.invalid", r"^There is no host of this name: https://chat\.invalid\.$")


async def test_a_certificate_that_nobody_vouches_for() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with serving(silent, context) as port:
        await both(
            f"https://127.0.0.1:{port}", r"^The certificate of https://127\.0\.0\.1:\d+ is not trusted: .+\.$"
        )


async def test_a_certificate_for_another_name() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("chat.example.org").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serving(silent, context) as port:
        expected = r"^The certificate of https://127\.0\.0\.1:\d+ is not trusted: .*mismatch.*\.$"
        await both(f"https://127.0.0.1:{port}", expected, verify=trusting)


async def test_a_certificate_that_the_program_trusts_is_trusted() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n" + b'{"version":"1.0"}'
    async with (
        serving(answering(answer), context) as port,
        Client(f"https://127.0.0.1:{port}", verify=trusting) as client,
    ):
        assert await client.server() == {"version": "1.0"}


async def test_tls_where_none_is_spoken() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(hang_up) as port:
        await both(
            f"https://127.0.0.1:{port}", r"^https://127\.0\.0\.1:\d+ does not speak TLS properly: .+\.$"
        )


async def test_a_server_that_does_not_answer() -> None:
    async with serving(silent) as port:
        await both(
            f"http://127.0.0.1:{port}", r"^http://127\.0\.0\.1:\d+ did not answer in time\.$", timeout=0.2
        )


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nNope.",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<hr>",
    ],
)
async def test_a_server_that_is_no_beseda(answer: bytes) -> None:
    async with serving(answering(answer)) as port:
        await both(
            f"http://127.0.0.1:{port}", r"^The server answered \d+ \(.+\), but not as a Beseda server does\.$"
        )


async def test_a_page_is_not_taken_for_an_answer() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<hr>"
    async with serving(answering(answer)) as port, Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(Unreachable, match="not as a Beseda server does"):
            await client.server()


async def test_an_answer_that_breaks_off() -> None:
    answer = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{")
    async with serving(answer) as port, Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(Unreachable, match=r"can't be reached: .+\.$"):
            await client.server()


async def test_a_refused_upgrade_keeps_its_code() -> None:
    body = b'{"code":"unavailable","detail":"The server is about to stop.","status":503}'
    head = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving(answering(head + body)) as port, Client(f"http://127.0.0.1:{port}", TOKENS) as client:
        with pytest.raises(Rejected, match=r"^The server is about to stop\.$") as caught:
            async with client.connect():
                pass
    assert (caught.value.code, caught.value.status, caught.value.retry_after) == ("unavailable", 503, 5.0)


async def test_a_token_that_is_refused_twice_means_logged_out() -> None:
    body = b'{"code":"unauthorized","detail":"No.","status":401}'
    head = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving(answering(head + body)) as port, Client(f"http://127.0.0.1:{port}", TOKENS) as client:
        with pytest.raises(LoggedOut, match=r"^You are logged out: log in again\.$"):
            async with client.connect():
                pass
    assert client.tokens is None
