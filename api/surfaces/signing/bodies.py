"""Bodies read into values that cannot be wrong."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.requests import Request

from api.http import read_json
from api.surfaces.signing.answers import INVALID_BODY, Failed
from domain.canonical import MAX_INTEGER, CanonicalError, Json, canonical


class Body(BaseModel):
    """A body: members in camel case; those that nobody knows are ignored, as they are by the product."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", strict=True)


B = TypeVar("B", bound=Body)


async def read(request: Request, kind: type[B], *, optional: bool = False) -> B:
    """The request's body; raises Failed 400 with the first fault, in the words that the documentation begins with.

    An `optional` body may be left out.
    """
    if optional and not await request.body():
        return parse(kind, {})
    try:
        content = await read_json(request)
    except HTTPException as err:
        if err.status_code != 400:
            raise
        raise Failed(400, f"{INVALID_BODY} {err.detail}") from err
    if isinstance(content, dict):
        known = {spelled for name in kind.model_fields for spelled in (name, to_camel(name))}
        content = {name: value for name, value in content.items() if name in known}
    try:
        canonical(content)  # what is kept of a body has to have a canonical form, and no value may be too deep to look through
    except CanonicalError as err:
        raise Failed(400, f"{INVALID_BODY} It cannot be kept: {err}.") from err
    return parse(kind, _whole(content))


def _whole(value: Json) -> Json:
    """The value with whole numbers as integers, however they were spelled: JSON has one kind of numbers (RFC 8259 section 6)."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_INTEGER:
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(member) for name, member in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def parse(kind: type[B], content: object) -> B:
    """`content` as a `kind`; raises Failed 400."""
    try:
        return kind.model_validate(content)
    except ValidationError as err:
        fault = err.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        sentence = fault["msg"].removeprefix("Value error, ")
        raise Failed(400, f"{INVALID_BODY} {place + ': ' if place else ''}{sentence}.") from err
