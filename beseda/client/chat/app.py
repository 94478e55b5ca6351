"""The application in the terminal: the model and the view on the screen, keys and commands to what they do."""

import asyncio
import time
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition

from beseda.client import Client, ClientError, LoggedOut
from beseda.client.chat import frame, keys, layout
from beseda.client.chat.commands import Wrong
from beseda.client.chat.completion import Offers
from beseda.client.chat.doing import Doing
from beseda.client.chat.link import Connection
from beseda.client.chat.model import Model
from beseda.client.chat.style import STYLE
from beseda.client.chat.thread import rows
from beseda.client.chat.typing import Typing, is_message
from beseda.client.chat.view import Fragments, Row, View


class Chat:
    """One account's chat. `run` answers how it ended: `quit`, `logout`, or `ended` by the server."""

    def __init__(self, client: Client, user_id: int, username: str) -> None:
        self.client = client
        self.model = Model(user_id, username)
        self.view = View(client.url)
        self.connection = Connection(client, self.model, self.view, self.changed)
        self.doing = Doing(self.connection, self.show, self.leave, self.changed)
        self.typing = Typing()
        self.input = Buffer(
            multiline=True,
            completer=Offers(client, self.model),
            complete_while_typing=Condition(lambda: not is_message(self.input.text)),
            on_text_changed=lambda _: self._typed(),
        )
        self.thread = layout.Pane(self._thread)
        self.application: Application[str] = Application(
            layout.build(self),
            key_bindings=keys.bindings(self),
            style=STYLE,
            full_screen=True,
        )
        # Esc is a key here as well as the beginning of others: what a terminal sends for Alt comes at once.
        self.application.ttimeoutlen = 0.05
        self.application.timeoutlen = 0.05

    async def run(self) -> str:
        """Until it is left. Raises ClientError where the server will not have it back."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._fail(context.get("exception")))
        try:
            connecting = asyncio.create_task(self._connect())
            try:
                return await self.application.run_async(
                    pre_run=lambda: self._write(keys.TELL_FOCUS), set_exception_handler=False
                )
            finally:
                self._write(keys.LEAVE_FOCUS)
                connecting.cancel()
                await asyncio.wait([connecting])
        finally:
            loop.set_exception_handler(None)

    async def _connect(self) -> None:
        try:
            await self.connection.run()
        except LoggedOut:
            if not self.doing.is_leaving:
                self.leave("ended")
        except Exception as error:  # noqa: BLE001 - whoever runs the application gets it, the terminal restored
            self._fail(error)

    def _fail(self, error: BaseException | None) -> None:
        if error is not None and self.application.is_running and not self.application.is_done:
            self.application.exit(exception=error)

    def _write(self, sequence: str) -> None:
        self.application.output.write_raw(sequence)
        self.application.output.flush()

    def leave(self, result: str) -> None:
        """End the application."""
        if self.application.is_running and not self.application.is_done:
            self.application.exit(result=result)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside; a bug in it ends the application, with its trace."""
        self.application.create_background_task(work)

    # What changes.

    def changed(self) -> None:
        """The model or the view is another: draw it, and tell the server what is read."""
        if not self.application.is_running:
            return
        if self.model.open is None:
            # Where nothing is on the screen, the first conversation comes there by itself.
            self.view.position = None
            listed = self.model.listed()
            if listed and self.model.open_id is None and not self.input.text:
                self.show(listed[0].id)
                return
        if self.view.link != "online":
            self.typing.sent()
        if (news := self.view.to_read(self.model)) is not None:
            conversation, message_id = news
            self.model.mark_read(conversation, message_id)
            self.start(self.connection.read(conversation.id, message_id))
        self.application.invalidate()

    def show(self, conversation_id: int | None) -> None:
        """Open a conversation."""
        self.view.position = self.view.overlay = None
        self.model.show(conversation_id)
        self._typed()
        if self.model.open is not None and not self.model.open.is_loaded and self.view.link == "online":
            self.start(self._load())
        self.changed()

    async def _load(self) -> None:
        conversation = self.model.open
        if conversation is None:
            return
        try:
            await self.connection.load(conversation)
        except ClientError as error:
            # Where it is no more, or something else is on the screen, there is nothing to tell.
            if self.model.open is conversation:
                self.view.tell(str(error), error=True)
        self.changed()

    async def _load_older(self) -> None:
        conversation = self.model.open
        if conversation is None or not conversation.messages or self.view.is_loading:
            return
        self.view.is_loading = True
        try:
            await self.connection.load_older(conversation)
        except ClientError as error:
            self.view.tell(str(error), error=True)
        finally:
            self.view.is_loading = False
        self.changed()

    # What one does.

    def enter(self) -> None:
        """The input is complete."""
        text = self.input.text.encode("utf-8", "replace").decode()
        if not text.strip():
            self.close()
            return
        if is_message(text):
            try:
                self.doing.say(text.removeprefix("/") if text.startswith("//") else text)
            except Wrong as wrong:
                # What was typed stays: it is not lost because nobody is there to get it.
                self.view.tell(str(wrong), error=True)
                self.changed()
                return
            self.typing.sent()
            self.view.tell("")
            self.close()
        else:
            self.command(text)
        self.input.reset(append_to_history=True)
        self.changed()

    def command(self, line: str) -> None:
        """Do a command."""
        self.start(self._do(line))

    async def _do(self, line: str) -> None:
        await self.doing.do(line)
        self.changed()

    def close(self) -> None:
        """Away with what lies over the conversation; and to its end."""
        self.view.overlay = self.view.position = None
        self.view.settle(self.model)
        self.changed()

    def scroll(self, pages: float) -> None:
        """Up by so many pages; down, if negative."""
        conversation, height = self.model.open, self.thread.height
        if conversation is None:
            return
        by = int(pages * max(height - 1, 1))
        is_at_top = self.view.scroll(
            self._rows(self.thread.width, height), height, by, conversation.newest_id
        )
        if is_at_top and pages > 0 and conversation.may_load_older and self.view.link == "online":
            self.start(self._load_older())
        self.changed()

    def focus(self, is_focused: bool) -> None:
        """The terminal's window got the focus, or lost it."""
        self.view.is_focused = is_focused
        self.changed()

    def walk(self, by: int) -> None:
        """To the next conversation of the list, or the one before."""
        listed = [each.id for each in self.model.listed()]
        if listed:
            at = listed.index(self.model.open_id) if self.model.open_id in listed else -by
            self.show(listed[(at + by) % len(listed)])

    def go(self, number: int) -> None:
        """To the conversation of this number."""
        listed = self.model.listed()
        if number <= len(listed):
            self.show(listed[number - 1].id)

    def _typed(self) -> None:
        if self.view.link == "online":
            for what, conversation_id in self.typing.edit(
                time.monotonic(), self.model.open_id, self.input.text
            ):
                self.start(self.connection.typing(conversation_id, stopped=what == "stop"))

    # What shows.

    def _rows(self, columns: int, height: int) -> list[Row]:
        if self.model.open is None:
            return []
        around = self.view.position.key if self.view.position else None
        now = datetime.now().astimezone()
        # What shows, and room to scroll a page either way: a long conversation is not drawn whole at every key.
        return rows(self.model, self.model.open, columns, now, around=around, margin=3 * height)

    def _thread(self, columns: int, height: int) -> list[Fragments]:
        if self.view.overlay is not None:
            return frame.overlay(*self.view.overlay, columns, height)
        found = self._rows(columns, height)
        if not found:
            return frame.hints(self.model, self.view, columns, height)
        shown = [row.fragments for row in self.view.window(found, height)]
        return [*([] for _ in range(height - len(shown))), *shown]
