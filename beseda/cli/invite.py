"""`beseda invite`: invitations to register."""

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from beseda.cli.administering import Stop, change, configured, look
from beseda.cli.options import AsJson, ConfigFile, DataFolder, group
from beseda.cli.showing import print_json, print_table, to_the_second
from beseda.cli.telling import USAGE

if TYPE_CHECKING:
    from protocol.entities import Invite
    from storage import Snapshot

invite = group("Look after invitations to register.")

_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


@invite.command()
def create(
    uses: Annotated[int, typer.Option(metavar="N", help="Good for so many registrations.")] = 1,
    expires: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Good for so long: 30m, 12h, 7d, 2w. Without it for ever."),
    ] = None,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Make an invitation; its code goes to standard output, alone.

    Who registers is asked for the code where auth.registration is "invite".

    beseda invite create --uses 5 --expires 7d
    """
    arguments = {"uses": uses, "expires_in": None if expires is None else _seconds(expires)}
    made = change(configured(config, data), "invite.create", arguments)
    if as_json:
        print_json(made)
        return
    until = "for ever" if made["expires_at"] is None else f"until {to_the_second(made['expires_at'])}"
    times = "one registration" if uses == 1 else f"{uses} registrations"
    print(f"Good for {times}, {until}. The code, shown this once:", file=sys.stderr)
    print(made["code"])


@invite.command("list")
def list_invites(config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False) -> None:
    """List the invitations that can still be used, newest first.

    beseda invite list
    """
    invites = look(configured(config, data), _all)
    if as_json:
        print_json(invites)
        return
    print_table(
        ["ID", "USES LEFT", "EXPIRES", "CREATED", "BY USER"],
        (
            [
                str(one["id"]),
                str(one["uses_left"]),
                to_the_second(one["expires_at"]),
                to_the_second(one["created_at"]),
                str(one["created_by"]),
            ]
            for one in invites
        ),
    )


@invite.command()
def revoke(
    number: Annotated[int, typer.Argument(metavar="ID", help="Its number in the list.")],
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Let nobody register with an invitation any more.

    beseda invite revoke 7
    """
    done = change(configured(config, data), "invite.revoke", {"id": number})
    if as_json:
        print_json(done)
    else:
        print(f"Invitation {number} is revoked.")


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,8})([mhdw])", text, re.ASCII)
    if found is None:
        raise Stop(f"--expires {text}: must be a number and its unit, like 30m, 12h, 7d or 2w.", USAGE)
    return int(found[1]) * _SECONDS[found[2]]


def _all(snapshot: "Snapshot") -> list["Invite"]:
    from actions.invites import listed
    from protocol.commands import InvitePage

    found: list[Invite] = []
    while page := listed(snapshot, InvitePage(limit=200, before=found[-1]["id"] if found else None)):
        found += page
    return found
