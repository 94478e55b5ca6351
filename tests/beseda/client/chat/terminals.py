"""Chats in terminals, and people in them."""

from pathlib import Path

from beseda.client.chat.logins import Kept, Login
from tests.support.rest import PASSWORD, Person
from tests.support.terminal import Terminal


async def register(terminal: Terminal, name: str) -> None:
    await terminal.answer("(r)?", "r")
    await terminal.answer("Email:", f"{name}@example.org")
    await terminal.answer("Username:", name)
    await terminal.answer("more):", PASSWORD)
    await terminal.answer("once more:", PASSWORD)
    await terminal.until("● online")


def keep(person: Person, state: Path) -> Path:
    """The person's login, as an earlier start left it; its folder."""
    kept = Kept(state / "beseda" / "logins")
    kept.keep(
        Login(person.server.base_url, person.email, person.username, person.token, person.refresh_token)
    )
    return kept.folder


def chat(person: Person, state: Path, columns: int = 80, **environment: str) -> Terminal:
    """The person's chat, straight in."""
    keep(person, state)
    return Terminal("chat", "--as", person.email, state=state, columns=columns, environment=environment)
