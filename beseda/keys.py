"""The server's signing key: one secret file in the data folder, and from it a key for each purpose."""

import contextlib
import hmac
import logging
import os
import secrets
import stat
from pathlib import Path

from storage import Unusable

FILE_NAME = "signing.key"
KEY_BYTES = 32

logger = logging.getLogger(__name__)


def signing_key(folder: Path, *, is_expected: bool = False) -> bytes:
    """The key of this data folder, made on the first start. Raises Unusable, naming the file.

    The folder is locked, so nobody else makes one meanwhile. Where one `is_expected` and lacks, that is logged: all
    tokens and links die with it.
    """
    path = folder / FILE_NAME
    try:
        if not path.exists():
            _make(path)
            if is_expected:
                logger.warning("%s was missing, and a new one was made: everyone has to log in again", path)
        mode = stat.S_IMODE(path.stat().st_mode)
        key = path.read_bytes()
    except OSError as error:
        raise Unusable(f"{path}: the signing key cannot be used: {error.strerror}.") from None
    if mode & 0o077:
        raise Unusable(
            f"{path}: the signing key is open to others than its owner (mode {mode:o}). Do: chmod 600 {path}"
        )
    if len(key) != KEY_BYTES:
        raise Unusable(
            f"{path}: the signing key has {len(key)} bytes instead of {KEY_BYTES}."
            " Restore it, or remove it to log everyone out."
        )
    return key


def derive(key: bytes, purpose: str) -> bytes:
    """A key for one purpose, which tells nothing of those for others."""
    return hmac.digest(key, purpose.encode(), "sha256")


def _make(path: Path) -> None:
    """Write a new key. It gets its name when it is whole and on the disk: a crash leaves no half of one."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(folder)
    finally:
        os.close(folder)
