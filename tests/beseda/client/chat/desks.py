"""Chats in the test's own process: the real application on a real server, its keys and its screen in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from beseda.client import Client, Tokens
from beseda.client.chat.app import Chat
from beseda.client.chat.conversation import Conversation
from tests.support.rest import Person

SECONDS = 20.0


class Desk:
    """One person's chat. `do` is a command that is waited for, `press` whatever a keyboard sends."""

    def __init__(self, chat: Chat, keyboard: PipeInput) -> None:
        self.chat = chat
        self.model = chat.model
        self.view = chat.view
        self.result: asyncio.Task[str] = asyncio.create_task(chat.run())
        self._keyboard = keyboard
        self._drawn = asyncio.Event()
        chat.application.after_render += lambda _: self._drawn.set()
        self.result.add_done_callback(lambda _: self._drawn.set())

    @property
    def open(self) -> Conversation:
        """The open conversation."""
        assert self.model.open is not None
        return self.model.open

    @property
    def overlay(self) -> list[str]:
        """The title and the rows of what lies over the conversation."""
        assert self.view.overlay is not None
        return [self.view.overlay[0], *self.view.overlay[1]]

    @property
    def thread(self) -> str:
        """What shows of the open conversation."""
        content = self.chat.thread.create_content(80, 30)
        rows = [content.get_line(at) for at in range(content.line_count)]
        return "\n".join("".join(part[1] for part in row) for row in rows)

    async def do(self, command: str) -> str:
        """Do a command; what is told then."""
        await self.chat.doing.do(command)
        self.chat.changed()
        return self.view.notice

    def press(self, keys: str) -> None:
        """Type; Enter is a carriage return."""
        self._keyboard.send_text(keys)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until it is so (bounded)."""
        try:
            async with asyncio.timeout(SECONDS):
                while not condition():
                    assert not self.result.done(), "the chat has ended"
                    self._drawn.clear()
                    await self._drawn.wait()
        except TimeoutError:
            raise AssertionError(f"it never came; {self.view.notice!r}, and:\n{self.thread}") from None

    async def ended(self) -> str:
        """How the chat ended (bounded). Raises what ended it."""
        return await asyncio.wait_for(self.result, SECONDS)

    async def shows(self, text: str) -> None:
        """Wait until the open conversation, or what lies over it, shows a text."""
        await self.until(lambda: text in self.thread)

    async def tells(self, text: str) -> None:
        """Wait until a notice tells it."""
        await self.until(lambda: text in self.view.notice)


@contextlib.asynccontextmanager
async def desk(person: Person) -> AsyncIterator[Desk]:
    """The person's chat, connected and with all conversations loaded."""
    tokens = Tokens(person.token, person.refresh_token)
    with create_pipe_input() as keyboard, create_app_session(keyboard, DummyOutput()):
        async with Client(person.server.base_url, tokens) as client:
            made = Desk(Chat(client, person.id, person.username), keyboard)
            try:
                await made.until(lambda: made.view.link == "online")
                yield made
            finally:
                made.chat.leave("quit")
                async with asyncio.timeout(SECONDS):
                    await asyncio.wait([made.result])
