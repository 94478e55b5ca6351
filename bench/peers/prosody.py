"""Prosody, with its archives of rooms and of dialogs on SQLite."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.peers.xmpp import HOST, ROOMS_HOST, XmppServer

CONFIGURATION = """
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}"
log = {{ warn = "*console" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
modules_enabled = {{ "roster", "saslauth", "disco", "mam", "smacks" }}
modules_disabled = {{ "s2s", "tls" }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = {{ accounts = "internal", archive = "sql", muc_log = "sql" }}
sql = {{ driver = "SQLite3", database = "archive.sqlite" }}
VirtualHost "{host}"
Component "{rooms}" "muc"
    modules_enabled = {{ "muc_mam" }}
    muc_log_by_default = true
    muc_room_locking = false
    muc_room_default_presence_broadcast = {{ visitor = false, participant = false, moderator = false }}
"""


class Prosody(XmppServer):
    """Debian's `prosody`."""

    name = "prosody"
    # All but rooms of 2000: who enters costs it time by those who are there, minutes until all are in.
    scenarios = "*[!0]??, *"

    def missing(self) -> str | None:
        if shutil.which("prosody") is None or not any(Path("/usr/lib").glob("*/lua/5.*/dbd/sqlite3.so")):
            return "Prosody or its driver for SQLite is not there: apt install prosody lua-dbi-sqlite3"
        return None

    def prepare(
        self, folder: Path, port: int, names: Sequence[str]
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        configuration = folder / "prosody.cfg.lua"
        configuration.write_text(CONFIGURATION.format(folder=folder, port=port, host=HOST, rooms=ROOMS_HOST))
        accounts = folder / HOST / "accounts"
        accounts.mkdir(parents=True)
        for name in names:
            (accounts / f"{name}.dat").write_text(f'return {{ ["password"] = "{name}" }};\n')
        return ["prosody", "-F", "--config", str(configuration)], {}
