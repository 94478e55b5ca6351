"""Log lines, and what may never stand in one."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from beseda.log import TALKATIVE, Json, Text, set_up, without_secrets

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in TALKATIVE}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord("storage.store", logging.WARNING, "store.py", 1, message, args, exc_info)
    made.created = 1_763_903_100.123
    return made


def raised(message: str) -> BaseException:
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def test_a_line_of_text_has_time_level_logger_and_message() -> None:
    assert Text().format(record("%d units", 3)) == "2025-11-23T13:05:00.123Z WARNING storage.store: 3 units"


def test_a_trace_follows_on_lines_of_its_own() -> None:
    lines = Text().format(record("it failed", error=raised("why"))).splitlines()
    assert lines[0].endswith("storage.store: it failed")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: why"


@pytest.mark.parametrize("form", [Text(), Json()], ids=["text", "json"])
def test_what_a_client_calls_itself_speaks_to_no_terminal_and_ends_no_line(form: logging.Formatter) -> None:
    about = record("login")
    about.fields = {"user_agent": "a\x85b\x9b31mc\u2028d\x7f\ne"}
    line = form.format(about)
    assert line.isprintable()
    assert r'"a\u0085b\u009b31mc\u2028d\u007f\ne"' in line


def test_a_line_of_json_is_one_object() -> None:
    line = Json().format(record("it\nfailed \ud800", error=raised("why")))
    assert "\n" not in line
    value = json.loads(line)
    assert value.pop("trace").endswith("ValueError: why")
    assert value == {
        "time": "2025-11-23T13:05:00.123Z",
        "level": "warning",
        "logger": "storage.store",
        "message": "it\nfailed ?",
    }


@pytest.mark.parametrize(
    "text",
    [
        "GET /ws?token=CANARY HTTP/1.1",
        "GET /ws?since=1&token=CANARY&x=1",
        "/files/7?expires=1&signature=CANARY",
        "/files/7?SIGNATURE=CANARY",
        "authorization: Bearer CANARY.x-y",
        f"the token {TOKEN} is bad",
        f"'{TOKEN.rsplit('.', 1)[0]}.'",
    ],
)
def test_tokens_and_signatures_are_taken_out(text: str) -> None:
    for cleaned in (
        without_secrets(text),
        Text().format(record(text)),
        Json().format(record("%s", text)),
        Text().format(record("it failed", error=raised(text))),
        Json().format(record("it failed", error=raised(text))),
    ):
        assert "CANARY" not in cleaned
        assert "eyJ" not in cleaned
        assert "***" in cleaned


def test_what_is_no_secret_stays() -> None:
    text = "GET /chats?limit=50&before=7: the token is missing; bearer"
    assert without_secrets(text) == text


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_libraries_that_tell_too_much_are_kept_quiet(level: str) -> None:
    set_up(level, "text")
    assert logging.getLogger("some.room").getEffectiveLevel() == getattr(logging, level.upper())
    assert logging.getLogger("audit").isEnabledFor(logging.INFO)
    for name in (*TALKATIVE, "websockets.server", "uvicorn.whatever"):
        quiet = logging.getLogger(name)
        assert not quiet.isEnabledFor(logging.INFO), name
        assert quiet.isEnabledFor(logging.ERROR), name


@pytest.mark.parametrize(("form", "formatter"), [("text", Text), ("json", Json)])
def test_everything_goes_to_standard_error_once(form: str, formatter: type[logging.Formatter]) -> None:
    for _ in range(2):
        set_up("info", form)  # type: ignore[arg-type]
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    assert handler.stream is sys.stderr
    assert isinstance(handler.formatter, formatter)


def test_a_signature_of_s3_s_is_in_no_line() -> None:
    url = "https://s3.example.org/b/k?X-Amz-Expires=600&X-Amz-Signature=0123abcdef"
    assert without_secrets(url) == "https://s3.example.org/b/k?X-Amz-Expires=600&X-Amz-Signature***"


def test_the_fields_of_a_record_stand_behind_its_message_or_beside_it_and_have_no_secret_either() -> None:
    line = record("login")
    line.fields = {"user_id": 3, "user_agent": f'"\udcff" {TOKEN}', "message": "hidden"}
    assert Text().format(line).endswith('login user_id=3 user_agent="\\"?\\" ***" message="hidden"')
    written = json.loads(Json().format(line))
    assert (written["user_id"], written["user_agent"], written["message"]) == (3, '"?" ***', "login")
