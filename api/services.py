"""What the handlers work with. The composition root makes it; nothing here is global."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from actions.attachments import AttachmentRules
from actions.passwords import Passwords
from actions.rules import Rules
from api.counts import Counts
from protocol.entities import ServerInfo
from storage import Store
from storage.attachments.local import LocalFiles

if TYPE_CHECKING:
    from storage.attachments.s3 import S3Files


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the server that requests need.

    `presence` says whether a user is online, `connected` how many sockets are open and how many users online: ports,
    so that this room need not know the hub. `public_url` is
    empty where none is set. `about` is what the server tells of itself. `body_bytes` caps JSON bodies;
    `attachments.max_bytes` caps uploads. `s3` is None where none is configured.
    """

    store: Store
    rules: Rules
    passwords: Passwords
    presence: Callable[[int], bool]
    connected: Callable[[], tuple[int, int]]
    body_bytes: int
    about: ServerInfo
    public_url: str
    origins: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    files: LocalFiles
    attachments: AttachmentRules
    s3: "S3Files | None" = None
    counts: Counts = field(default_factory=Counts)
