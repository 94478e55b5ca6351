"""What can be asked from outside: each command's arguments, its unit of work, and its name in the audit trail."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from pydantic import Field

from actions import administration, audit, invites
from protocol.codec import parse
from protocol.commands import Command, CreateInvite, Email, Username
from protocol.errors import Refused
from protocol.ids import Id
from storage import Snapshot, Store, Transaction, accounts, sessions
from storage.attachments.local import LocalFiles
from storage.users import StoredUser

C = TypeVar("C", bound=Command)

EncodedPassword = Annotated[str, Field(max_length=256, pattern=r"^\$argon2id\$")]
"""Whoever asks has hashed it: that takes a tenth of a second, and nobody else is to know it."""


class AddUser(Command):
    """`user.add`."""

    username: Username
    email: Email
    password: EncodedPassword
    is_admin: bool


class OfUser(Command):
    """A command about one account: `user` is its username, its email, or its id in digits."""

    user: Annotated[str, Field(max_length=320)]


class ResetPassword(OfUser):
    """`user.reset-password`."""

    password: EncodedPassword


class OfNumber(Command):
    """A command about a session or an invitation."""

    id: Id


class Done(NamedTuple):
    """What came of a command: its answer, what the audit trail says of it, and files that nobody needs any more."""

    result: Mapping[str, Any]
    audited: dict[str, int | bool]
    unsent: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """What commands work with. `live_members` is the setting."""

    store: Store
    files: LocalFiles
    live_members: int


@dataclass(frozen=True, slots=True)
class Operation(Generic[C]):
    """What a command is told, what it does, and what it is called in the audit trail."""

    arguments: type[C]
    unit: Callable[[Transaction, Desk, C], Done]
    event: str


async def perform(desk: Desk, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Do what is asked; its result, once it is durable and told to everyone.

    Raises Refused: `unknown_type` where there is no such command, `invalid`, what the command refuses, `unavailable`.
    """
    operation = OPERATIONS.get(name)
    if operation is None:
        raise Refused("unknown_type", f"There is no command {name!r} in this version.")
    command = parse(operation.arguments, arguments)
    done = await desk.store.write(lambda tx: operation.unit(tx, desk, command))
    audit.record(operation.event, **done.audited, by="control")
    for key in done.unsent:
        await desk.files.delete(key)
    return done.result


def find(snapshot: Snapshot, who: str) -> StoredUser:
    """The account with this username, email, or id. Raises Refused: `invalid`; `not_found`, which names it."""
    parse(OfUser, {"user": who})
    try:
        return administration.find(snapshot, who)
    except Refused:
        raise Refused("not_found", f"There is no user {who!r}.") from None


def _add(tx: Transaction, desk: Desk, command: AddUser) -> Done:
    made = administration.add(
        tx,
        email=command.email,
        username=command.username,
        encoded=command.password,
        is_admin=command.is_admin,
    )
    account = administration.get(tx, made["id"])
    return Done(account, {"user_id": account["id"], "is_admin": account["is_admin"]})


def _reset_password(tx: Transaction, desk: Desk, command: ResetPassword) -> Done:
    user = find(tx, command.user)
    administration.reset_password(tx, user.id, command.password)
    return _account(tx, user.id)


def _of_user(change: Callable[[Transaction, int], None]) -> Callable[[Transaction, Desk, OfUser], Done]:
    def unit(tx: Transaction, desk: Desk, command: OfUser) -> Done:
        user = find(tx, command.user)
        change(tx, user.id)
        return _account(tx, user.id)

    return unit


def _delete(tx: Transaction, desk: Desk, command: OfUser) -> Done:
    user = find(tx, command.user)
    result = administration.get(tx, user.id)
    unsent = administration.delete(tx, user.id, live_members=desk.live_members)
    return Done(result, {"user_id": user.id}, unsent)


def _account(tx: Transaction, user_id: int) -> Done:
    return Done(administration.get(tx, user_id), {"user_id": user_id})


def _create_invite(tx: Transaction, desk: Desk, command: CreateInvite) -> Done:
    admin = accounts.first_admin(tx)
    if admin is None:
        raise Refused("forbidden", "There is no admin yet in whose name it could be: make one first.")
    made = invites.make(tx, command, invites.new_code(), admin)
    return Done(made, {"invite_id": made["id"]})


def _revoke_invite(tx: Transaction, desk: Desk, command: OfNumber) -> Done:
    try:
        invites.revoke(tx, command.id)
    except Refused:
        raise Refused("not_found", f"There is no invitation {command.id}.") from None
    return Done({"id": command.id}, {"invite_id": command.id})


def _end_session(tx: Transaction, desk: Desk, command: OfNumber) -> Done:
    session = sessions.by_id(tx, command.id)
    if session is None:
        raise Refused("not_found", f"There is no session {command.id}.")
    administration.end_session(tx, session.user_id, session.id)
    return Done(
        {"user_id": session.user_id, "ended": 1}, {"user_id": session.user_id, "session_id": session.id}
    )


def _end_sessions(tx: Transaction, desk: Desk, command: OfUser) -> Done:
    user = find(tx, command.user)
    ended = accounts.count_sessions(tx, user.id)
    administration.end_sessions(tx, user.id)
    return Done({"user_id": user.id, "ended": ended}, {"user_id": user.id})


OPERATIONS: dict[str, Operation[Any]] = {
    "user.add": Operation(AddUser, _add, "user_added"),
    "user.reset-password": Operation(ResetPassword, _reset_password, "password_reset"),
    "user.disable": Operation(OfUser, _of_user(administration.disable), "user_disabled"),
    "user.enable": Operation(OfUser, _of_user(administration.enable), "user_enabled"),
    "user.make-admin": Operation(
        OfUser, _of_user(partial(administration.set_admin, is_admin=True)), "admin_granted"
    ),
    "user.remove-admin": Operation(
        OfUser, _of_user(partial(administration.set_admin, is_admin=False)), "admin_revoked"
    ),
    "user.delete": Operation(OfUser, _delete, "user_deleted"),
    "invite.create": Operation(CreateInvite, _create_invite, "invite_created"),
    "invite.revoke": Operation(OfNumber, _revoke_invite, "invite_revoked"),
    "session.end": Operation(OfNumber, _end_session, "session_ended"),
    "session.end-all": Operation(OfUser, _end_sessions, "sessions_ended"),
}
"""All commands that change something, by their names on the control socket."""
