"""What `GET /server` tells: what a client would otherwise have to guess, or run into."""

from typing import get_args

from beseda import version
from beseda.settings import Config
from protocol.commands import MAX_ATTACHMENTS
from protocol.entities import Feature, ServerInfo


def about(config: Config) -> ServerInfo:
    """The server with these settings."""
    limits, attachments = config.limits, config.attachments
    return {
        "version": version(),
        "registration": config.auth.registration,
        "limits": {
            "message_chars": limits.message_chars,
            "message_attachments": MAX_ATTACHMENTS,
            "frame_bytes": limits.frame_bytes,
            "body_bytes": limits.body_bytes,
            "group_members": limits.group_members,
            "live_members": limits.live_members,
            "sockets_per_user": limits.sockets_per_user,
            "messages_per_second": limits.messages_per_second,
            "message_burst": limits.message_burst,
            "requests_per_second": limits.requests_per_second,
            "request_burst": limits.request_burst,
            "attachments": {
                "max_bytes": attachments.max_bytes,
                "unsent_files": attachments.unsent_files,
                "unsent_bytes": attachments.unsent_bytes,
            },
        },
        "features": list(get_args(Feature)),
    }
