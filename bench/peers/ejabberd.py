"""ejabberd, with its archives of rooms and of dialogs on SQLite."""

import os
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from bench.peers.xmpp import HOST, ROOMS_HOST, XmppServer

LIBRARIES = Path("/usr/lib")
SCHEMA = Path("/usr/share/ejabberd/sql/lite.sql")
CONFIGURATION = """
hosts: ["{host}"]
loglevel: warning
auth_method: sql
default_db: sql
sql_type: sqlite
sql_database: "{database}"
listen:
  - port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    backlog: 1024
modules:
  mod_disco: {{}}
  mod_roster: {{}}
  mod_stream_mgmt: {{}}
  mod_mam:
    default: always
  mod_muc:
    host: "{rooms}"
    max_users: 10000
    default_room_options:
      mam: true
      max_users: 10000
      presence_broadcast: []
"""


class Ejabberd(XmppServer):
    """Debian's `ejabberd`, as `ejabberdctl foreground` starts it, but not as a node that others may find."""

    name = "ejabberd"

    def missing(self) -> str | None:
        if shutil.which("erl") is None or not SCHEMA.exists() or not self._programs():
            return "ejabberd is not there: apt install ejabberd"
        return None

    def prepare(
        self, folder: Path, port: int, names: Sequence[str]
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        database = folder / "ejabberd.sqlite"
        with closing(sqlite3.connect(database)) as accounts:
            accounts.executescript(SCHEMA.read_text())
            accounts.executemany(
                "INSERT INTO users (username, password) VALUES (?, ?)", zip(names, names, strict=True)
            )
            accounts.commit()
        configuration = folder / "ejabberd.yml"
        configuration.write_text(
            CONFIGURATION.format(host=HOST, rooms=ROOMS_HOST, database=database, port=port)
        )
        return ["erl", "-noinput", "-mnesia", "dir", f'"{folder}"', "-s", "ejabberd"], {
            "ERL_LIBS": os.fspath(self._programs()[0]),
            "ERL_CRASH_DUMP": os.fspath(folder / "erl_crash.dump"),
            "EJABBERD_CONFIG_PATH": os.fspath(configuration),
            "EJABBERD_LOG_PATH": os.fspath(folder / "ejabberd.log"),
            "CONTRIB_MODULES_PATH": os.fspath(folder),
        }

    def _programs(self) -> list[Path]:
        """The folder of libraries in which ejabberd itself is."""
        return [found.parent for found in LIBRARIES.glob("*/ejabberd-*")]
