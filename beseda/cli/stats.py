"""`beseda stats`."""

from typing import TYPE_CHECKING, Any

from beseda.cli.administering import configured, live, look
from beseda.cli.options import AsJson, ConfigFile, DataFolder
from beseda.cli.showing import print_json, print_table, to_the_second

if TYPE_CHECKING:
    from protocol.entities import Totals


def stats(config: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False) -> None:
    """Tell how much there is, and who is connected.

    beseda stats --data /var/lib/beseda

    beseda stats --json
    """
    from actions import administration

    settings = configured(config, data)
    totals = look(settings, administration.stats)
    server = live(settings)
    if as_json:
        print_json({**totals, "server": server})
    else:
        print_table(None, [*_of_server(server), *_of_data(totals)])


def _of_server(server: dict[str, Any] | None) -> list[tuple[str, str]]:
    if server is None:
        return [("server", "none answers")]
    return [
        ("server", f"{server['version']}, since {to_the_second(server['started_at'])}"),
        ("online", f"{server['online']} users on {server['connections']} connections"),
    ]


def _of_data(totals: "Totals") -> list[tuple[str, str]]:
    from rich.filesize import decimal

    return [
        ("users", str(totals["users"])),
        ("admins", str(totals["admins"])),
        ("disabled", str(totals["disabled"])),
        ("sessions", str(totals["sessions"])),
        ("conversations", f"{totals['dialogs']} dialogs, {totals['groups']} groups"),
        ("messages", str(totals["messages"])),
        ("oldest", to_the_second(totals["oldest_message_at"])),
        ("newest", to_the_second(totals["newest_message_at"])),
        ("files", f"{totals['attachments']}, {decimal(totals['attachment_bytes'])}"),
        ("database", decimal(totals["database_bytes"])),
    ]
