"""From the command line to the chat: which server, which account; and what is said when it ends."""

import asyncio
import contextlib
import signal
import sys

from prompt_toolkit import PromptSession

from beseda.client import Client, ClientError, LoggedOut, Tokens
from beseda.client.address import base_url
from beseda.client.chat import login as asking
from beseda.client.chat.app import Chat
from beseda.client.chat.logins import Kept, Login
from beseda.client.chat.text import plain

USAGE = 2
FAILURE = 1


class Misused(Exception):
    """The command line does not say enough; `str()` is a sentence."""


def run(url: str | None, email: str | None) -> tuple[int, str]:
    """Chat until the user leaves: the exit code, and where it is not 0 why, in a sentence."""
    try:
        return asyncio.run(_run(url, email)), ""
    except Misused as misused:
        return USAGE, str(misused)
    except (ClientError, OSError) as error:
        return FAILURE, plain(str(error))
    except (EOFError, KeyboardInterrupt):
        return FAILURE, "Left without logging in."


async def _run(url: str | None, email: str | None) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Misused("chat needs a terminal, at its input and its output.")
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    ended: list[int] = []

    def end(number: signal.Signals) -> None:
        # Cancelled rather than killed: the terminal is restored on the way out.
        ended.append(number)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    kept = Kept()
    try:
        await Sessions(kept, _server(kept, url), email).run()
    except asyncio.CancelledError:
        if not ended:
            raise
        return 128 + ended[0]
    finally:
        kept.release()
    return 0


def _server(kept: Kept, url: str | None) -> str:
    if url is not None:
        return base_url(url)
    known = sorted({login.url for login in kept.all()})
    if not known:
        raise Misused("Which server? For example: beseda chat http://127.0.0.1:8000")
    if len(known) > 1:
        raise Misused(f"Which server? You know {', '.join(known)}.")
    return known[0]


class Sessions:
    """Logs in and chats, and again after the server has ended the session."""

    def __init__(self, kept: Kept, url: str, email: str | None) -> None:
        self.kept = kept
        self.url = url
        self.email = email
        self.account: tuple[str, str] | None = None
        """Email and username of the login that is to be kept."""

    async def run(self) -> None:
        """Until the user leaves. Raises ClientError, OSError, EOFError."""
        login = await self._choose()
        while True:
            async with Client(self.url, login.tokens if login else None, on_tokens=self._keep) as client:
                result = await self._chat(client, login)
                if result == "quit" and self.account is None:
                    await client.logout()
            if result == "logout":
                print("Logged out.")
            if result != "ended":
                return
            login = None

    async def _chat(self, client: Client, login: Login | None) -> str:
        try:
            user_id, username = await self._enter(client, login)
        except LoggedOut:
            print(plain(f"Your login at {self.url} has ended: log in again."))
            return "ended"
        chat = Chat(client, user_id, username)
        try:
            result = await chat.run()
        finally:
            # Also after a signal; then the terminal itself may be gone.
            with contextlib.suppress(OSError):
                for outgoing in chat.model.outbox.values():
                    print(plain(f"Not sent: {outgoing.text}"))
        if result == "ended":
            print(plain(f"Your session at {self.url} has ended: log in again."))
        return result

    async def _enter(self, client: Client, login: Login | None) -> tuple[int, str]:
        if login is not None:
            self.account = (login.email, login.username)
            user = await client.me()
            return user["id"], user["username"]
        self.account = None
        mode = await asking.registration(client)
        email, user_id, username = await asking.enter(client, mode, self.email, _ask, print)
        if self.kept.claim(self.url, email):
            self.account = (email, username)
            self._keep(client.tokens)
        else:
            print(plain(f"{email} is open in another terminal too; this login ends when you leave."))
        return user_id, username

    def _keep(self, tokens: Tokens | None) -> None:
        if self.account is None:
            return
        email, username = self.account
        if tokens is None:
            self.kept.forget(self.url, email)
        else:
            self.kept.keep(Login(self.url, email, username, tokens.access, tokens.refresh))

    async def _choose(self) -> Login | None:
        """A login that is kept and free; None to log in anew."""
        logins = self.kept.all(self.url)
        if self.email is not None:
            logins = [each for each in logins if each.email.casefold() == self.email.casefold()]
        free = [each for each in logins if self.kept.is_free(self.url, each.email)]
        print(f"Beseda at {self.url}")
        for each in logins:
            if each not in free:
                print(
                    plain(
                        f"{each.email} ({each.username}) is open in another terminal already. Who are you here?"
                    )
                )
        if len(logins) == len(free) == 1:
            return self._claimed(free[0])
        return self._claimed(await self._pick(free)) if free else None

    def _claimed(self, login: Login | None) -> Login | None:
        return login if login and self.kept.claim(self.url, login.email) else None

    async def _pick(self, free: list[Login]) -> Login | None:
        for number, each in enumerate(free, 1):
            print(f"  {number}  " + plain(f"{each.email} ({each.username})"))
        while True:
            answer = (await _ask("Which of them (its number), or another account (n)? ")).strip()
            if answer.lower() == "n":
                return None
            if answer.isdecimal() and 1 <= int(answer) <= len(free):
                return free[int(answer) - 1]


async def _ask(question: str, *, hidden: bool = False, default: str = "") -> str:
    session: PromptSession[str] = PromptSession()
    return await session.prompt_async(question, is_password=hidden, default=default)
