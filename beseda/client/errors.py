"""What can go wrong between a client and its server. `str()` of each is a sentence for people."""

import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus

import orjson

from protocol.errors import FieldError


class ClientError(Exception):
    """Any of them."""


class Unreachable(ClientError):
    """There is no such server, it does not answer, it is no Beseda, or its certificate is not trusted."""


class LoggedOut(ClientError):
    """The session has ended, or there was none: log in."""

    def __init__(self, message: str = "You are logged out: log in again.") -> None:
        super().__init__(message)


class Rejected(ClientError):
    """The server understood, and refused.

    `code` is one of docs/protocol.md's; `status` is HTTP's, None on a socket; `errors` names the fields of an `invalid`
    request; `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        errors: list[FieldError] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.errors = errors or []
        self.retry_after = retry_after


class ConnectionLost(ClientError):
    """The socket is closed. `code` says what to do (docs/protocol.md, close codes); 1006 where it just broke off."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"The connection is closed: {reason or _CLOSES.get(code, 'it broke off')} ({code}).")
        self.code = code

    @property
    def may_return(self) -> bool:
        """Whether to connect again: not after 4500 to 4999, nor after what would only happen again."""
        return not (4500 <= self.code <= 4999 or self.code in {1002, 1003, 1007, 1009})


class OutboxFull(ClientError):
    """Too many messages wait to be sent; this one was not taken."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} messages wait to be sent already: try again when there is a connection.")


_CLOSES = {
    1000: "this side closed it",
    1008: "this side sent too much that was wrong",
    1011: "the server had no answer to its pings",
    1012: "the server restarts",
    4008: "this side read too slowly",
    4501: "the session has ended",
    4509: "too many other connections were opened",
}


def problem(status: int, content: bytes, retry_after: str | None) -> ClientError:
    """The error that an answer is: its body should be a problem (RFC 9457)."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("code"), str):
        return Unreachable(
            f"The server answered {status} ({_phrase(status)}), but not as a Beseda server does."
        )
    message = body.get("detail") or body.get("title") or _phrase(status)
    return Rejected(
        body["code"],
        str(message),
        status=status,
        errors=body.get("errors"),
        retry_after=float(retry_after) if retry_after and retry_after.isdecimal() else None,
    )


def unreachable(url: str, error: BaseException) -> Unreachable:
    """Why nothing came of talking to `url`, in a sentence."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return Unreachable(f"The certificate of {url} is not trusted: {cause.verify_message}.")
            case ssl.SSLError():
                return Unreachable(f"{url} does not speak TLS properly: {cause.reason or cause}.")
            case socket.gaierror():
                return Unreachable(f"There is no host of this name: {url}.")
            case ConnectionRefusedError():
                return Unreachable(f"Nothing listens at {url}. Is the server running?")
            case TimeoutError():
                return Unreachable(f"{url} did not answer in time.")
    return Unreachable(f"{url} can't be reached: {str(error) or type(error).__name__}.")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came from; libraries wrap what the system told them."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        at = waiting.pop(0)
        if id(at) in seen:
            continue
        seen.add(id(at))
        yield at
        waiting += [cause for cause in (at.__cause__, at.__context__) if cause is not None]
        if isinstance(at, BaseExceptionGroup):
            waiting += at.exceptions


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "an unknown status"
