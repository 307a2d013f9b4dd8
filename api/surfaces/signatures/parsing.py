"""Requests read into values that cannot be wrong, and what is wrong with them in Zod's words and form."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import Request

from api import text
from api.http import MAX_BODY_BYTES, MAX_KEY_CHARACTERS
from api.surfaces.signatures.answers import Failed, Failure, Issues, absent, invalid
from domain.ids import IdError, parse_uuid

M = TypeVar("M", bound=BaseModel)

#: Faults listed in one answer; the first ones are enough to act on.
MAX_FAULTS: Final = 100

#: The pieces of a body that say what it is; anything else is looked at by its own reader.
_KINDS: Final[Mapping[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}


class Faults:
    """Collects what is wrong with a request; `refuse` raises it."""

    def __init__(self) -> None:
        self._form: list[str] = []
        self._fields: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._form or self._fields)

    def add(self, path: Sequence[str | int], sentence: str) -> None:
        """A fault at `path`. Zod files it under the top-level field; where inside that it is, the sentence says."""
        if not path:
            self._form.append(sentence)
            return
        inner = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[1:])
        self._fields.setdefault(str(path[0]), []).append(f"{path[0]}{inner}: {sentence}" if inner else sentence)

    def refuse(self) -> None:
        """Raises Failed with the documented 400 if there is anything wrong."""
        if self:
            raise Failed(invalid(Issues(tuple(self._form), self._fields)))


def refused(path: Sequence[str | int], sentence: str) -> Failed:
    """The documented 400 for one fault."""
    return Failed(invalid(Issues((sentence,)) if not path else Issues((), {str(path[0]): (sentence,)})))


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The body; HTTPException 413 as soon as it is known to be longer than `limit_bytes`."""
    too_large = HTTPException(413, f"The body is larger than {limit_bytes} bytes, the most that is accepted.")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit_bytes:
        raise too_large
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit_bytes:
            raise too_large
    return bytes(data)


async def read_json(request: Request, *, optional: bool = False) -> object:
    """The body as JSON, `{}` for none where it is `optional`; raises Failed with `invalid_json`, HTTPException 413, 415."""
    body = await read_body(request, MAX_BODY_BYTES)
    if optional and not body:
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (media_type.startswith("application/") and media_type.endswith("+json")):
        raise HTTPException(415, "Send the body as Content-Type: application/json.")
    try:
        return json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as err:  # a number of too many digits is a ValueError too
        raise Failed(Failure(400, "invalid_json", "The body is not valid JSON.")) from err


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def parse(model: type[M], value: object) -> M:
    """The value as `model` reads it; raises Failed with every fault in it."""
    try:
        return model.model_validate(value)
    except ValidationError as err:
        faults = Faults()
        for fault in err.errors(include_url=False)[:MAX_FAULTS]:
            faults.add(fault["loc"], _sentence(fault))
        faults.refuse()
        raise


def _sentence(fault: ErrorDetails) -> str:
    if fault["type"] == "missing":
        return "Required"
    expected = _EXPECTED.get(fault["type"])
    if expected is not None:
        return f"Expected {expected}, received {_KINDS.get(type(fault['input']), 'something else')}"
    if fault["type"] == "string_pattern_mismatch":
        return text.SENTENCES[fault["ctx"]["pattern"]]
    sentence = _SENTENCES.get(fault["type"])
    context = {name: int(value) if isinstance(value, float) else value for name, value in fault.get("ctx", {}).items()}
    return fault["msg"] if sentence is None else sentence.format(**context)


#: What pydantic finds wrong, in Zod's words.
_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "string",
    "int_type": "integer",
    "float_type": "number",
    "bool_type": "boolean",
    "list_type": "array",
    "model_type": "object",
    "model_attributes_type": "object",
}
_SENTENCES: Final[Mapping[str, str]] = {
    "string_unicode": "Must be a string of Unicode characters",
    "string_too_short": "String must contain at least {min_length} character(s)",
    "string_too_long": "String must contain at most {max_length} character(s)",
    "too_short": "Array must contain at least {min_length} element(s)",
    "too_long": "Array must contain at most {max_length} element(s)",
    "greater_than": "Number must be greater than {gt}",
    "greater_than_equal": "Number must be greater than or equal to {ge}",
    "less_than_equal": "Number must be less than or equal to {le}",
    "literal_error": "Invalid enum value. Expected {expected}",
}


# What is not in the body


def path_id(spelled: str, what: str) -> UUID:
    """An id in a path; raises Failed with the documented 404 for what cannot be one."""
    try:
        return parse_uuid(spelled)
    except IdError as err:
        raise Failed(absent(what)) from err


def key_value(request: Request) -> str | None:
    """The `Idempotency-Key`; raises Failed for one of no length or of too much."""
    value = request.headers.get("idempotency-key")
    if value is not None and not 0 < len(value) <= MAX_KEY_CHARACTERS:
        raise refused((), f"Idempotency-Key takes 1 to {MAX_KEY_CHARACTERS} characters")
    return value


def query_fault(name: str, sentence: str) -> Failed:
    """The documented 400 for a query parameter."""
    return refused((name,), sentence)


def plain(value: Any) -> str:
    """A personal value that is text; empty once it was erased."""
    return value if isinstance(value, str) else ""
