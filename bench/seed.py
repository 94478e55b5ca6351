"""A data folder with people and conversations in it, made before the server starts.

Hashing passwords is not what is measured.
"""

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path

from actions.passwords import hash_password
from actions.tokens import Tokens
from beseda.keys import derive, signing_key
from storage import Settings, Transaction, conversations, open_store, sessions, users
from storage.store import wall_clock

LIFE_SECONDS = 86_400


@dataclass(frozen=True)
class Crowd:
    """An id and an access token per user, and the conversations."""

    ids: list[int]
    tokens: list[str]
    conversations: list[int]


def seed(data_dir: Path, people: int, groups: list[list[int]], password: str | None = None) -> Crowd:
    """Make `people` users (their indexes from 0) and a conversation for each list of indexes.

    The first of a list owns the group. All have one `password`, or none, with the email `person0@load.example`.
    """
    return asyncio.run(_seed(data_dir, people, groups, password))


async def _seed(data_dir: Path, people: int, groups: list[list[int]], password: str | None) -> Crowd:
    encoded = "-" if password is None else hash_password(password)
    async with open_store(Settings(data_dir, "full")) as store:
        tokens = Tokens(derive(signing_key(data_dir), "tokens"), LIFE_SECONDS, LIFE_SECONDS, wall_clock)

        def unit(tx: Transaction) -> Crowd:
            ids = [_person(tx, index, encoded) for index in range(people)]
            issued = [tokens.issue_access(user_id, _session(tx, user_id)) for user_id in ids]
            return Crowd(
                ids, issued, [_conversation(tx, [ids[index] for index in group]) for group in groups]
            )

        return await store.write(unit)


def _person(tx: Transaction, index: int, encoded: str) -> int:
    name = f"person{index}"
    return users.insert(
        tx,
        username=name,
        username_key=name,
        email=f"{name}@load.example",
        email_key=f"{name}@load.example",
        password=encoded,
        is_admin=False,
    )


def _session(tx: Transaction, user_id: int) -> int:
    return sessions.insert(
        tx,
        user_id=user_id,
        refresh_id=secrets.token_urlsafe(16),
        expires_at=tx.now + LIFE_SECONDS * 1000,
        address="127.0.0.1",
        user_agent="load",
    )


def _conversation(tx: Transaction, members: list[int]) -> int:
    is_dialog = len(members) == 2
    return conversations.insert(
        tx,
        kind="dialog" if is_dialog else "group",
        title=None,
        dialog_key="{}:{}".format(*sorted(members)) if is_dialog else None,
        created_by=members[0],
        members=members,
    )
