"""The description of the socket as AsyncAPI 3.0: made of the frames of both directions, and of the codes."""

from typing import Any, Final

from protocol.closing import CLOSE_CODES
from protocol.commands import FRAMES
from protocol.errors import SOCKET_ERRORS
from protocol.examples import example
from protocol.frames import SERVER_FRAMES
from protocol.schemas import Json, Schemas

_DESCRIPTION: Final = """\
What is live: one WebSocket for each client, with text frames of one JSON object each. The rest is in `/openapi.json`.

- Ids are positive integers below 2^53, times RFC 3339 in UTC with milliseconds.
- A client ignores types of frames and fields that it does not know.
- The first frame is `hello`. An `online_status` for each contact who is online follows.
- Frames with an `event_id` come in its order, each once. The last one's is the client's cursor.
- Who connects with the cursor as `since` gets what it missed, then `resumed`; or `resync`, and must load anew.\
"""

_ANSWERS: Final[Json] = {"send_message": ["message_sent", "error"]}
"""What a client's frame is answered with. All others are answered only when they are refused."""


def document(version: str) -> Json:
    """The description of a server of this version."""
    schemas = Schemas([*FRAMES.values(), *SERVER_FRAMES.values()])
    messages = {f"client_{kind}": _message(kind, frame, schemas) for kind, frame in FRAMES.items()}
    messages |= {f"server_{kind}": _message(kind, frame, schemas) for kind, frame in SERVER_FRAMES.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Beseda",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {"socket": _channel(messages)},
        "operations": {
            **{f"receive_{kind}": _receive(kind) for kind in FRAMES},
            **{f"send_{kind}": _operation("send", [f"server_{kind}"]) for kind in SERVER_FRAMES},
        },
        "components": {"messages": messages, "schemas": schemas.definitions},
    }


def _channel(messages: Json) -> Json:
    token = {"type": "string", "description": "An access token, if no header brings it."}
    since = {"type": "integer", "minimum": 0, "description": "The client's cursor, where it resumes."}
    log = {"type": "string", "description": "The name of the log that `since` is of."}
    bearer = {"type": "string", "description": "`Bearer` and an access token.", "pattern": "^Bearer "}
    errors = "\n".join(f"- `{code}`: {meaning}" for code, meaning in SOCKET_ERRORS.items())
    codes = "\n".join(f"- {code}: {close.meaning}; {close.advice}" for code, close in CLOSE_CODES.items())
    return {
        "address": "/ws",
        "title": "The socket",
        "description": f"The codes of an `error` frame:\n\n{errors}\n\nThe close codes:\n\n{codes}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "ws": {
                "method": "GET",
                "query": {"type": "object", "properties": {"token": token, "since": since, "log": log}},
                "headers": {"type": "object", "properties": {"Authorization": bearer}},
                "bindingVersion": "0.1.0",
            }
        },
        "x-error-codes": SOCKET_ERRORS,
        "x-close-codes": {
            str(code): {"name": close.name, "meaning": close.meaning, "advice": close.advice}
            for code, close in CLOSE_CODES.items()
        },
    }


def _message(kind: str, frame: type, schemas: Schemas) -> Json:
    return {
        "name": kind,
        "title": kind,
        "summary": schemas.whole(frame)["description"],
        "payload": schemas.of(frame),
        "examples": [{"name": kind, "payload": example(frame)}],
    }


def _receive(kind: str) -> Json:
    answers = [f"server_{name}" for name in _ANSWERS.get(kind, ["error"])]
    return {
        **_operation("receive", [f"client_{kind}"]),
        "reply": {"channel": {"$ref": "#/channels/socket"}, "messages": _references(answers)},
    }


def _operation(action: str, messages: list[str]) -> Json:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/socket"},
        "messages": _references(messages),
    }


def _references(messages: list[str]) -> list[Any]:
    return [{"$ref": f"#/channels/socket/messages/{name}"} for name in messages]
