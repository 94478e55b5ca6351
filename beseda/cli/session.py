"""`beseda session`: logins."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from beseda.cli.administering import Stop, change, configured, look
from beseda.cli.options import AsJson, ConfigFile, DataFolder, group
from beseda.cli.showing import print_json, print_table, to_the_second
from beseda.cli.telling import USAGE

if TYPE_CHECKING:
    from storage import Snapshot

session = group("Look after logins.")


@session.command("list")
def list_sessions(
    who: Annotated[
        str | None, typer.Argument(metavar="USER", help="Only those of this username, email or number.")
    ] = None,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """List who is logged in, where, and since when.

    beseda session list

    beseda session list ann
    """
    sessions = look(configured(config, data), lambda snapshot: _sessions(snapshot, who))
    if as_json:
        print_json(sessions)
        return
    print_table(
        ["ID", "USERNAME", "LAST USED", "ADDRESS", "PROGRAM"],
        (
            [
                str(one["id"]),
                one["username"],
                to_the_second(one["last_used_at"]),
                one["address"],
                one["user_agent"],
            ]
            for one in sessions
        ),
    )


@session.command()
def end(
    number: Annotated[int | None, typer.Argument(metavar="ID", help="Its number in the list.")] = None,
    who: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="End all of this user's sessions.")
    ] = None,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """End a session, or all of a user's: its sockets close at once.

    beseda session end 12

    beseda session end --user ann
    """
    if (number is None) == (who is None):
        raise Stop("Name either a session, by its number, or --user.", USAGE)
    asked = ("session.end", {"id": number}) if who is None else ("session.end-all", {"user": who})
    done = change(configured(config, data), *asked)
    if as_json:
        print_json(done)
    else:
        ended = "1 session has" if done["ended"] == 1 else f"{done['ended']} sessions have"
        print(f"{ended} ended.")


def _sessions(snapshot: "Snapshot", who: str | None) -> list[dict[str, Any]]:
    """The sessions, with whose they are."""
    from actions.administration import account, sessions_of
    from beseda.cli.user import every_account
    from beseda.control.commands import find

    users = every_account(snapshot) if who is None else [account(snapshot, find(snapshot, who))]
    return [
        {"user_id": user["id"], "username": user["username"], **one}
        for user in users
        if user["sessions"]
        for one in sessions_of(snapshot, user["id"])
    ]
