"""Logging: lines of text or of JSON on standard error, and no secret in any of them."""

import logging
import re
import sys
from typing import Any, Literal

from actions import audit
from protocol.codec import encode
from protocol.times import rfc3339
from protocol.tracing import doer

# They write requests with their query strings, which hold tokens and signatures, at INFO and DEBUG.
TALKATIVE = (
    "aiobotocore",
    "aiosqlite",
    "asyncio",
    "botocore",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.asgi",
    "uvicorn.error",
    "websockets",
)

_SECRET = re.compile(
    r"(?P<name>[?&](?:token|signature|x-amz-signature))=[^&\s\"'<>)]*"
    r"|(?P<scheme>\bbearer\s+)[\w.~+/=-]+"
    r"|\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?",
    re.IGNORECASE,
)

_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029]")
"""What JSON lets stand as it is, and terminals obey or take for the end of a line."""


def set_up(level: str, form: Literal["text", "json"]) -> None:
    """Send all logging to standard error, from `level` on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if form == "json" else Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # Whatever else is logged: who came in, and who was kept out, must not be lost with a setting.
    audit.logger.setLevel(logging.INFO)


def without_secrets(text: str) -> str:
    """`text` without tokens and signatures: the last resort, should a library put one into a warning or a trace."""
    return _SECRET.sub(lambda found: f"{found['name'] or found['scheme'] or ''}***", text)


class Text(logging.Formatter):
    """`2026-11-23T13:05:00.123Z WARNING storage.writer: what happened`, a trace on the lines that follow.

    Fields, where a record has some, stand behind the message: `audit: login user_id=3 address="192.0.2.1"`.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """RFC 3339, as everywhere."""
        return rfc3339(round(record.created * 1000))

    def format(self, record: logging.LogRecord) -> str:
        """The record's lines."""
        return without_secrets(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The record's first line."""
        fields = "".join(f" {name}={_json(value)}" for name, value in _fields(record).items())
        # uvicorn's "Exception in ASGI application" brings an end of the line of its own.
        return super().formatMessage(record).rstrip("\n") + fields


class Json(logging.Formatter):
    """One object a line, with `time`, `level`, `logger`, `message`, its fields, and `trace` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        line = {
            "time": rfc3339(round(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if record.exc_info:
            line["trace"] = without_secrets(self.formatException(record.exc_info))
        # What is no Unicode must not make a log line fail.
        written = {name: text.encode("utf-8", "replace").decode() for name, text in line.items()}
        return _json(_fields(record) | written)


def _json(value: Any) -> str:
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", encode(value).decode())


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Whose doing it is, and what `extra={"fields": {...}}` gave the record.

    What is no Unicode must not make a log line fail.
    """
    by = doer.get()
    fields: dict[str, Any] = {**(by.log_fields if by else {}), **getattr(record, "fields", {})}
    return {
        name: without_secrets(value.encode("utf-8", "replace").decode()) if isinstance(value, str) else value
        for name, value in fields.items()
    }
