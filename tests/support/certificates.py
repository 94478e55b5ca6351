"""Certificates for our own tests, and clients that believe them."""

import contextlib
import socket
import ssl
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import trustme

NAME = "127.0.0.1"


class Authority:
    """Signs certificates for 127.0.0.1 into `chain` and `key`, and knows who trusts it."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.chain, self.key = folder / "chain.pem", folder / "key.pem"

    @property
    def settings(self) -> dict[str, str]:
        """What a server needs to be told."""
        return {"server.tls_cert": str(self.chain), "server.tls_key": str(self.key)}

    def issue(
        self,
        *,
        kind: trustme.KeyType = trustme.KeyType.ECDSA,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> None:
        """Write a new certificate and its key over the old ones."""
        made = self._ca.issue_cert(NAME, key_type=kind, not_before=not_before, not_after=not_after)
        self.chain.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
        made.private_key_pem.write_to_path(self.key)

    def trust(self) -> ssl.SSLContext:
        """A client's context that believes this authority and no other."""
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context


def served(url: str, trust: ssl.SSLContext) -> bytes:
    """The certificate (DER) that a new connection is served with. Raises ssl.SSLError."""
    address = urlsplit(url)
    with (
        socket.create_connection((NAME, address.port or 443), timeout=20) as plain,
        trust.wrap_socket(plain, server_hostname=NAME) as connection,
    ):
        return found_in(connection)


def handed_out(context: ssl.SSLContext, trust: ssl.SSLContext, name: str | None = NAME) -> bytes:
    """The certificate (DER) that a server with this context shows, in memory. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = trust.wrap_bio(to_client, to_server, server_hostname=name)
    for side in (client, server) * 3:
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return found_in(client)


def found_in(connection: ssl.SSLSocket | ssl.SSLObject) -> bytes:
    """The other side's certificate (DER)."""
    found = connection.getpeercert(binary_form=True)
    assert found is not None
    return found
