"""JSON Schemas of all that is said, made from the types that the code itself uses."""

import copy
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

Json = dict[str, Any]

REF = "#/components/schemas/{model}"


class Schemas:
    """The schemas of some types; those with names are `definitions`, which the others refer to."""

    def __init__(self, types: Iterable[Any]) -> None:
        self._types = list(types)
        adapters: list[Any] = [(at, "validation", TypeAdapter(each)) for at, each in enumerate(self._types)]
        made, shared = TypeAdapter.json_schemas(adapters, ref_template=REF, schema_generator=_Plain)
        self._made = {at: schema for (at, _), schema in made.items()}
        self.definitions: Json = shared["$defs"]

    def of(self, type: Any) -> Json:
        """The schema of one of the types, as a rule a reference."""
        return self._made[self._types.index(type)]

    def whole(self, type: Any) -> Json:
        """A copy of the definition of one of the types."""
        definition: Json = copy.deepcopy(self.definitions[type.__name__])
        return definition


class _Plain(GenerateJsonSchema):
    """Without a title for each field that only says its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Json:
        """What may be left out need not have a null that says so."""
        made = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made
