"""Bodies read into values that cannot be wrong, and what is wrong with them in the surface's words.

The reference page shows errors in the form that marshmallow gives them: field names nested to where
the fault is, then a list of sentences; `_schema` for what concerns an object as a whole. The sentences
are marshmallow's own where it has one.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from starlette.requests import Request

from api.http import read_json
from api.surfaces.partner.answers import Failed, Failure

T = TypeVar("T")

#: The type of errors that concern an object as a whole.
SCHEMA: Final = "schema"

#: Faults listed in one answer; the first ones are enough to act on.
MAX_FAULTS: Final = 100


def schema_fault(*sentences: str) -> PydanticCustomError:
    """Faults of an object as a whole, for a model's own validators."""
    return PydanticCustomError(SCHEMA, "{sentences}", {"sentences": sentences})


def field_fault(sentence: str) -> PydanticCustomError:
    """A fault of one field, for its own validators."""
    return PydanticCustomError("field", "{sentence}", {"sentence": sentence})


def invalid(fields: Mapping[str, Any]) -> Failure:
    """The documented 400 for a body with faults; `fields` nests them."""
    return Failure(400, "validation_error", "Validation error.", "validation", {"fields": fields})


def at(path: Sequence[str | int], sentence: str) -> Failure:
    """The documented 400 for one fault at `path`."""
    fields: dict[str, Any] = {}
    _place(fields, path, sentence)
    return invalid(fields)


def body_of(adapter: TypeAdapter[T]) -> Callable[[Request], Awaitable[T]]:
    """A dependency that reads the request's body."""

    async def read(request: Request) -> T:
        return parse(adapter, await read_json(request))

    return read


def parse(adapter: TypeAdapter[T], value: object) -> T:
    """The value as `adapter` reads it; raises Failed with every fault in it."""
    try:
        return adapter.validate_python(value)
    except ValidationError as err:
        fields: dict[str, Any] = {}
        for fault in err.errors(include_url=False)[:MAX_FAULTS]:
            whole = not fault["loc"] or (fault["type"] in _OF_OBJECTS and fault["input"] is not None)
            for sentence in _sentences(fault):
                _place(fields, (*fault["loc"], "_schema") if whole else fault["loc"], sentence)
        raise Failed(invalid(fields)) from err


_OF_OBJECTS: Final = frozenset((SCHEMA, "model_type", "model_attributes_type"))


def _place(fields: dict[str, Any], path: Sequence[str | int], sentence: str) -> None:
    *parents, last = (str(part) for part in path)
    for parent in parents:
        below = fields.setdefault(parent, {})
        if isinstance(below, list):  # a fault of the field itself was there before one inside it
            below = fields[parent] = {"_schema": below}
        fields = below
    held = fields.setdefault(last, [])
    (held if isinstance(held, list) else held.setdefault("_schema", [])).append(sentence)


def _sentences(fault: ErrorDetails) -> Sequence[str]:
    context = fault.get("ctx", {})
    if fault["type"] == SCHEMA:
        return cast(Sequence[str], context["sentences"])
    if fault["input"] is None and fault["type"] in _OF_TYPES:
        return [NULL]
    sentence = _SENTENCES.get(fault["type"])
    return [fault["msg"] if sentence is None else sentence.format(**context)]


NULL: Final = "Field may not be null."

#: What pydantic finds wrong, in marshmallow's words (`fields` and `validate` of its version 3).
_OF_TYPES: Final[Mapping[str, str]] = {
    "string_type": "Not a valid string.",
    "int_type": "Not a valid integer.",
    "bool_type": "Not a valid boolean.",
    "list_type": "Not a valid list.",
    "model_type": "Invalid input type.",
    "model_attributes_type": "Invalid input type.",
}
_SENTENCES: Final[Mapping[str, str]] = {
    **_OF_TYPES,
    "missing": "Missing data for required field.",
    "extra_forbidden": "Unknown field.",
    "string_too_short": "Shorter than minimum length {min_length}.",
    "string_too_long": "Longer than maximum length {max_length}.",
    "too_short": "Shorter than minimum length {min_length}.",
    "too_long": "Longer than maximum length {max_length}.",
    "literal_error": "Must be one of: {expected}.",
    "greater_than_equal": "Must be greater than or equal to {ge}.",
    "less_than_equal": "Must be less than or equal to {le}.",
}
