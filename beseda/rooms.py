"""What each room takes of the settings: they know nothing of the file, and have settings of their own."""

import time
from collections.abc import Callable

from actions.attachments import AttachmentRules
from actions.attempts import Attempts
from actions.links import Links, S3Links
from actions.rates import Rates
from actions.rules import Rules
from actions.tickets import Tickets
from actions.tokens import Tokens
from beseda import keys
from beseda.settings import Config
from hub import Settings as HubSettings


def rules(config: Config, key: bytes, clock: Callable[[], int], s3: S3Links | None) -> Rules:
    """What the actions go by. `key` is the signing key; `clock` tells milliseconds since the epoch."""
    auth, limits = config.auth, config.limits
    refresh_seconds = auth.refresh_days * 86_400
    url_seconds = config.attachments.url_hours * 3600
    return Rules(
        registration=auth.registration,
        message_chars=limits.message_chars,
        group_members=limits.group_members,
        live_members=limits.live_members,
        resume_events=limits.resume_events,
        refresh_seconds=refresh_seconds,
        tokens=Tokens(keys.derive(key, "tokens"), auth.access_minutes * 60, refresh_seconds, clock),
        tickets=Tickets(time.monotonic),
        links=Links(keys.derive(key, "links"), config.server.public_url, url_seconds, clock),
        s3=s3,
        rates=Rates(
            limits.messages_per_second,
            limits.message_burst,
            limits.requests_per_second,
            limits.request_burst,
        ),
        attempts=Attempts(
            auth.login_attempts_per_minute,
            auth.address_attempts_per_minute,
            auth.registrations_per_minute,
        ),
    )


def attachment_rules(config: Config) -> AttachmentRules:
    """What uploads go by."""
    attachments = config.attachments
    return AttachmentRules(
        max_bytes=attachments.max_bytes,
        unsent_files=attachments.unsent_files,
        unsent_bytes=attachments.unsent_bytes,
        unsent_seconds=attachments.unsent_hours * 3600,
        min_free_bytes=attachments.min_free_bytes,
        on_s3=attachments.store == "s3",
    )


def hub_settings(config: Config) -> HubSettings:
    """What sockets go by."""
    server, limits = config.server, config.limits
    return HubSettings(
        origins=server.origins,
        public_url=server.public_url,
        trusted_proxies=server.trusted_proxies,
        sockets=limits.sockets,
        sockets_per_user=limits.sockets_per_user,
        frame_bytes=limits.frame_bytes,
        backlog_bytes=limits.backlog_bytes,
        total_backlog_bytes=limits.total_backlog_bytes,
        live_members=limits.live_members,
        linger_seconds=config.presence.linger_seconds,
        receipt_seconds=config.receipts.interval_seconds,
    )
