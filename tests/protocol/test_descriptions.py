"""The descriptions of REST and of the socket: whole, valid, and with examples that are what they say."""

import typing
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import openapi_spec_validator
import pytest
from starlette.routing import Route

from api.app import build
from api.services import Services
from protocol import operations
from protocol.commands import FRAMES
from protocol.errors import HTTP_STATUS, Code
from protocol.examples import EXAMPLES
from protocol.frames import SERVER_FRAMES
from tests.support import described
from tests.support.described import Json, rest_document, socket_document


def every_operation() -> Iterator[tuple[str, Json]]:
    for path, methods in rest_document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_has_its_row_and_every_row_its_route() -> None:
    application = build(cast(Services, SimpleNamespace(store=None, origins=())))
    there = {
        f"{method} {route.path}"
        for route in application.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    rows = [operation.route for operation in operations.every()]
    assert len(rows) > 20
    assert len(rows) == len(set(rows))
    assert set(rows) == there == {route for route, _ in every_operation()}


def test_the_description_of_rest_is_openapi() -> None:
    openapi_spec_validator.validate(rest_document())


def test_every_operation_has_a_name_of_its_own_and_an_example_of_all_that_is_said() -> None:
    names = [operation["operationId"] for _, operation in every_operation()]
    assert len(names) == len(set(names))
    checked = 0
    for route, operation in every_operation():
        parts = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (part.get("content", {}) for part in parts):
            for media_type, shown in content.items():
                if media_type == "*/*":
                    continue
                examples = [shown["example"]] if "example" in shown else []
                examples += [example["value"] for example in shown.get("examples", {}).values()]
                assert examples, route
                for example in examples:
                    described.check_example("openapi", shown["schema"], example)
                    checked += 1
        for parameter in operation.get("parameters", []):
            if parameter["in"] != "header":
                described.check_example("openapi", parameter["schema"], parameter["example"])
    assert checked > 100


def test_every_refusal_says_which_codes_it_may_have() -> None:
    told: set[str] = set()
    for route, operation in every_operation():
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                [content] = response["content"].values()
                codes = content["schema"]["properties"]["code"]["enum"]
                assert codes, route
                told.update(codes)
    # The others are the socket's alone, or of no operation at all.
    assert told == set(HTTP_STATUS) - {"unknown_type", "method_not_allowed"}
    assert set(HTTP_STATUS) == set(typing.get_args(Code))


def test_an_operation_is_refused_as_all_of_its_kind_are() -> None:
    responses = rest_document()["paths"]["/chats/{id}/messages"]["post"]["responses"]
    assert set(responses) == {
        "200",
        "201",
        "400",
        "401",
        "404",
        "409",
        "413",
        "415",
        "422",
        "429",
        "431",
        "503",
    }
    assert "WWW-Authenticate" in responses["401"]["headers"]
    assert "Retry-After" in responses["429"]["headers"]
    assert "Retry-After" in responses["503"]["headers"]


def test_every_frame_of_both_directions_is_described_with_an_example() -> None:
    messages = socket_document()["components"]["messages"]
    assert set(messages) == {f"client_{kind}" for kind in FRAMES} | {
        f"server_{kind}" for kind in SERVER_FRAMES
    }
    for message in messages.values():
        [example] = message["examples"]
        assert example["payload"]["type"] == message["name"]
        assert message["summary"]
        described.check_example("asyncapi", message["payload"], example["payload"])


def test_no_example_is_of_what_nobody_says() -> None:
    said: list[Any] = [*FRAMES.values(), *SERVER_FRAMES.values()]
    for operation in operations.every():
        said += [*operation.query, operation.body, *operation.answers.values()]
    items = [typing.get_args(each)[0] if typing.get_origin(each) is list else each for each in said]
    assert [each for each in EXAMPLES if each not in items] == []


@pytest.mark.parametrize(
    ("status", "content_type", "body", "complaint"),
    [
        (200, "application/json", b'{"id": 1, "username": "ann", "online": true}', "last_seen_at"),
        (200, "application/json", b'{"id": 1, "username": "ann", "online": true, "last_seen_at": null, "x": 1}', "'x'"),
        (200, "application/json", b'{"id": 1, "username": "ann", "online": true, "last_seen_at": "now"}', "last_seen"),
        (200, "application/json", b"{", "no JSON"),
        (200, "text/plain", b"{}", "text/plain"),
        (201, "application/json", b"{}", "not described"),
        (404, "application/problem+json", b'{"type": "", "title": "", "status": 404, "code": "x"}', "code"),
        (404, "application/json", b"{}", "application/json"),
        (401, "application/problem+json", b"{}", "WWW-Authenticate"),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_as_described_fails_the_test_that_sees_it(
    status: int, content_type: str, body: bytes, complaint: str
) -> None:
    headers = dict.fromkeys(described.EVERYWHERE, "x") | {"content-type": content_type}
    with pytest.raises(described.Undescribed, match=complaint):
        described.check_answer("GET", "/users/1", status, headers, body)
    good = b'{"id": 1, "username": "ann", "online": true, "last_seen_at": null}'
    described.check_answer("GET", "/users/1", 200, {**headers, "content-type": "application/json"}, good)


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        ({"type": "typing", "conversation_id": 7}, "user_id"),
        ({"type": "typing", "conversation_id": 7, "user_id": 2, "x": 1}, "'x'"),
        ({"type": "typing", "conversation_id": "7", "user_id": 2}, "conversation_id"),
        ({"type": "error", "code": "too_large", "message": ""}, "code"),
        ({"type": "novelty"}, "not described"),
    ],
)
def test_a_frame_that_is_not_as_described_fails_the_test_that_sees_it(frame: Json, complaint: str) -> None:
    with pytest.raises(described.Undescribed, match=complaint):
        described.check_frame(frame)
    described.check_frame({"type": "typing", "conversation_id": 7, "user_id": 2})
