"""Peers that are XMPP servers, as Debian packages them, with a configuration of ours in a temporary folder.

Encryption and limits are off, accounts are made beforehand, and archives (XEP-0313) are on SQLite: a message to a room
is a commit, one in a dialog is two. Both leave SQLite as it comes, with a rollback journal and `synchronous` at FULL,
so a commit is on the disk. Rooms don't tell who is there: 200 who enter would be 40,000 presences before the first
message, and 2,000 four million.
"""

import contextlib
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.peer import Peer, Running, free_port, launched

HOST = "localhost"
ROOMS_HOST = f"rooms.{HOST}"


class XmppServer(Peer):
    """A server whose people are `pN@localhost`, with their names as passwords. What has two members is a dialog."""

    dialect = "xmpp"
    stores = True

    @abstractmethod
    def prepare(
        self, folder: Path, port: int, names: Sequence[str]
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        """Write the configuration and the accounts; the command that starts the server, and its environment."""

    @contextlib.contextmanager
    def serving(self, people: int, conversations: Sequence[Sequence[int]]) -> Iterator[Running]:
        with tempfile.TemporaryDirectory(prefix=f"bench-{self.name}-") as name:
            folder, port = Path(name), free_port()
            names = [f"p{index}" for index in range(people)]
            credentials = [f"{name}@{HOST}" for name in names]
            command, environment = self.prepare(folder, port, names)
            with launched(command, port, folder / "log", environment) as pid:
                yield Running(
                    port,
                    pid,
                    credentials,
                    [
                        " ".join(credentials[index] for index in members)
                        if len(members) == 2
                        else f"room{number}@{ROOMS_HOST}"
                        for number, members in enumerate(conversations)
                    ],
                )
