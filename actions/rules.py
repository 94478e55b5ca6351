"""The rules of this server."""

from dataclasses import dataclass

from actions.links import Links
from actions.tickets import Tickets
from actions.tokens import Tokens
from protocol.entities import Registration


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings decide for all actions. One for the whole server.

    `message_chars` in characters; `group_members` is the most a group may have, `live_members` the most with
    which a conversation still has typing, receipts and presence; `refresh_seconds` is the life of a refresh
    token.
    """

    registration: Registration
    message_chars: int
    group_members: int
    live_members: int
    refresh_seconds: int
    tokens: Tokens
    tickets: Tickets
    links: Links
