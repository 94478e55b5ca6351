"""The audit trail: logins, refusals and what admins do, as lines of the log under a name of their own."""

import logging

logger = logging.getLogger("audit")


def record(event: str, **fields: int | str | bool | None) -> None:
    """Log that something happened, once it is durable. Fields name users by their ids; they are never secrets."""
    logger.info(event, extra={"fields": fields})
