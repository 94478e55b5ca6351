"""What the server says, held to its own descriptions: every answer and every frame that a test sees comes through here.

The schemas are those of `/openapi.json` and `/asyncapi.json`, made strict: what a description doesn't name is wrong,
though a client would have to ignore it.
"""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import unquote

import httpx
import jsonschema_rs

from protocol import asyncapi, openapi

Json = dict[str, Any]

EVERYWHERE = ("cache-control", "referrer-policy", "x-content-type-options")


class Undescribed(AssertionError):
    """The server said what its description does not."""


def check_response(response: httpx.Response) -> None:
    """Hold an answer to `/openapi.json`."""
    url = response.request.url
    check_answer(response.request.method, url.path, response.status_code, response.headers, response.content)


def check_answer(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Hold an answer to `/openapi.json`: its status, headers and content. Header names in lower case."""
    where = f"{method} {path} answered {status}"
    _check_answer(where, _response(method, path, status), method, headers, body)
    if status == 405 and headers["allow"] != _allowed(path):
        raise Undescribed(f"{where} with Allow: {headers['allow']}")


def check_upgrade(target: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Hold the answer to an upgrade that was refused: there is but one path for it, and but one method."""
    method = "POST" if status == 405 else "GET"
    path = "/ws" if target.partition("?")[0] == "/ws" else "/nothing"
    _check_answer(
        f"The upgrade of {path} answered {status}", _response(method, path, status), method, headers, body
    )


def _check_answer(
    where: str, described: Json | None, method: str, headers: Mapping[str, str], body: bytes
) -> None:
    if described is None:
        raise Undescribed(f"{where}, which is not described: {body[:200]!r}")
    for name in EVERYWHERE:
        if name not in headers:
            raise Undescribed(f"{where} without {name}")
    for name in described.get("headers", {}):
        _check_header(where, name, headers.get(name.lower()))
    _check_content(where, described.get("content", {}), headers.get("content-type"), method, body)


def check_frame(frame: Json, direction: Literal["client", "server"] = "server") -> None:
    """Hold a frame to `/asyncapi.json`."""
    message = socket_document()["components"]["messages"].get(f"{direction}_{frame.get('type')}")
    if message is None:
        raise Undescribed(f"a frame of the type {frame.get('type')!r}, which is not described: {frame}")
    # Unknown fields of a client's are ignored, by design.
    _check(
        f"the frame {frame}", _validator("asyncapi", _text(message["payload"]), direction == "server"), frame
    )


def check_example(of: Literal["openapi", "asyncapi"], schema: Json, example: Any) -> None:
    """Hold an example to its schema in the document."""
    _check(f"the example {example}", _validator(of, _text(schema), True), example)


@functools.cache
def rest_document() -> Json:
    """What `/openapi.json` holds."""
    return openapi.document("0.0.0")


@functools.cache
def socket_document() -> Json:
    """What `/asyncapi.json` holds."""
    return asyncapi.document("0.0.0")


def strict(schema: Any) -> Any:
    """A schema that takes no property which it does not name."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    # Beside a reference they only narrow what that one names.
    if isinstance(schema.get("properties"), dict) and "$ref" not in schema:
        made["additionalProperties"] = False
    return made


@functools.lru_cache(maxsize=4096)
def _response(method: str, path: str, status: int) -> Json | None:
    """How this answer is described, if it is."""
    # To whom there is nothing under /admin there are no methods of it either.
    paths = _paths(path)
    is_hidden = path.startswith("/admin/")
    asked = "get" if method == "HEAD" else method.lower()
    for operations in paths:
        if asked in operations:
            found: Json | None = operations[asked]["responses"].get(str(status))
            return found
    responses: Json = rest_document()["components"]["responses"]
    refusal = (405, "MethodNotAllowed") if paths and not is_hidden else (404, "NotFound")
    return responses[refusal[1]] if status == refusal[0] else None


def _allowed(path: str) -> str:
    methods = {method.upper() for method in _paths(path)[0]}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


@functools.lru_cache(maxsize=4096)
def _paths(path: str) -> list[Json]:
    """The operations of the paths that `path` may be, in their order."""
    paths = rest_document()["paths"].items()
    return [operations for template, operations in paths if _pattern(template).fullmatch(unquote(path))]


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = ("[^/]+" if part.startswith("{") else re.escape(part) for part in template.split("/"))
    return re.compile("/".join(parts))


def _check_header(where: str, name: str, value: str | None) -> None:
    if value is None:
        raise Undescribed(f"{where} without {name}")
    schema = rest_document()["components"]["headers"][name]["schema"]
    parsed: Any = int(value) if schema.get("type") == "integer" and value.isdecimal() else value
    _check(f"{where} with {name}: {value}", _validator("openapi", _text(schema), True), parsed)


def _check_content(where: str, content: Json, declared: str | None, method: str, body: bytes) -> None:
    if not content:
        if body:
            raise Undescribed(f"{where} with a body: {body[:200]!r}")
        return
    if "*/*" in content and declared is not None and not declared.startswith(openapi.PROBLEM):
        return
    media_type = content.get((declared or "").partition(";")[0])
    if media_type is None:
        raise Undescribed(f"{where} with the content type {declared}")
    if method == "HEAD":
        if body:
            raise Undescribed(f"{where} with a body: {body[:200]!r}")
        return
    try:
        value = json.loads(body)
    except ValueError:
        raise Undescribed(f"{where} with what is no JSON: {body[:200]!r}") from None
    _check(f"{where} with {body[:2000]!r}", _validator("openapi", _text(media_type["schema"]), True), value)


def _check(what: str, validator: jsonschema_rs.Draft202012Validator, value: Any) -> None:
    for error in validator.iter_errors(value):
        place = ".".join(map(str, error.instance_path)) or "all"
        raise Undescribed(f"{what}: {place}: {error.message}")


def _text(schema: Json) -> str:
    return json.dumps(schema)


@functools.cache
def _validator(of: str, schema: str, is_strict: bool) -> jsonschema_rs.Draft202012Validator:
    document = rest_document() if of == "openapi" else socket_document()
    whole = {**json.loads(schema), "components": {"schemas": document["components"]["schemas"]}}
    return jsonschema_rs.Draft202012Validator(strict(whole) if is_strict else whole, validate_formats=True)
