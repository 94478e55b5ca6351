"""What clients ask by their frames: it is done in the order of each socket's, and refusals go back."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from actions import messages, receipts, sending, sessions
from actions.rules import Rules
from hub.incoming import Incoming
from hub.registry import Registry
from hub.typing import Typing
from protocol import closing
from protocol.commands import Read, SendMessage, TypingStart, TypingStop
from protocol.errors import Refused, not_found
from protocol.tracing import Named, doer
from storage import Store, Transaction
from storage.writer import Outcome, unavailable

if TYPE_CHECKING:
    from hub.connection import Connection
    from storage.attachments.s3 import S3Files

logger = logging.getLogger(__name__)


class Answering:
    """Does what frames ask. What is stored is told by the publisher, its sender's `message_sent` included."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        registry: "Registry[Connection]",
        typing: Typing,
        s3: "S3Files | None",
    ) -> None:
        self._store = store
        self._rules = rules
        self._registry = registry
        self._typing = typing
        self._s3 = s3
        self._sending: set[asyncio.Task[None]] = set()

    def handle(
        self,
        connection: Incoming,
        command: SendMessage | Read | TypingStart | TypingStop,
        echo: dict[str, Any],
    ) -> None:
        """Do what a client's frame asks; refusals go back with what they answer, `echo`. Raises Refused too."""
        actor = connection.actor
        match command:
            case SendMessage():
                self._typing.stop(actor.user_id, command.conversation_id)
                if command.attachments and self._s3 is not None:
                    self._send_from_s3(connection, command, echo)
                    return
                self._submit(
                    connection,
                    echo,
                    lambda tx: messages.send(
                        tx,
                        self._rules,
                        actor,
                        command.conversation_id,
                        command,
                        command.temp_id,
                        read=command.read,
                    ),
                )
            case Read():
                self._submit(
                    connection,
                    echo,
                    lambda tx: receipts.read(
                        tx, self._rules, actor, command.conversation_id, command.message_id
                    ),
                )
            case TypingStart() | TypingStop():
                self._type(connection, command)

    async def finish(self) -> None:
        """Wait until what was taken is handed to the store, and told."""
        while self._sending:
            await asyncio.wait(self._sending)

    def _type(self, connection: Incoming, command: TypingStart | TypingStop) -> None:
        user_id = connection.actor.user_id
        room = self._registry.rooms.get(command.conversation_id)
        if room is None or user_id not in room.peers:
            raise not_found()
        if not room.is_live:
            return
        if isinstance(command, TypingStart):
            self._typing.start(user_id, command.conversation_id, connection)
        else:
            self._typing.stop(user_id, command.conversation_id)

    def _submit(
        self, connection: Incoming, echo: dict[str, Any], action: Callable[[Transaction], Any]
    ) -> None:
        connection.asked()
        done = partial(_answer, connection, echo)
        self._store.submit(sessions.acting(connection.actor, action), done, connection)

    def _send_from_s3(self, connection: Incoming, command: SendMessage, echo: dict[str, Any]) -> None:
        """Send what S3 has to be asked for; the connection's later frames wait, and nobody else's."""
        connection.asked()
        connection.hold()

        async def send() -> None:
            doer.set(Named(connection.log_fields))
            outcome = Outcome()
            try:
                outcome.result = await sending.send(
                    self._store,
                    self._rules,
                    self._s3,
                    connection.actor,
                    command.conversation_id,
                    command,
                    command.temp_id,
                    read=command.read,
                )
            except Exception as error:
                if not isinstance(error, Refused):
                    logger.exception("A message with attachments was not sent")
                outcome.error = error
            _answer(connection, echo, outcome)
            connection.release()

        task = asyncio.get_running_loop().create_task(send())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)


def _answer(connection: Incoming, echo: dict[str, Any], outcome: Outcome) -> None:
    connection.answered()
    error = outcome.error
    if error is None:
        return
    if isinstance(error, Refused) and error.code == "unauthorized":
        connection.close(closing.SESSION_ENDED, "the session has ended")
        return
    connection.refuse(error if isinstance(error, Refused) else unavailable(), echo)
