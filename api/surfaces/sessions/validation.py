"""Bodies: JSON into models, with every fault named in this surface's words."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from api.surfaces.sessions.kinds import VALIDATION
from api.surfaces.sessions.problems import Problem
from domain.canonical import CanonicalError, Json, canonical

#: Faults listed in one answer; the first ones are enough to act on.
MAX_FAULTS: Final = 100

#: Of metadata, as documented.
MAX_METADATA_KEYS: Final = 50
RESERVED_PREFIX: Final = "matter_"
_METADATA_KEY: Final = re.compile(r"[A-Za-z0-9_\-.]{1,40}", re.ASCII)
MAX_METADATA_VALUE: Final = 500

#: The longest text of an envelope: a subject or a title is a line, a message or a reason some paragraphs.
MAX_LINE: Final = 300
MAX_TEXT: Final = 2_000

#: The longest e-mail address (RFC 5321 section 4.5.3.1.3, less the angle brackets).
MAX_EMAIL: Final = 254
_EMAIL: Final = re.compile(r"[^@\s<>(),;:\"\\\[\]]+@[^@\s<>(),;:\"\\\[\]]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

#: Seconds since 1970 until the year 2100: beyond it a number is not a time but milliseconds.
LAST_TIME: Final = 4_102_444_800

M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """A request's body: unknown members are faults, and no value is converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def fault(code: str, sentence: str) -> PydanticCustomError:
    """A fault with a code of our own."""
    return PydanticCustomError(code, "{sentence}", {"sentence": sentence})


def _line(text: str) -> str:
    if not text.strip() or _CONTROL.search(text):
        raise fault("invalid", "Must be one line that is not blank.")
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text) or _CONTROL.search(text):
        raise fault("invalid_email", "Must be an e-mail address.")
    return text


def _text(text: str) -> str:
    if not text.strip():
        raise fault("blank", "Must not be blank.")
    try:
        canonical(text)
    except CanonicalError as err:
        raise fault("invalid", f"Cannot be kept: {err}.") from err
    return text


def _metadata(value: dict[str, str]) -> dict[str, str]:
    if len(value) > MAX_METADATA_KEYS:
        raise fault("too_many_keys", f"Must not have more than {MAX_METADATA_KEYS} keys.")
    for key, text in value.items():
        if not _METADATA_KEY.fullmatch(key):
            raise fault("invalid_key", "Keys have 1 to 40 letters, digits and _ - .")
        if key.startswith(RESERVED_PREFIX):
            raise fault("reserved_key", f"Keys that begin with {RESERVED_PREFIX} are reserved.")
        if len(text) > MAX_METADATA_VALUE:
            raise fault("too_long", f"Values have at most {MAX_METADATA_VALUE} characters.")
    return value


Line = Annotated[str, Field(min_length=1, max_length=MAX_LINE), AfterValidator(_line)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_text)]
Email = Annotated[str, Field(max_length=MAX_EMAIL), AfterValidator(_email)]
Metadata = Annotated[
    dict[str, str],
    Field(
        description=f"At most {MAX_METADATA_KEYS} keys of 1 to 40 letters, digits and `_ - .`; values of at most 500 characters."
    ),
    AfterValidator(_metadata),
]
Time = Annotated[int, Field(ge=0, le=LAST_TIME, description="Unix seconds.")]
EntityId = Annotated[
    str, Field(pattern=r"^ent_[0-9A-Za-z]{1,64}$", description="An entity, as the organization names it.", examples=["ent_1"])
]
StakeholderId = Annotated[
    str,
    Field(pattern=r"^stk_[0-9A-Za-z]{1,64}$", description="A stakeholder, as the organization names it.", examples=["stk_1"]),
]
DocumentId = Annotated[str, Field(pattern=r"^doc_[0-9a-f]{32}$")]
EnvelopeId = Annotated[str, Field(pattern=r"^env_[0-9a-f]{32}$")]
SignerId = Annotated[str, Field(pattern=r"^sgn_[0-9a-f]{32}$")]


def moment(seconds: int) -> datetime:
    """The time of Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def parse(model: type[M], value: Json) -> M:
    """The body as `model`; raises Problem with every fault in it."""
    try:
        return model.model_validate(value)
    except ValidationError as err:
        found = err.errors(include_url=False, include_input=False)[:MAX_FAULTS]
        faults = [_told(one["type"], one["msg"], one["loc"], one.get("ctx", {})) for one in found]
        # What was sent is in no message: it is personal.
        raise invalid(faults) from None


def invalid(faults: list[dict[str, str]]) -> Problem:
    """The 422 with these faults, of which there is at least one."""
    first = faults[0]
    detail = f"{first['field'] or 'The body'}: {first['message']}"
    return Problem(VALIDATION, detail, param=first["field"] or None, more={"errors": faults})


def invalid_field(field: str, code: str, message: str) -> Problem:
    """The 422 with one fault."""
    return invalid([{"field": field, "code": code, "message": message}])


def _told(kind: str, message: str, place: tuple[int | str, ...], context: Mapping[str, Any]) -> dict[str, str]:
    known = None if "sentence" in context else _FAULTS.get(kind)  # a fault of ours says itself what it is
    code, sentence = (kind, message) if known is None else (known[0], known[1].format(**context))
    return {"field": ".".join(str(part) for part in place), "code": code, "message": sentence}


#: What the validating library calls a fault, by our code and sentence for it.
_FAULTS: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("required", "Must be given."),
    "extra_forbidden": ("unknown_field", "Is not a field of this request."),
    "string_type": ("invalid_type", "Must be a string."),
    "int_type": ("invalid_type", "Must be an integer."),
    "bool_type": ("invalid_type", "Must be true or false."),
    "dict_type": ("invalid_type", "Must be an object."),
    "list_type": ("invalid_type", "Must be a list."),
    "model_type": ("invalid_type", "Must be an object."),
    "string_too_short": ("too_short", "Must not be empty."),
    "string_too_long": ("too_long", "Must not be longer than {max_length} characters."),
    "too_short": ("too_short", "Must have at least {min_length}."),
    "too_long": ("too_long", "Must not have more than {max_length}."),
    "string_pattern_mismatch": ("invalid_id", "Must be of the form {pattern}."),
    "literal_error": ("unknown_value", "Must be {expected}."),
    "greater_than_equal": ("out_of_range", "Must be at least {ge}."),
    "less_than_equal": ("out_of_range", "Must be at most {le}."),
}
