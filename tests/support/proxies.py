"""Real proxies in front of a server, with the files of `deploy/`: only names, ports and paths are others."""

import contextlib
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.certificates import NAME, Authority
from tests.support.server import ROOT, ServerProcess

SECONDS = 20.0
DOMAIN = "chat.example.org"
UPSTREAM = "127.0.0.1:8000"


class MakeCommand(Protocol):
    """Writes a proxy's files into a folder; the command that runs it."""

    def __call__(self, folder: Path, authority: Authority, port: int, upstream: str) -> list[str]: ...


class Proxy:
    """A proxy on a port of its own, which `put_before` starts in front of a server."""

    def __init__(self, folder: Path, authority: Authority, make_command: MakeCommand) -> None:
        folder.mkdir()
        self.port = free_port()
        self.url = f"https://{NAME}:{self.port}"
        self.trust = authority.trust()
        self._folder, self._authority, self._make_command = folder, authority, make_command
        self._upstream = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it, and wait until it takes connections (bounded)."""
        command = self._make_command(self._folder, self._authority, self.port, self._upstream)
        with (self._folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env={"HOME": str(self._folder), "PATH": "/usr/bin:/bin"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + SECONDS
        while not self._is_listening():
            assert self._process.poll() is None, f"it ended: {self.logs()}"
            assert time.monotonic() < deadline, f"it does not listen: {self.logs()}"
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM; what it does not let go of within its time is killed."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"it did not end: {self.logs()}") from None
        self._process = None

    def put_before(self, server: ServerProcess) -> None:
        """Start before a server that runs: from here on its clients come this way."""
        self._upstream = server.base_url.removeprefix("http://")
        self.start()
        server.base_url, server.trust = self.url, self.trust
        server.ws_url = f"wss://{NAME}:{self.port}/ws"

    def logs(self) -> str:
        """All that it has written anywhere."""
        return "".join(path.read_text("utf-8", "replace") for path in sorted(self._folder.glob("*.log")))

    def _is_listening(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection((NAME, self.port), timeout=SECONDS).close()
            return True
        return False


def caddy(folder: Path, authority: Authority, port: int, upstream: str) -> list[str]:
    """`deploy/Caddyfile`, with a certificate of ours and without what Caddy does to the whole machine."""
    text = (ROOT / "deploy/Caddyfile").read_text("utf-8")
    text = replaced(
        text, "\n{\n", "\n{\n    admin off\n    auto_https disable_redirects\n    skip_install_trust\n"
    )
    tls = f"tls {authority.chain} {authority.key}"
    text = replaced(text, f"\n{DOMAIN} {{\n", f"\nhttps://{NAME}:{port} {{\n    bind {NAME}\n    {tls}\n")
    (folder / "Caddyfile").write_text(
        replaced(text, f"reverse_proxy {UPSTREAM}", f"reverse_proxy {upstream}")
    )
    return [program("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def nginx(folder: Path, authority: Authority, port: int, upstream: str) -> list[str]:
    """`deploy/nginx.conf`, with a certificate of ours, in a main file that keeps all that is written in the folder."""
    text = (ROOT / "deploy/nginx.conf").read_text("utf-8")
    text = replaced(
        text, "    listen 443 ssl;\n    listen [::]:443 ssl;\n", f"    listen {NAME}:{port} ssl;\n"
    )
    text = replaced(text, f"/etc/ssl/{DOMAIN}.pem", str(authority.chain))
    text = replaced(text, f"/etc/ssl/{DOMAIN}.key", str(authority.key))
    text = text.replace("/var/log/nginx/", f"{folder}/")
    (folder / "site.conf").write_text(replaced(text, f"http://{UPSTREAM};", f"http://{upstream};"))
    kept = "".join(
        f"    {name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"user root;\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/main.error.log;\nevents {{}}\n"
    (folder / "main.conf").write_text(f"{main}http {{\n{kept}    include site.conf;\n}}\n")
    return [program("nginx"), "-p", str(folder), "-c", str(folder / "main.conf")]


def replaced(text: str, old: str, new: str) -> str:
    """`text` with `new` for the one `old`: what a shipped file no longer says must not pass unnoticed."""
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in:\n{text}"
    return text.replace(old, new)


def program(name: str) -> str:
    """Where it is. Debian keeps servers where only root looks."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail(f"{name} is missing: install it (on Debian: apt install caddy nginx-light)")
    return found


def free_port() -> int:
    """A port that nothing else takes by chance: systems give free ones out of a range above these."""
    while True:
        port = random.randint(15_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server((NAME, port)):
            return port
