"""The rules of this server."""

from dataclasses import dataclass, field

from actions.attempts import Attempts
from actions.links import Link, Links, S3Links
from actions.rates import Rates
from actions.serving import OCTETS, Served
from actions.tickets import Tickets
from actions.tokens import Tokens
from protocol.entities import Registration
from storage.attachments.objects import is_on_s3
from storage.uploads import StoredAttachment


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings decide for all actions. One for the whole server.

    `message_chars` in characters; `group_members` is the most a group may have, `live_members` the most with
    which a conversation still has typing, receipts and presence; `resume_events` is the most that a socket is
    replayed; `refresh_seconds` is the life of a refresh token; `s3` is None where none is configured. By default
    `rates` and `attempts` know no limit.
    """

    registration: Registration
    message_chars: int
    group_members: int
    live_members: int
    resume_events: int
    refresh_seconds: int
    tokens: Tokens
    tickets: Tickets
    links: Links
    s3: S3Links | None = None
    rates: Rates = field(default_factory=Rates)
    attempts: Attempts = field(default_factory=Attempts)

    def link(self, file: StoredAttachment) -> Link:
        """A signed GET of an attachment, wherever it lies.

        Where S3 is configured no more, one that lies there gets a local URL, which answers that it isn't found.
        """
        if self.s3 is None or not is_on_s3(file.key):
            return self.links.fresh(file.id)
        served = Served(file.served_type or OCTETS, bool(file.is_inline))
        return self.s3.fresh(file.key, file.filename, served, is_final=True)
