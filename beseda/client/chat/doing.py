"""What the commands do."""

import unicodedata
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from beseda.client import ClientError, Rejected
from beseda.client.chat.commands import Wrong, help_rows, parse
from beseda.client.chat.conversation import Conversation, Outgoing
from beseda.client.chat.files import Files, typed_path
from beseda.client.chat.link import Connection
from beseda.client.chat.model import Model
from beseda.client.chat.text import one_line
from beseda.client.chat.view import View
from protocol.entities import Attachment, ConversationView, User

FOUND = 50
"""People that a search shows."""

# To be said twice; who does something else in between is asked again.
_ASKING = frozenset({"leave", "logout", "quit"})


class Doing:
    """Does what was typed. `show` opens a conversation, `leave` ends the application with a result."""

    def __init__(
        self,
        connection: Connection,
        show: Callable[[int | None], None],
        leave: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self.connection = connection
        self.client = connection.client
        self.model: Model = connection.model
        self.view: View = connection.view
        self.files = Files(connection.client, connection.view, changed)
        self._show = show
        self._leave = leave
        self.is_leaving = False
        self._asked = ""
        self._doers: dict[str, Callable[[list[str], str], Awaitable[None]]] = {
            "dm": self._dm,
            "group": self._group,
            "open": self._open,
            "who": self._who,
            "send": self._send,
            "save": self._save,
            "members": self._members,
            "add": self._add,
            "remove": self._remove,
            "title": self._title,
            "leave": self._leave_group,
            "logout": self._logout,
            "quit": self._quit,
            "help": self._help,
        }

    def say(self, text: str, attachments: list[Attachment] | None = None, to: int | None = None) -> None:
        """Send a message to the open conversation, or to another. Raises Wrong."""
        conversation_id = to or self._here().id
        self._asked = ""
        self.connection.post(
            Outgoing(
                str(uuid.uuid4()),
                conversation_id,
                text,
                datetime.now(UTC).isoformat(),
                attachments or [],
                late=self.view.link != "online",
            )
        )

    async def do(self, line: str) -> None:
        """Do a command; why it can't be done is told in a line."""
        self.view.overlay = None
        self.view.tell("")
        try:
            command, words, behind = parse(line)
            if command.name not in _ASKING:
                self._asked = ""
            await self._doers[command.name](words, behind)
        except (Wrong, ClientError) as error:
            self.view.tell(_sentence(error), error=True)
        except OSError as error:
            self.view.tell(f"{one_line(str(error.filename or ''))}: {error.strerror}.", error=True)

    # Conversations.

    async def _dm(self, words: list[str], _: str) -> None:
        user = await self._person(words[0])
        if user["id"] == self.model.me:
            raise Wrong("That is you.")
        self._enter(await self.client.open_dialog(user["id"]))

    async def _group(self, words: list[str], _: str) -> None:
        people = [await self._person(word) for word in words[1:]]
        self._enter(await self.client.create_group(words[0], [user["id"] for user in people]))

    def _enter(self, view: ConversationView) -> None:
        """Show a conversation that REST told of; its event may come later."""
        conversation = self.model.conversations.setdefault(view["id"], Conversation(view))
        conversation.view(view, self.model.me)
        self._show(view["id"])

    async def _open(self, words: list[str], _: str) -> None:
        wanted = " ".join(words)
        listed = self.model.listed()
        if wanted.isdecimal() and 1 <= int(wanted) <= len(listed):
            return self._show(listed[int(wanted) - 1].id)
        key = _key(wanted)
        titles = [(each, _key(self.model.title(each))) for each in listed]
        fitting = [each for each, title in titles if title.startswith(key)]
        fitting = fitting or [each for each, title in titles if key in title]
        if not fitting:
            raise Wrong(f"None of your conversations is called {wanted}. /dm {wanted} begins one.")
        self._show(fitting[0].id)
        return None

    # People.

    async def _who(self, words: list[str], _: str) -> None:
        users = await self.client.users(words[0].removeprefix("@"), limit=FOUND)
        self.model.meet(user for user in users if user["id"] not in self.model.people)
        if not users:
            raise Wrong(f"Nobody's name begins with {words[0]}.")
        rows = [f"{'●' if user['online'] else ' '} {one_line(user['username'])}" for user in users]
        if len(users) == FOUND:
            rows.append("  … and maybe more: type more of the name.")
        self.view.overlay = (f"Names that begin with {one_line(words[0])}", rows)

    async def _person(self, name: str) -> User:
        """The user of a name, or the only one whose name begins so. Raises Wrong."""
        users = await self.client.users(name.removeprefix("@"), limit=FOUND)
        self.model.meet(user for user in users if user["id"] not in self.model.people)
        exact = [user for user in users if _key(user["username"]) == _key(name.removeprefix("@"))]
        if not users:
            raise Wrong(f"There is nobody called {name}.")
        if not exact and len(users) > 1:
            names = ", ".join(one_line(user["username"]) for user in users[:5])
            raise Wrong(f"{name} may be {names}{' …' if len(users) > 5 else ''}: type more of the name.")
        return (exact or users)[0]

    # The open conversation.

    def _here(self) -> Conversation:
        if self.model.open is None:
            raise Wrong("No conversation is open: /dm NAME begins one.")
        return self.model.open

    def _group_here(self) -> Conversation:
        conversation = self._here()
        if conversation.type != "group":
            raise Wrong("This is no group. /group TITLE NAME… makes one.")
        return conversation

    async def _members(self, _: list[str], __: str) -> None:
        conversation = self._here()
        members = await self.client.members(conversation.id)
        conversation.cursors(members)
        await self.connection.meet({each["user_id"] for each in members} - self.model.people.keys())
        rows = []
        for each in members:
            sign = "●" if self.model.people[each["user_id"]].online else " "
            role = "  owner" if each["role"] == "owner" and conversation.type == "group" else ""
            you = "  you" if each["user_id"] == self.model.me else ""
            rows.append(f"{sign} {one_line(each['username'])}{role}{you}")
        self.view.overlay = (f"{len(rows)} in {self.model.title(conversation)}", rows)

    async def _add(self, words: list[str], _: str) -> None:
        conversation = self._group_here()
        people = [await self._person(word) for word in words]
        told = await self.client.add_members(conversation.id, [user["id"] for user in people])
        conversation.update(told)
        self.view.tell("Added: " + ", ".join(one_line(user["username"]) for user in people) + ".")

    async def _remove(self, words: list[str], _: str) -> None:
        conversation = self._group_here()
        user = await self._person(words[0])
        await self.client.remove_member(conversation.id, user["id"])
        self.view.tell(f"Removed: {one_line(user['username'])}.")

    async def _title(self, words: list[str], _: str) -> None:
        conversation = self._group_here()
        conversation.update(await self.client.rename(conversation.id, " ".join(words)))

    async def _leave_group(self, _: list[str], __: str) -> None:
        conversation = self._group_here()
        title = self.model.title(conversation)
        if self._is_sure(
            f"leave {conversation.id}", f"You will see nothing of {title} any more: /leave again."
        ):
            await self.client.remove_member(conversation.id, self.model.me)
            self.model.conversations.pop(conversation.id, None)
            self._show(None)
            self.view.tell(f"You left {title}.")

    # Files.

    async def _send(self, words: list[str], behind: str) -> None:
        here = self._here().id
        self.say(behind, [await self.files.send(typed_path(words[0]))], to=here)

    async def _save(self, words: list[str], _: str) -> None:
        attachments = [one for message in self._here().messages for one in message["attachments"]]
        number = words[0].removeprefix("#")
        attachment = next((each for each in attachments if str(each["id"]) == number), None)
        if attachment is None:
            raise Wrong(f"No file {words[0]} is loaded here; the number stands behind the file's name.")
        path = typed_path(words[1]) if len(words) > 1 else None
        self.view.tell(f"Saved as {one_line(str(await self.files.save(attachment, path)))}")

    # The end.

    async def _logout(self, _: list[str], __: str) -> None:
        if self.may_go("/logout"):
            # The server closes the socket before it answers: that is no end by someone else.
            self.is_leaving = True
            try:
                await self.client.logout()
            except ClientError:
                self.is_leaving = False
                raise
            self._leave("logout")

    async def _quit(self, _: list[str], __: str) -> None:
        if self.may_go("/quit"):
            self._leave("quit")

    def may_go(self, how: str) -> bool:
        """Whether nothing would be lost, or it was asked for twice."""
        count = len(self.model.unsent()) + len(self.view.transfers)
        return not count or self._is_sure(
            "go", f"{count} not sent or saved yet, and lost if you go: {how} again."
        )

    async def _help(self, _: list[str], __: str) -> None:
        self.view.overlay = ("Commands and keys", help_rows())

    def _is_sure(self, what: str, question: str) -> bool:
        if self._asked == what:
            self._asked = ""
            return True
        self._asked = what
        self.view.tell(question, error=True)
        return False


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _sentence(error: Exception) -> str:
    if isinstance(error, Rejected) and error.errors:
        return "; ".join(f"{one['field']}: {one['message']}" for one in error.errors)
    return str(error)
