"""JSON in and out. orjson refuses NaN, lone surrogates, deep nesting; pydantic checks the shape."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import orjson
from pydantic import ValidationError

from protocol.commands import FRAMES, Command, Read, SendMessage, TypingStart, TypingStop
from protocol.errors import FieldError, Refused

C = TypeVar("C", bound=Command)

encode = orjson.dumps


def decode(data: bytes) -> dict[str, Any]:
    """The JSON object that `data` is.

    Raises Refused: `malformed` where it is no JSON, `invalid` where it is no object.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Refused("malformed", f"Not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise Refused(
            "invalid", "A JSON object is expected.", errors=[{"field": "", "message": "must be an object"}]
        )
    return value


def parse(model: type[C], value: Mapping[str, Any]) -> C:
    """`value` as a command. Raises Refused `invalid`, naming each field that is wrong."""
    try:
        # What `model_validate` calls, without what stands around it: this is on the road of every frame.
        return cast(C, model.__pydantic_validator__.validate_python(value))
    except ValidationError as error:
        raise _refusal(error) from None


def parse_frame(value: dict[str, Any]) -> SendMessage | TypingStart | TypingStop | Read:
    """A client's frame as a command. Raises Refused `unknown_type` or `invalid`."""
    kind = value.get("type")
    model = FRAMES.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise Refused("unknown_type", "The frame's type is none that this server knows.")
    return parse(model, value)


def _refusal(error: ValidationError) -> Refused:
    # The values stay out of it: they may be passwords.
    errors: list[FieldError] = [
        {"field": ".".join(map(str, found["loc"])), "message": found["msg"].removeprefix("Value error, ")}
        for found in error.errors(include_url=False, include_context=False, include_input=False)[:20]
    ]
    first = errors[0]
    return Refused("invalid", f"{first['field']}: {first['message']}.", errors=errors)
