"""`beseda user`: the accounts."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from beseda.cli.administering import Stop, change, configured, look
from beseda.cli.choosing import FromStdin, Generate, encoded_password
from beseda.cli.options import AsJson, ConfigFile, DataFolder, group
from beseda.cli.showing import named, print_json, print_table, to_the_second
from beseda.cli.telling import USAGE

if TYPE_CHECKING:
    from beseda.settings import Config
    from protocol.entities import Account
    from storage import Snapshot

user = group("Look after the accounts, also while the server runs.")

PAGE = 200

Who = Annotated[str, typer.Argument(metavar="USER", help="A username, an email, or the user's number.")]


@user.command("list")
def list_users(
    beginning: Annotated[
        str, typer.Argument(metavar="TEXT", help="Only those whose username or email begins so.")
    ] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """List the accounts, newest first.

    beseda user list --data /var/lib/beseda

    beseda user list ann --json
    """
    accounts = look(configured(config, data), lambda snapshot: every_account(snapshot, beginning))
    if as_json:
        print_json(accounts)
        return
    print_table(
        ["ID", "USERNAME", "EMAIL", "STATE", "LAST SEEN"],
        (
            [str(one["id"]), one["username"], one["email"], _state(one), to_the_second(one["last_seen_at"])]
            for one in accounts
        ),
    )


@user.command()
def add(
    username: Annotated[str, typer.Argument(metavar="USERNAME")],
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="What the user logs in with.")],
    admin: Annotated[bool, typer.Option("--admin", help="Make it an admin's account.")] = False,
    password_stdin: FromStdin = False,
    generate: Generate = False,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Make an account, whoever else may register. Asks for its password.

    beseda user add ann ann@example.org

    beseda user add bob bob@example.org --generate
    """
    settings = configured(config, data)
    look(settings, lambda snapshot: _require_free(snapshot, username, email))
    encoded, made_up = encoded_password(from_stdin=password_stdin, generate=generate)
    arguments = {"username": username, "email": email, "password": encoded, "is_admin": admin}
    _tell(change(settings, "user.add", arguments), "{} is added.", as_json, made_up)


@user.command()
def reset_password(
    who: Who,
    password_stdin: FromStdin = False,
    generate: Generate = False,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Give a user another password.

    All of the user's sessions end. This is also how an admin who is locked out gets in again.

    beseda user reset-password ann

    beseda user reset-password ann --generate
    """
    settings = configured(config, data)
    account = _found(settings, who)
    encoded, made_up = encoded_password(from_stdin=password_stdin, generate=generate)
    # By its number: the name may be someone else's by now.
    arguments = {"user": str(account["id"]), "password": encoded}
    done = change(settings, "user.reset-password", arguments)
    _tell(done, "{} has another password, and is logged out everywhere.", as_json, made_up)


@user.command()
def disable(who: Who, config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False) -> None:
    """Let nobody log in to an account.

    All its sessions end. Nothing else changes, and `enable` takes it back.

    beseda user disable ann
    """
    done = change(configured(config, data), "user.disable", {"user": who})
    _tell(done, "{} is disabled, and logged out everywhere.", as_json)


@user.command()
def enable(who: Who, config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False) -> None:
    """Let the user of a disabled account log in again.

    beseda user enable ann
    """
    _tell(change(configured(config, data), "user.enable", {"user": who}), "{} may log in.", as_json)


@user.command()
def make_admin(who: Who, config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False) -> None:
    """Make a user an admin, who may look after all accounts.

    beseda user make-admin ann
    """
    _tell(change(configured(config, data), "user.make-admin", {"user": who}), "{} is an admin.", as_json)


@user.command()
def remove_admin(
    who: Who, config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False
) -> None:
    """Make an admin a user like any other.

    beseda user remove-admin ann
    """
    done = change(configured(config, data), "user.remove-admin", {"user": who})
    _tell(done, "{} is no admin.", as_json)


@user.command()
def delete(
    who: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Delete an account for good.

    All that is personal in it goes. What the user has sent stays, without the name.

    beseda user delete ann
    """
    settings = configured(config, data)
    account = _found(settings, who)
    if not yes:
        if not sys.stdin.isatty():
            raise Stop("There is no terminal to ask whether it is meant: use --yes.", USAGE)
        typer.confirm(f"Delete {named(account)} for good?", abort=True, err=True)
    # By its number: the name may be someone else's by now.
    _tell(change(settings, "user.delete", {"user": str(account["id"])}), "{} is deleted.", as_json)


def _tell(done: dict[str, Any], sentence: str, as_json: bool, made_up: str | None = None) -> None:
    """What was done; a password that was made up stands alone on standard output, for whoever called us."""
    if as_json:
        print_json(done if made_up is None else {**done, "password": made_up})
        return
    print(sentence.format(named(done)), file=sys.stdout if made_up is None else sys.stderr)
    if made_up is not None:
        print("The password, shown this once:", file=sys.stderr)
        print(made_up)


def _state(account: "Account") -> str:
    states = ["admin"] if account["is_admin"] else []
    return ", ".join(states + (["disabled"] if account["disabled_at"] else []))


def _found(settings: "Config", who: str) -> "Account":
    from actions.administration import account
    from beseda.control.commands import find

    return look(settings, lambda snapshot: account(snapshot, find(snapshot, who)))


def every_account(snapshot: "Snapshot", beginning: str = "") -> list["Account"]:
    """The accounts whose username or email begins so, newest first."""
    from actions.administration import listed
    from protocol.codec import parse
    from protocol.commands import UserPage

    wanted = parse(UserPage, {"query": beginning, "limit": PAGE})
    found: list[Account] = []
    while page := listed(snapshot, wanted.model_copy(update={"before": found[-1]["id"] if found else None})):
        found += page
    return found


def _require_free(snapshot: "Snapshot", username: str, email: str) -> None:
    from actions.accounts import named, require_free

    wanted = named(username, email)
    require_free(snapshot, wanted.email_key, wanted.username_key)
