"""The pages in `docs/` against the code: what exists stands there, and what stands there exists."""

import json
import re
import tomllib
import typing
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.routing import Route
from typing_extensions import is_typeddict

from api.app import build
from api.services import Services
from beseda import config
from hub.inbox import PINGS
from hub.meter import FLOOD
from protocol import closing, commands, entities, errors, operations
from protocol.closing import CLOSE_CODES
from protocol.errors import HTTP_STATUS, SOCKET_CODES, SOCKET_ERRORS, Code, SocketCode
from protocol.frames import SERVER_FRAMES
from protocol.operations import Operation

ROOT = Path(__file__).resolve().parents[1]
PROTOCOL = (ROOT / "docs/protocol.md").read_text("utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

NOT_SENT_YET = frozenset({"forbidden"})
"""Codes that no frame is answered with so far; the page names them as such."""


def section(page: str, title: str) -> str:
    """What stands under a heading, up to the next one of its rank or a higher one."""
    found = re.search(rf"^(#+) {re.escape(title)}$\n(.*?)(?=^#{{1,3}} |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no heading {title!r}"
    return found[2]


def table(text: str) -> list[list[str]]:
    """The rows of a section's table, without its head; cells without backticks."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 2, "there is no table"
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows[2:]]


def words(cell: str) -> set[str]:
    """The names in a cell."""
    return set(re.findall(r"\b[a-z]+(?:_[a-z]+)*\b", cell))


def code_words(text: str) -> set[str]:
    """The words in a text's code, inline and in blocks."""
    code = re.findall(r"`([^`]+)`", text) + re.findall(r"^    .*$", text, re.MULTILINE)
    return set(re.findall(r"\w+", " ".join(code)))


def numbers(text: str) -> set[int]:
    """The statuses that a text speaks of: in prose, and at the start of a line of code."""
    prose = re.sub(r"^    (\d+ )?.*$|`[^`]*`", r"\1", text, flags=re.MULTILINE)
    return {int(found) for found in re.findall(r"(?<![\w.,])\d{3}(?![\w]|,\d)", prose)} & set(HTTPStatus)


def fields(of: Any) -> set[str]:
    """The fields of a type, or of the items of a list."""
    if typing.get_origin(of) is list:
        return fields(typing.get_args(of)[0])
    if isinstance(of, type) and issubclass(of, commands.Command):
        return set(of.model_fields)
    return set(typing.get_type_hints(of)) if is_typeddict(of) else set()


def described() -> list[Operation]:
    """The operations that the page on the protocol describes; health is the operator's."""
    return [operation for operation in operations.every() if operation.name not in ("healthz", "readyz")]


def sections(operation: Operation) -> tuple[str, str]:
    """What the page says of an operation: under its heading, and in the whole chapter."""
    heading = next(
        line for line in PROTOCOL.splitlines() if line.startswith("###") and f"`{operation.route}`" in line
    )
    own = section(PROTOCOL, heading.lstrip("# "))
    [chapter] = [part for part in PROTOCOL.split("\n## ") if f"\n{heading}\n" in part]
    return own, chapter


def routes() -> set[str]:
    """`GET /chats/{id}` and all others that the application serves."""
    application = build(cast(Services, SimpleNamespace(store=None, origins=())), figures=cast(Any, "some"))
    found = set()
    for route in application.routes:
        assert isinstance(route, Route)
        found |= {f"{method} {route.path}" for method in (route.methods or set()) - {"HEAD"}}
    return found


def test_every_frame_that_a_client_may_send_stands_in_the_protocol_with_all_its_fields() -> None:
    told = {row[0]: words(row[1]) - {"optional"} for row in table(section(PROTOCOL, "What a client sends"))}
    there = {name: set(model.model_fields) - {"type"} for name, model in commands.FRAMES.items()}
    assert there
    assert told == there


def test_every_frame_that_the_server_sends_stands_in_the_protocol_with_all_its_fields() -> None:
    told = {row[0]: words(row[1]) for row in table(section(PROTOCOL, "What the server sends"))}
    there = {kind: set(typing.get_type_hints(frame)) - {"type"} for kind, frame in SERVER_FRAMES.items()}
    assert {"hello", "message_sent", "new_message", "error"} < set(there)
    assert told == there


def test_what_a_server_tells_of_itself_stands_in_the_protocol() -> None:
    page = section(PROTOCOL, "`GET /server`")
    told = {row[0] for row in table(page)}
    assert told == set(typing.get_args(entities.Feature))
    example = page.partition("200 ")[2].partition("\n\n")[0].replace(", ...", "")
    assert made_keys(json.loads(example)) == keys(entities.ServerInfo)
    for kind in typing.get_args(entities.Registration):
        assert f"`{kind}`" in page


def made_keys(value: Any) -> Any:
    """The names in a value, as deep as they go."""
    return {name: made_keys(part) for name, part in value.items()} if isinstance(value, dict) else None


def keys(of: Any) -> Any:
    """The names in a type, as deep as they go."""
    if not is_typeddict(of):
        return None
    return {name: keys(part) for name, part in typing.get_type_hints(of).items()}


@pytest.mark.parametrize("operation", described(), ids=lambda operation: operation.route)
def test_an_operation_stands_in_the_protocol_with_its_fields_statuses_and_codes(operation: Operation) -> None:
    own, around = sections(operation)
    asked = [each for each in (*operation.query, operation.body) if isinstance(each, type)]
    assert code_words(own) >= {name for model in asked for name in model.model_fields}
    assert code_words(around) >= {name for of in operation.answers.values() for name in fields(of)}
    assert numbers(own) >= set(operation.answers)
    assert code_words(own) >= {
        refusal if isinstance(refusal, str) else refusal[1] for refusal in operation.refusals
    }


@pytest.mark.parametrize("operation", described(), ids=lambda operation: operation.route)
def test_the_protocol_tells_of_an_operation_only_what_is_true(operation: Operation) -> None:
    own, _ = sections(operation)
    problems = operation.problems()
    assert numbers(own) <= {*operation.answers, *problems}
    codes = {code for codes in problems.values() for code in codes}
    assert code_words(own) & set(typing.get_args(Code)) <= codes


def test_every_field_in_an_example_of_the_protocol_is_known() -> None:
    types = [
        *vars(entities).values(),
        *vars(errors).values(),
        *commands.FRAMES.values(),
        *SERVER_FRAMES.values(),
    ]
    known = {name for of in types if isinstance(of, type) for name in fields(of)}
    for operation in operations.every():
        known |= {
            name
            for of in (*operation.query, operation.body)
            if isinstance(of, type)
            for name in of.model_fields
        }
    told = {name for line in PROTOCOL.splitlines() for name in re.findall(r'"(\w+)":', line)}
    assert len(told) > 40
    assert told - known == set()


def test_every_error_code_stands_in_the_protocol_with_its_status() -> None:
    told = {row[1]: int(row[0]) for row in table(section(PROTOCOL, "Errors"))}
    there = dict(HTTP_STATUS)
    del there["unknown_type"]
    assert told == there
    assert set(HTTP_STATUS) == set(typing.get_args(Code))
    for code in typing.get_args(Code):
        assert f"`{code}`" in PROTOCOL


def test_every_code_of_an_error_frame_stands_in_the_protocol() -> None:
    told = {row[0] for row in table(section(PROTOCOL, "Errors on the socket"))}
    assert set(SOCKET_ERRORS) == set(typing.get_args(SocketCode)) >= set(SOCKET_CODES.values())
    assert told == set(SOCKET_ERRORS) - NOT_SENT_YET
    for code in NOT_SENT_YET:
        assert f"`{code}`" in section(PROTOCOL, "Errors on the socket")


def test_every_close_code_stands_in_the_protocol() -> None:
    told = [int(row[0]) for row in table(section(PROTOCOL, "Close codes"))]
    there = {value for value in vars(closing).values() if isinstance(value, int)}
    assert len(there) > 5
    assert told == sorted(there) == list(CLOSE_CODES)


def test_every_route_stands_in_the_pages_and_every_route_in_the_pages_exists() -> None:
    headings = [line for line in PROTOCOL.splitlines() if line.startswith("###")]
    told = set(re.findall(r"`([A-Z]+ /[^`]*)`", "\n".join(headings)))
    told |= {f"GET {row[0]}" for row in table(section(OPERATIONS, "Health"))}
    there = routes()
    assert "POST /chats/{id}/messages" in there
    assert told == there


def test_every_setting_stands_in_operations_with_its_default_in_the_order_of_the_file() -> None:
    rows = table(section(OPERATIONS, "Settings"))
    told = [(name, tomllib.loads(f"value = {default}")["value"]) for name, default, _ in rows]
    tables = tomllib.loads(config.render())
    tables["attachments.s3"] = tables["attachments"].pop("s3")
    there = [(f"{part}.{key}", tables[part][key]) for part, key, _ in config.settings()]
    assert ("server.port", 8000) in there
    assert told == there


def test_the_settings_that_the_protocol_speaks_of_have_the_limits_that_it_tells() -> None:
    defaults = {f"{part}.{key}": field.default for part, key, field in config.settings()}
    backlog = defaults["limits.backlog_bytes"] // 2**20
    backlogs = defaults["limits.total_backlog_bytes"] // 2**20
    attempts, tries = [defaults[f"auth.{name}_attempts_per_minute"] for name in ("login", "address")]
    registrations = defaults["auth.registrations_per_minute"]
    pages = [section(PROTOCOL, title) for title in ("Limits", "Rates", "Passwords and registrations")]
    limits = " ".join(f"{row[0]}: {row[1]};" for page in pages for row in table(page))
    for setting, told in {
        "limits.body_bytes": f"JSON body: {defaults['limits.body_bytes'] // 2**20} MiB;",
        "limits.header_bytes": f"URL and headers: {defaults['limits.header_bytes'] // 2**10} KiB;",
        "limits.frame_bytes": f"Frame from a client: {defaults['limits.frame_bytes'] // 2**10} KiB;",
        "limits.message_chars": f"Text of a message: {defaults['limits.message_chars']:,} characters;",
        "limits.group_members": f"Members of a group: {defaults['limits.group_members']:,};",
        "limits.live_members": f"typing and receipts: {defaults['limits.live_members']};",
        "limits.sockets_per_user": f"Sockets per user: {defaults['limits.sockets_per_user']};",
        "limits.sockets": f"Sockets in all: {defaults['limits.sockets']:,};",
        "limits.resume_events": f"Events in a replay: {defaults['limits.resume_events']:,};",
        "limits.total_backlog_bytes": f"Unsent backlogs together: {backlogs} MiB;",
        "limits.messages_per_second": f"changes of conversations: {defaults['limits.messages_per_second']} a second,",
        "limits.message_burst": f" a second, {defaults['limits.message_burst']} at once;",
        "limits.requests_per_second": f"frames and requests: {defaults['limits.requests_per_second']} a second,",
        "limits.request_burst": f" a second, {defaults['limits.request_burst']} at once;",
        "auth.login_attempts_per_minute": f"for one account: {attempts} at once, then {attempts} a minute;",
        "auth.address_attempts_per_minute": f"all accounts together: {tries} at once, then {tries} a minute;",
        "auth.registrations_per_minute": f"Registrations, successful or not: {registrations} at once,",
        "PINGS": f"Pings from a client: {PINGS} a second;",
        "limits.backlog_bytes": f"Unsent backlog of a socket: {backlog} MiB,",
        "attachments.max_bytes": f"File: {defaults['attachments.max_bytes'] // 2**20} MiB;",
        "attachments.unsent_files": f"per user: {defaults['attachments.unsent_files']} files,",
        "attachments.unsent_bytes": f" files, {defaults['attachments.unsent_bytes'] // 2**20} MiB;",
        "MAX_ATTACHMENTS": f"Attachments of a message: {commands.MAX_ATTACHMENTS};",
    }.items():
        assert told in limits, f"{setting}: {told!r}"


def test_the_protocol_tells_how_many_refusals_are_a_flood() -> None:
    assert f"{FLOOD} `rate_limited`" in section(PROTOCOL, "Rates")
    assert f"{FLOOD} frames in a row" in section(PROTOCOL, "Close codes")


def test_every_event_of_the_audit_trail_stands_in_operations() -> None:
    calls = [
        call
        for room in ("actions", "api", "beseda", "hub")
        for path in (ROOT / room).rglob("*.py")
        for call in re.findall(r"audit\.(?:record|refused)\(([^,]*),", path.read_text("utf-8"))
    ]
    there = {event for call in calls for event in re.findall(r'"(\w+)"', call)}
    assert {"login", "user_disabled", "forbidden_origin"} <= there
    told = {
        event
        for title in ("The audit trail", "Accounts")
        for row in table(section(OPERATIONS, title))
        for event in re.findall(r"[a-z_]+", row[0])
    }
    assert told == there


def test_the_architecture_has_at_most_a_hundred_lines_and_names_files_that_exist() -> None:
    assert len(ARCHITECTURE.splitlines()) <= 100
    named = set(re.findall(r"`([a-z_]+/[\w/.]*)`", ARCHITECTURE))
    assert len(named) > 5
    for name in named:
        assert (ROOT / name).exists(), name
    for module in set(re.findall(r"`((?:hub|api|actions|storage|protocol|beseda)\.[a-z_]+)", ARCHITECTURE)):
        path = ROOT / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").exists(), module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for link in links:
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link


def test_there_are_pages_with_links() -> None:
    assert {path.name for path in PAGES} >= {
        "README.md",
        "CHANGELOG.md",
        "protocol.md",
        "operations.md",
        "architecture.md",
    }
    assert "](docs/protocol.md)" in README
    assert PROTOCOL.count("](#") > 5


def anchors(text: str) -> set[str]:
    """The anchors that the headings of a page have where Markdown is shown."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
