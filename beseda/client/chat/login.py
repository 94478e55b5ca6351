"""Logging in and registering, asked for line by line."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from beseda.client import Client, Rejected
from beseda.client.chat.text import plain

AGAIN = frozenset({"invalid_credentials", "rate_limited", "unavailable"})
"""Refusals after which one may try once more."""

_FIELD_OF = {"email_taken": "email", "username_taken": "username", "invite_required": "invite"}


class Ask(Protocol):
    """Asks for a line, hidden or not. Raises EOFError and KeyboardInterrupt."""

    def __call__(self, question: str, *, hidden: bool = False, default: str = "") -> Awaitable[str]: ...


async def registration(client: Client) -> str:
    """`open`, `invite` or `closed`. Raises ClientError."""
    return str((await client.server())["registration"])


async def enter(
    client: Client, mode: str, email: str | None, ask: Ask, say: Callable[[str], None]
) -> tuple[str, int, str]:
    """Log in, or register first: the account's email, id and name. Raises ClientError."""
    if mode == "closed":
        say("This server takes no registrations: log in.")
    elif await _wants_to_register(ask):
        email, password = await _register(client, mode, email, ask, say)
        return await _log_in(client, email, password)
    while True:
        given = email or await _line(ask, "Email: ")
        password = await _line(ask, "Password: ", hidden=True)
        try:
            return await _log_in(client, given, password)
        except Rejected as rejected:
            if rejected.code not in AGAIN and rejected.code != "invalid":
                raise
            say(_why(rejected))


async def _log_in(client: Client, email: str, password: str) -> tuple[str, int, str]:
    user = await client.login(email, password)
    return user["email"], user["id"], user["username"]


async def _wants_to_register(ask: Ask) -> bool:
    while True:
        answer = (await ask("Log in (l), or register a new account (r)? ")).strip().lower()
        if answer in {"l", "login", "log in", "r", "register"}:
            return answer.startswith("r")


async def _register(
    client: Client, mode: str, email: str | None, ask: Ask, say: Callable[[str], None]
) -> tuple[str, str]:
    given = {"email": email or ""}
    while True:
        await _fill(given, mode, ask, say)
        try:
            await client.register(given["email"], given["password"], given["username"], given.get("invite"))
        except Rejected as rejected:
            wrong = {error["field"] for error in rejected.errors} & set(given)
            if rejected.code in _FIELD_OF:
                wrong.add(_FIELD_OF[rejected.code])
                mode = "invite" if "invite" in wrong else mode
            elif not wrong and rejected.code not in AGAIN:
                raise
            say(_why(rejected))
            # Where no field is to blame, the last question is asked again: nothing is sent behind one's back.
            for field in wrong or {"password"}:
                given[field] = ""
        else:
            return given["email"], given["password"]


async def _fill(given: dict[str, str], mode: str, ask: Ask, say: Callable[[str], None]) -> None:
    if mode == "invite" and not given.get("invite"):
        given["invite"] = (await ask("Invitation code (a server's first account needs none): ")).strip()
    for field, question in (("email", "Email: "), ("username", "Username: ")):
        if not given.get(field):
            given[field] = await _line(ask, question)
    while not given.get("password"):
        password = await _line(ask, "Password (8 characters or more): ", hidden=True)
        if await ask("The password once more: ", hidden=True) == password:
            given["password"] = password
        else:
            say("These were two different ones.")


async def _line(ask: Ask, question: str, *, hidden: bool = False) -> str:
    """An answer that is not empty."""
    while True:
        answer = await ask(question, hidden=hidden)
        answer = answer if hidden else answer.strip()
        if answer:
            return answer.encode("utf-8", "replace").decode()


def _why(rejected: Rejected) -> str:
    return plain(
        "; ".join(f"{each['field']}: {each['message']}" for each in rejected.errors) or str(rejected)
    )
