"""The description of REST as OpenAPI 3.1: made of the table of operations, and of the types that they name."""

import re
from typing import Any, Final

from protocol.commands import Command
from protocol.errors import Code, FieldError, Problem
from protocol.examples import example, example_problem
from protocol.operations import BYTES, OPERATIONS, Operation, every
from protocol.schemas import Json, Schemas

PROBLEM: Final = "application/problem+json"

_ID: Final[Json] = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}

_DESCRIPTION: Final = """\
A self-hosted messenger: accounts, conversations, messages and files over REST; what is live over one WebSocket, which \
`/asyncapi.json` describes.

- Ids are positive integers below 2^53, times RFC 3339 in UTC with milliseconds. Unknown fields are ignored.
- An error is `application/problem+json` (RFC 9457). Decide by its `code`. 500 with the code `internal` is a bug.
- What the caller may not see is answered exactly as what does not exist: 404 `not_found`.
- A method that a path does not have is answered with 405 `method_not_allowed` and `Allow`. `GET` answers `HEAD` too.
- Every answer has `Cache-Control`, `Referrer-Policy: no-referrer` and `X-Content-Type-Options: nosniff`.\
"""

_SECURITY: Final[dict[str, list[Json]]] = {
    "open": [],
    "bearer": [{"bearer": []}],
    "admin": [{"bearer": []}],
    "signed": [{"signedUrl": []}],
    "socket": [{"bearer": []}, {"socketToken": []}],
}

_SCHEMES: Final[Json] = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token."},
    "socketToken": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "An access token or, better, a ticket: a browser can give its sockets no header.",
    },
    "signedUrl": {
        "type": "apiKey",
        "in": "query",
        "name": "signature",
        "description": "Part of a URL that the server gave: use it as it is.",
    },
}

_HEADERS: Final[dict[str, tuple[str, Json]]] = {
    "Accept-Ranges": ("Byte ranges are served.", {"const": "bytes"}),
    "Allow": ("The methods that the path has.", {"type": "string"}),
    "Content-Disposition": ("The file's name, and whether it may be shown.", {"type": "string"}),
    "Content-Range": ("Which bytes these are, and of how many.", {"type": "string", "pattern": "^bytes "}),
    "Content-Security-Policy": ("What is served can't run.", {"type": "string", "pattern": "^sandbox"}),
    "ETag": ("The version: give it back in If-None-Match.", {"type": "string", "pattern": '^"[^"]+"$'}),
    "Location": ("A signed URL.", {"type": "string"}),
    "Retry-After": ("Seconds to wait.", {"type": "integer", "minimum": 0}),
    "Upgrade": ("What is spoken here.", {"const": "websocket"}),
    "WWW-Authenticate": ("What authenticates.", {"const": "Bearer"}),
}

_BY_STATUS: Final[dict[int, str]] = {
    101: "Upgrade",
    206: "Content-Range",
    307: "Location",
    401: "WWW-Authenticate",
    405: "Allow",
    416: "Content-Range",
    426: "Upgrade",
    429: "Retry-After",
    503: "Retry-After",
}
"""The header that an answer of a status has by its nature."""

_STATUSES: Final[dict[int, str]] = {
    101: "The connection is a WebSocket now.",
    200: "Done.",
    201: "Made.",
    204: "Done; no body.",
    206: "The part that was asked for.",
    304: "Unchanged.",
    307: "It is there.",
}

_CONDITIONS: Final[dict[str, str]] = {
    "Range": "One range of bytes, like `bytes=0-499`.",
    "If-Range": "The range, if the file still has this `ETag`; otherwise all of it.",
    "If-None-Match": "304 if this is still the `ETag`.",
}


def document(version: str) -> Json:
    """The description of a server of this version."""
    schemas = Schemas([FieldError, Problem, *_types()])
    paths: dict[str, Json] = {}
    for tag, operations in OPERATIONS.items():
        for operation in operations:
            described = {"tags": [tag], **_operation(operation, schemas)}
            paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Beseda",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [{"name": tag} for tag in OPERATIONS],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": _SCHEMES,
            "headers": {name: _header(name) for name in _HEADERS},
            "responses": {
                "NotFound": _refusal(404, ["not_found"]),
                "MethodNotAllowed": _refusal(405, ["method_not_allowed"]),
            },
        },
    }


def _types() -> list[Any]:
    found: list[Any] = []
    for operation in every():
        found += [each for each in (*operation.query, operation.body) if isinstance(each, type)]
        found += [each for each in operation.answers.values() if each not in (None, BYTES)]
    return found


def _operation(operation: Operation, schemas: Schemas) -> Json:
    described: Json = {"operationId": operation.name, "summary": operation.summary}
    if operation.notes:
        described["description"] = operation.notes
    described["security"] = _SECURITY[operation.access]
    parameters = [*_path_parameters(operation), *_query_parameters(operation, schemas)]
    parameters += [
        {"name": name, "in": "header", "description": _CONDITIONS[name], "schema": {"type": "string"}}
        for name in operation.conditions
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body == BYTES:
        # Any type of content: what the file is was told at the presign.
        described["requestBody"] = {"required": True, "content": {"*/*": {}}}
    elif operation.body is not None:
        described["requestBody"] = {"required": True, "content": _json(operation.body, schemas)}
    answers = {status: _answer(operation, status, schemas) for status in operation.answers}
    refusals = {status: _refusal(status, codes) for status, codes in operation.problems().items()}
    described["responses"] = {str(status): made for status, made in sorted({**answers, **refusals}.items())}
    return described


def _path_parameters(operation: Operation) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _ID,
            "example": 2 if name == "user_id" else 7,
        }
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]


def _query_parameters(operation: Operation, schemas: Schemas) -> list[Json]:
    if operation.access == "signed":
        expires = {"name": "expires", "in": "query", "required": True, "schema": _ID, "example": 1795453200}
        return [{**expires, "description": "Until when the URL holds, in seconds since the epoch."}]
    parameters: list[Json] = []
    for form in operation.query:
        parameters += _parameters(schemas.whole(form), example(form), is_only=len(operation.query) == 1)
    return parameters


def _parameters(schema: Json, examples: Json, *, is_only: bool) -> list[Json]:
    parameters = []
    for name, described in schema["properties"].items():
        # In a URL there is no null: what may be null may be left out.
        options = [option for option in described.pop("anyOf", []) if option != {"type": "null"}]
        is_required = is_only and name in schema.get("required", [])
        parameter = {"name": name, "in": "query", "required": is_required}
        if described.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        if "description" in described:
            parameter["description"] = described.pop("description")
        parameters.append({**parameter, "schema": {**described, **(options[0] if options else {})}})
        if name in examples:
            parameters[-1]["example"] = examples[name]
    return parameters


def _json(of: type[Command] | Any, schemas: Schemas) -> Json:
    return {"application/json": {"schema": schemas.of(of), "example": example(of)}}


def _answer(operation: Operation, status: int, schemas: Schemas) -> Json:
    described: Json = {"description": _STATUSES[status]}
    names = [*operation.headers, *([_BY_STATUS[status]] if status in _BY_STATUS else [])]
    if names:
        described["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    of = operation.answers[status]
    if of == BYTES:
        described["content"] = {"*/*": {}}
    elif of is not None:
        described["content"] = _json(of, schemas)
    return described


def _refusal(status: int, codes: list[Code]) -> Json:
    described: Json = {"description": " or ".join(f"`{code}`" for code in codes) + "."}
    if status in _BY_STATUS:
        name = _BY_STATUS[status]
        described["headers"] = {name: {"$ref": f"#/components/headers/{name}"}}
    schema: Json = {
        "$ref": "#/components/schemas/Problem",
        "properties": {"status": {"const": status}, "code": {"enum": codes}},
    }
    if status == 422:
        schema["required"] = ["errors"]
    examples = {code: {"value": example_problem(code, status)} for code in codes}
    described["content"] = {PROBLEM: {"schema": schema, "examples": examples}}
    return described


def _header(name: str) -> Json:
    description, schema = _HEADERS[name]
    return {"description": description, "required": True, "schema": schema}
