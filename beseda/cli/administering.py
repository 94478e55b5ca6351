"""What the commands that look after a server have in common: they change something, or look at something."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from beseda.cli.options import settings
from beseda.cli.telling import FAILURE, USAGE

if TYPE_CHECKING:
    from beseda.settings import Config
    from storage import Snapshot

T = TypeVar("T")


class Stop(typer.TyperException):
    """The command goes no further: one line that says why, and the exit code."""

    def __init__(self, message: str, exit_code: int = FAILURE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def configured(config: Path | None, data: Path | None) -> "Config":
    """The settings of the server that is meant. Raises Stop."""
    from beseda.config import ConfigError

    try:
        return settings(config, data)
    except ConfigError as error:
        raise Stop(str(error), USAGE) from None


def change(settings: "Config", command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Have the server carry out a command of `beseda.control`, or do it here where none runs. Raises Stop."""
    from beseda.control.asking import do

    with stopping():
        return do(settings, command, arguments)


def look(settings: "Config", query: Callable[["Snapshot"], T]) -> T:
    """What a query says of the data, whether a server runs or not. Raises Stop."""
    from beseda.control.folder import require_data
    from storage import looking

    folder = settings.server.data_dir.absolute()
    with stopping():
        require_data(folder)
        with looking(folder) as snapshot:
            return query(snapshot)


def live(settings: "Config") -> dict[str, Any] | None:
    """What goes on in the server at the moment; None where none answers. Raises Stop."""
    from beseda.control.asking import NoServer, ask
    from beseda.control.serving import LIVE

    with stopping():
        try:
            return ask(settings.server.data_dir.absolute(), LIVE, {})
        except NoServer:
            return None


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """Raise Stop for what the data, or whoever looks after it, refuses."""
    from beseda.control.asking import Failed
    from protocol.errors import Refused
    from storage import Unusable

    try:
        yield
    except Unusable as error:
        raise Stop(str(error)) from None
    except (Failed, Refused) as error:
        raise Stop(error.detail, USAGE if error.code == "invalid" else FAILURE) from None
