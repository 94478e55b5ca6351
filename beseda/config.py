"""Loading the settings: flags over the environment over the file over the defaults. Nothing wrong is passed over.

Each layer is read as `{"server.port": Given(8000, "--port")}`, so that whatever is wrong can be told with the
place it came from.
"""

import json
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from beseda.settings import Config, conflict

PREFIX = "BESEDA_"

FLAGS = {
    "server.host": "--host",
    "server.port": "--port",
    "server.data_dir": "--data",
    "server.public_url": "--url",
    "auth.registration": "--registration",
}
"""What the command line can set."""


_WORDS = {
    "Value error, ": "",
    "Input should be": "must be",
    "String should have": "must have",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid tuple": "a list",
    "a valid string": "a string",
    "Input is not a valid path for <class 'pathlib.Path'>": "must be a path",
}
"""pydantic speaks to programmers; whoever reads a settings file need not be one."""


class ConfigError(Exception):
    """A setting is unknown or invalid, or the file cannot be read: one line that names it."""


class Given(NamedTuple):
    """A setting's value, and where it stands."""

    value: object
    where: str


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]) -> Config:
    """The settings. `path` is the file of `--config`; `overrides` are the flags, by the names of what they set.

    Raises ConfigError.
    """
    given: dict[str, Given] = {}
    if path is not None:
        given.update(_from_file(path))
    given.update(_from_environment(environ))
    given.update(_from_flags(overrides))
    try:
        config = Config.model_validate(_nested(given))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[0]
        depth = max(depth for depth in range(4) if _name(found["loc"][:depth]) in {"", *given})
        name = _name(found["loc"][:depth])
        raise ConfigError(
            f"{name}: {_reason(found['msg'], found['loc'][depth:])} ({given[name].where})"
        ) from None
    if (wrong := conflict(config)) is not None:
        raise ConfigError(f"{wrong[0]}: {wrong[1]}")
    return config


def settings() -> Iterator[tuple[str, str, FieldInfo]]:
    """Every setting: its section, its name and its definition, in the order of the file."""
    for section, table in _tables(Config):
        for name, field in table.model_fields.items():
            if _table(field) is None:
                yield section, name, field


def render() -> str:
    """The text of `config.toml`: every setting with its default, and what it does."""
    head = [
        "# Every setting of Beseda, with its default. The server reads this file only when it is told to:",
        "#",
        "#     beseda serve --config config.toml",
        "#",
        "# BESEDA_<SECTION>__<KEY> in the environment overrides it (lists as JSON), and flags override both.",
    ]
    return _rendered(head, {f"{section}.{name}": field.default for section, name, field in settings()})


def render_chosen(values: Mapping[str, object]) -> str:
    """The text of a settings file with these values, by their whole names; all others keep their defaults."""
    head = ["# What is not set here has its default: docs/operations.md tells of all settings."]
    return _rendered(head, values)


def _rendered(lines: list[str], values: Mapping[str, object]) -> str:
    last = ""
    for section, name, field in settings():
        if f"{section}.{name}" not in values:
            continue
        if section != last:
            lines += ["", f"[{section}]"]
            last = section
        else:
            lines.append("")
        lines += textwrap.wrap(str(field.description), 100, initial_indent="# ", subsequent_indent="# ")
        lines.append(f"{name} = {_toml(values[f'{section}.{name}'])}")
    return "\n".join(lines) + "\n"


def _from_file(path: Path) -> dict[str, Given]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: this is no TOML: {error}") from None
    return dict(_flat(tables, Config, "", f"in {path}"))


def _flat(
    values: Mapping[str, object], model: type[BaseModel], section: str, where: str
) -> Iterator[tuple[str, Given]]:
    """The settings in a table and in those within it, by their whole names."""
    for key, value in values.items():
        name = f"{section}.{key}" if section else key
        inner = _table(model.model_fields[key]) if key in model.model_fields else None
        if inner is None:
            if not section:
                raise ConfigError(f"{name}: there is no such section ({where})")
            _require_known(name, where)
            yield name, Given(value, where)
        elif isinstance(value, dict):
            yield from _flat(value, inner, name, where)
        else:
            raise ConfigError(f"{name}: must be a table, [{name}] ({where})")


def _from_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    given = {}
    for variable, text in environ.items():
        # Only names with `__` are settings: Kubernetes, say, puts BESEDA_PORT into the environment by itself.
        if not variable.startswith(PREFIX) or "__" not in variable.removeprefix(PREFIX):
            continue
        name, where = variable.removeprefix(PREFIX).lower().replace("__", "."), f"from {variable}"
        field = _require_known(name, where)
        given[name] = Given(_from_text(text, field), where)
    return given


def _from_flags(overrides: Mapping[str, object]) -> dict[str, Given]:
    given = {}
    for name, value in overrides.items():
        where = f"from {FLAGS[name]}"
        field = _require_known(name, where)
        given[name] = Given(_from_text(value, field) if isinstance(value, str) else value, where)
    return given


def _from_text(text: str, field: FieldInfo) -> object:
    """A value as the environment and the command line write it: strings as they are, all else as JSON."""
    if isinstance(field.default, str | Path | SecretStr):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # It is wrong, and the check of its type will say how.
        return text


def _require_known(name: str, where: str) -> FieldInfo:
    for section, key, field in settings():
        if name == f"{section}.{key}":
            return field
    raise ConfigError(f"{name}: there is no such setting ({where})")


def _reason(message: str, inner: tuple[int | str, ...]) -> str:
    """pydantic's message in our words; `inner` leads to the item of a list that is wrong."""
    for theirs, ours in _WORDS.items():
        message = message.replace(theirs, ours)
    message = message[:1].lower() + message[1:]
    return f"item {inner[0]}: {message}" if inner and isinstance(inner[0], int) else message


def _toml(value: Any) -> str:
    """A default as TOML writes it; JSON's strings and numbers are TOML's too."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return json.dumps(str(value) if isinstance(value, Path) else value)


def _tables(model: type[BaseModel], section: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The sections of the file: each one, then those within it."""
    for name, field in model.model_fields.items():
        inner = _table(field)
        if inner is not None:
            whole = f"{section}.{name}" if section else name
            yield whole, inner
            yield from _tables(inner, whole)


def _table(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field is; None for a setting."""
    found = field.annotation
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _nested(given: Mapping[str, Given]) -> dict[str, Any]:
    """The values as pydantic takes them."""
    values: dict[str, Any] = {}
    for name, (value, _) in given.items():
        *sections, key = name.split(".")
        table = values
        for section in sections:
            table = table.setdefault(section, {})
        table[key] = value
    return values


def _name(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))
