"""TLS: the server's certificate, read at the start and again when its files change. Open sockets never notice."""

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

logger = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
"""How long a client may take to shake hands; asyncio would give it a minute."""

LOOK_EVERY_SECONDS = 60.0
READ_EVERY_SECONDS = 86_400.0
_MISMATCHES = {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
LATE = 0.1
"""What is left of a certificate's life once its renewal is late: whoever renews by himself does so at a third."""


class BadCertificate(Exception):
    """The certificate or its key cannot be used: a line that names the file."""


class Certificate:
    """What new connections are served with: a certificate with its chain and its key, both PEM files.

    A context cannot be rid of what it has loaded: after an RSA certificate an ECDSA one would stand beside it, and
    clients go on getting the old one. So each load has a context of its own, and `context`, which the server listens
    with, hands every new connection to the newest.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        """Raises BadCertificate."""
        self._chain, self._key = chain, key
        self._seen = self._stamps()
        self._read_at = time.monotonic()
        self._newest = _load(chain, key)
        self.context = _context()
        self.context.sni_callback = self._hand_on  # it is called for clients that name no server, too
        self._warn()

    def reload(self, now: float) -> None:
        """Read the files again. If they cannot be used, say so, and go on with what is there."""
        self._seen, self._read_at = self._stamps(), now
        try:
            self._newest = _load(self._chain, self._key)
        except BadCertificate as error:
            logger.error("The certificate stays the old one: %s", error)
        else:
            logger.info("The certificate was read again")
            self._warn()

    def look(self, now: float) -> None:
        """Reload what has changed, and once a day to warn of what is wrong still. `now` is monotonic, in seconds."""
        if self._stamps() != self._seen or now - self._read_at >= READ_EVERY_SECONDS:
            self.reload(now)

    def _warn(self) -> None:
        if (wrong := _doubt(self._newest, self._chain)) is not None:
            logger.warning("%s: %s", self._chain, wrong)

    def _stamps(self) -> list[tuple[int, ...] | None]:
        return [_stamp(self._chain), _stamp(self._key)]

    def _hand_on(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._newest


@contextlib.asynccontextmanager
async def keeping_fresh(certificate: Certificate) -> AsyncIterator[None]:
    """Look at its files every minute, for as long as the block lasts."""
    task = asyncio.create_task(_keep_looking(certificate))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _keep_looking(certificate: Certificate) -> None:
    while True:
        certificate.look(time.monotonic())
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(chain: Path, key: Path) -> ssl.SSLContext:
    """A context with the certificate and its key. Raises BadCertificate."""
    for path in (chain, key):
        try:
            path.open("rb").close()
        except OSError as error:
            raise BadCertificate(f"{path}: {error.strerror}") from None
    context = _context()
    try:
        # Without a function OpenSSL would ask for the password on the terminal.
        context.load_cert_chain(chain, key, password=_no_password)
    except _Protected:
        raise BadCertificate(f"{key}: the key has a password, which the server cannot know") from None
    except ssl.SSLError as error:
        raise BadCertificate(_reason(chain, key, error)) from None
    except OSError as error:
        raise BadCertificate(f"{chain}, {key}: {error.strerror}") from None
    return context


def _reason(chain: Path, key: Path, error: ssl.SSLError) -> str:
    """What is wrong, and in which of the files: OpenSSL doesn't say."""
    if error.reason in _MISMATCHES:
        return f"{key}: this is not the key of the certificate in {chain}"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(chain)
    except ssl.SSLError:
        return f"{chain}: there is no certificate in it (PEM)"
    # What OpenSSL finds unsafe, such as a key of 1024 bits, it has a word for; for what it can't read it has none.
    reason: str | None = error.reason
    return (
        f"{chain}: {reason.replace('_', ' ').lower()}"
        if reason
        else f"{key}: there is no private key in it (PEM)"
    )


def _doubt(context: ssl.SSLContext, chain: Path) -> str | None:
    """What clients will find wrong with the certificate by itself, or will soon; None if there is nothing.

    It is seen in a handshake with ourselves, where it is its own authority.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = context.wrap_bio(to_server, to_client, server_side=True)
    client_side = client.wrap_bio(to_client, to_server)
    try:
        client.load_verify_locations(chain)
        for side in (client_side, server_side, client_side):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        found = client_side.getpeercert()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except (OSError, ValueError) as error:
        return f"a handshake with it failed: {error}"
    if not found:
        return None
    begin, end = (ssl.cert_time_to_seconds(str(found[name])) for name in ("notBefore", "notAfter"))
    is_late = end - time.time() < LATE * (end - begin)
    return f"the certificate ends on {found['notAfter']}, and was not renewed yet" if is_late else None


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes when the file does; links are followed, as certbot has them."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)


class _Protected(Exception):
    pass


def _no_password() -> str:
    raise _Protected
