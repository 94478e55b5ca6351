"""A real store without a server: people, groups and files on it, and a clock that the test moves."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from actions import conversations, members, messages
from actions.actor import Actor
from actions.attachments import AttachmentRules
from actions.links import Links
from actions.rules import Rules
from actions.tickets import Tickets
from actions.tokens import Tokens
from protocol.commands import CreateConversation, Draft
from protocol.entities import Message
from storage import Settings, Store, Transaction, open_store, sessions, uploads, users
from storage.attachments.local import LocalFiles

START = 1_764_000_000_123
"""Milliseconds since the epoch; on no full second."""

DAY = 86_400_000

LIMITS = AttachmentRules(max_bytes=1000, unsent_files=3, unsent_bytes=2000, min_free_bytes=0)


@dataclass
class Clock:
    """Tells the milliseconds since the epoch that the test has set."""

    now: int = START

    def __call__(self) -> int:
        return self.now


@dataclass(frozen=True)
class Stored:
    """A store, its files and its rules. Made by `open_stored`."""

    store: Store
    files: LocalFiles
    rules: Rules
    clock: Clock
    data_dir: Path

    async def person(self, name: str) -> Actor:
        """A new user, with a session."""

        def unit(tx: Transaction) -> Actor:
            email = f"{name}@example.org"
            user_id = users.insert(
                tx,
                username=name,
                username_key=name,
                email=email,
                email_key=email,
                password="none",
                is_admin=False,
            )
            expires_at = tx.now + 30 * DAY
            session_id = sessions.insert(
                tx, user_id=user_id, refresh_id="none", expires_at=expires_at, address="", user_agent=""
            )
            return Actor(user_id, session_id)

        return await self.store.write(unit)

    async def group(self, owner: Actor, *others: Actor) -> int:
        """A new group, by its id."""
        command = CreateConversation(type="group", members=[other.user_id for other in others])
        view, _ = await self.store.write(lambda tx: conversations.create(tx, self.rules, owner, command))
        return view["id"]

    async def leave(self, member: Actor, conversation_id: int) -> None:
        """A member leaves a group."""
        await self.store.write(lambda tx: members.remove(tx, member, conversation_id, member.user_id))

    async def uploaded(self, uploader: Actor, filename: str = "a.png", size: int = 3) -> int:
        """The row of an attachment whose bytes are said to be in the store, by its id."""

        def unit(tx: Transaction) -> int:
            attachment_id = uploads.insert(
                tx,
                uploader_id=uploader.user_id,
                filename=filename,
                content_type="image/png",
                declared_size=None,
            )
            upload = uploads.require_unsent(tx, attachment_id)
            uploads.record(tx, upload, f"key of {attachment_id}", size)
            return attachment_id

        return await self.store.write(unit)

    async def send(self, sender: Actor, conversation_id: int, *attachments: int) -> Message:
        """A message with these attachments."""
        draft = Draft(text="look", attachments=list(attachments))
        message, _ = await self.store.write(
            lambda tx: messages.send(tx, self.rules, sender, conversation_id, draft, None, read=True)
        )
        return message

    def kept(self) -> list[Path]:
        """Every file in the attachments' folder, whole or not."""
        return sorted(path for path in (self.data_dir / "attachments").rglob("*") if not path.is_dir())


@contextlib.asynccontextmanager
async def open_stored(data_dir: Path) -> AsyncIterator[Stored]:
    """A new store in a folder."""
    clock = Clock()
    rules = Rules(
        registration="open",
        message_chars=1000,
        group_members=1000,
        live_members=256,
        resume_events=5000,
        refresh_seconds=30 * 86_400,
        tokens=Tokens(b"t" * 32, 900, 30 * 86_400, clock),
        tickets=Tickets(lambda: clock() / 1000),
        links=Links(b"l" * 32, "", 86_400, clock),
    )
    async with open_store(Settings(data_dir, "off"), clock) as store:
        yield Stored(store, LocalFiles(data_dir), rules, clock, data_dir)
