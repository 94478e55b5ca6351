"""The one exception for refusals, and the codes it carries.

Everything else that is raised is a bug: logged with its trace, and never shown to a client.
"""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

Code = Literal[
    "malformed",
    "unauthorized",
    "invalid_credentials",
    "registration_closed",
    "invite_required",
    "forbidden",
    "forbidden_origin",
    "invalid_url",
    "not_found",
    "method_not_allowed",
    "email_taken",
    "username_taken",
    "last_owner",
    "last_admin",
    "temp_id_conflict",
    "attachment_unavailable",
    "too_large",
    "unsupported_media_type",
    "invalid",
    "upgrade_required",
    "rate_limited",
    "too_many_uploads",
    "headers_too_large",
    "unavailable",
    "storage_low",
    "unknown_type",
]

HTTP_STATUS: dict[Code, int] = {
    "malformed": 400,
    "unauthorized": 401,
    "invalid_credentials": 401,
    "registration_closed": 403,
    "invite_required": 403,
    "forbidden": 403,
    "forbidden_origin": 403,
    "invalid_url": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "email_taken": 409,
    "username_taken": 409,
    "last_owner": 409,
    "last_admin": 409,
    "temp_id_conflict": 409,
    "attachment_unavailable": 409,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid": 422,
    "unknown_type": 422,
    "upgrade_required": 426,
    "rate_limited": 429,
    "too_many_uploads": 429,
    "headers_too_large": 431,
    "unavailable": 503,
    "storage_low": 503,
}
"""The status of a refusal over REST (docs/protocol.md section 0)."""

TITLES: dict[Code, str] = {
    "malformed": "The request cannot be read",
    "unauthorized": "A valid token is needed",
    "invalid_credentials": "Wrong credentials",
    "registration_closed": "This server takes no registrations",
    "invite_required": "An invitation is needed",
    "forbidden": "Not allowed",
    "forbidden_origin": "This origin is not allowed",
    "invalid_url": "The signed URL is invalid or has expired",
    "not_found": "Not found",
    "method_not_allowed": "Method not allowed",
    "email_taken": "The email is taken",
    "username_taken": "The username is taken",
    "last_owner": "A group needs an owner",
    "last_admin": "The server needs an admin",
    "temp_id_conflict": "The temp_id belongs to another message",
    "attachment_unavailable": "An attachment is not available",
    "too_large": "Too large",
    "unsupported_media_type": "The body must be JSON",
    "invalid": "The request is not valid",
    "upgrade_required": "This address speaks WebSocket only",
    "unknown_type": "Unknown type of frame",
    "rate_limited": "Too many requests",
    "too_many_uploads": "Too many files wait to be sent",
    "headers_too_large": "The request's headers are too large",
    "unavailable": "The server can't at the moment",
    "storage_low": "The server is short of disk space",
}
"""What a code means, in words that do not vary: the `title` of a problem."""

SocketCode = Literal[
    "malformed",
    "unknown_type",
    "invalid",
    "not_found",
    "forbidden",
    "rate_limited",
    "attachment_unavailable",
    "temp_id_conflict",
    "unavailable",
]

SOCKET_CODES: dict[Code, SocketCode] = {
    "storage_low": "unavailable",
    "too_large": "invalid",
    "last_owner": "forbidden",
}
"""Codes that the socket tells by another name; all others stay what they are (docs/protocol.md section 6)."""

SOCKET_ERRORS: dict[SocketCode, str] = {
    "malformed": "the frame is no JSON",
    "unknown_type": "the server knows no such frame",
    "invalid": "a field is missing or wrong",
    "not_found": "no such conversation or message, or not for you",
    "forbidden": "you see the conversation, but may not do this in it",
    "rate_limited": "too much at once: wait for `retry_after` seconds",
    "attachment_unavailable": "an attachment is not uploaded, not yours, already sent, or (on S3) too large",
    "temp_id_conflict": "this `temp_id` was used for another message",
    "unavailable": "not stored: send it again under the same `temp_id`, after `retry_after` seconds",
}
"""What a code in an error frame means."""


class FieldError(TypedDict):
    """One invalid field: where (`"members.0"`), and why."""

    field: str
    message: str


class Refused(Exception):
    """The server understood, and will not.

    `detail` is a sentence for people; `errors` names the fields of an `invalid` request; `retry_after` is in
    seconds. A refused unit of work has changed nothing.
    """

    def __init__(
        self,
        code: Code,
        detail: str = "",
        *,
        errors: list[FieldError] | None = None,
        retry_after: int | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code: Code = code
        self.detail = detail or TITLES[code] + "."
        self.errors = errors
        self.retry_after = retry_after
        self.status = status or HTTP_STATUS[code]


def invalid(field: str, message: str) -> Refused:
    """The refusal of a well-formed request for one field of it."""
    return Refused("invalid", f"{field}: {message}", errors=[{"field": field, "message": message}])


def not_found() -> Refused:
    """What does not exist and what the caller may not see: one answer, byte for byte."""
    return Refused("not_found", "There is nothing here that you may see.")


class Problem(TypedDict):
    """RFC 9457's problem details, with our stable `code`. `errors` is in every 422."""

    type: str
    title: str
    status: int
    detail: str
    code: Code
    errors: NotRequired[list[FieldError]]


def problem(refusal: Refused) -> Problem:
    """The `application/problem+json` body of a refusal (docs/protocol.md section 0)."""
    body: Problem = {
        "type": "about:blank",
        "title": TITLES[refusal.code],
        "status": refusal.status,
        "detail": refusal.detail,
        "code": refusal.code,
    }
    if refusal.errors is not None:
        body["errors"] = refusal.errors
    return body
