"""Logins that are kept between starts: one private file each, in the user's state folder."""

import fcntl
import hashlib
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from platformdirs import user_state_path

from beseda.client import Tokens


@dataclass(frozen=True)
class Login:
    """An account on a server, and its tokens."""

    url: str
    email: str
    username: str
    access: str
    refresh: str

    @property
    def tokens(self) -> Tokens:
        """What the client class takes."""
        return Tokens(self.access, self.refresh)


class Kept:
    """The logins in a folder (0700), each in a file of its own (0600).

    `claim` makes a login this process's own: two that refresh the same session's tokens would end it for both.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or user_state_path("beseda") / "logins"
        self._claims: dict[Path, int] = {}

    def all(self, url: str | None = None) -> list[Login]:
        """Those of a server, or all, the last used first. What is no login is passed over."""
        found: list[tuple[float, Login]] = []
        for path in self.folder.glob("*.json"):
            try:
                login = Login(**json.loads(path.read_text("utf-8")))
                found.append((path.stat().st_mtime, login))
            except (OSError, ValueError, TypeError):
                continue
        found.sort(key=lambda each: each[0], reverse=True)
        return [login for _, login in found if url in (None, login.url)]

    def keep(self, login: Login) -> None:
        """Write it, so that there is always a whole file and never one that others can read. Raises OSError."""
        self._make_folder()
        path = self._path(login.url, login.email)
        passing = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(login), file)
                file.flush()
                os.fsync(file.fileno())
            passing.replace(path)
        except BaseException:
            passing.unlink(missing_ok=True)
            raise

    def forget(self, url: str, email: str) -> None:
        """Remove it. Raises OSError."""
        self._path(url, email).unlink(missing_ok=True)

    def claim(self, url: str, email: str) -> bool:
        """Whether it is this process's until it ends, or until `release`. Raises OSError."""
        self._make_folder()
        path = self._path(url, email).with_suffix(".lock")
        if path in self._claims:
            return True
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._claims[path] = descriptor
        return True

    def release(self) -> None:
        """Let go of all claims."""
        while self._claims:
            os.close(self._claims.popitem()[1])

    def is_free(self, url: str, email: str) -> bool:
        """Whether no other process has claimed it. Raises OSError."""
        is_free = self.claim(url, email)
        if is_free:
            os.close(self._claims.pop(self._path(url, email).with_suffix(".lock")))
        return is_free

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)

    def _path(self, url: str, email: str) -> Path:
        account = f"{url} {email.casefold()}"
        readable = re.sub(r"[^\w.-]+", "_", account.partition("://")[2], flags=re.ASCII)[:80]
        return self.folder / f"{readable}-{hashlib.sha256(account.encode()).hexdigest()[:12]}.json"
