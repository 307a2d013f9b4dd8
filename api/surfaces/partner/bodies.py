"""Request bodies, read into values that cannot be wrong."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from api import text
from api.surfaces.partner.validation import NULL, field_fault, schema_fault
from api.zones import UNKNOWN, known_zone
from domain.canonical import MAX_INTEGER, CanonicalError, canonical
from domain.envelope import MAX_PARTICIPANTS, OnParticipantFail, OrderMode
from domain.ids import IdError, parse_uuid
from domain.signing import MAX_ATTEMPTS, MAX_COOLDOWN_SECONDS, SignatureMode
from domain.template import MAX_FIELDS, FieldType

#: Free metadata, in its canonical spelling.
MAX_METADATA_BYTES: Final = 16 * 1024

#: The longest address that mail can be sent to (RFC 5321 section 4.5.3.1.3, less the angle brackets).
MAX_EMAIL_CHARACTERS: Final = 254

#: The digits of an international number (ITU-T E.164 section 6.1); shorter ones than seven reach nobody from abroad.
PHONE_DIGITS: Final = range(7, 16)

#: The largest page edge in PDF points (ISO 32000-1 annex C.2).
MAX_POINTS: Final = 14_400

#: An anchor is a mark in a text, not a passage of it; and a text that stands in more places is none.
MAX_ANCHOR_CHARACTERS: Final = 200
MAX_OCCURRENCE: Final = 10_000

#: What the mail system can write to (`infrastructure.mail`), and a domain of labels (RFC 1123 section 2.1).
_SPECIALS: Final = r'@\s<>,;:"()\[\]\\'
_LABEL: Final = rf"[^{_SPECIALS}.-](?:[^{_SPECIALS}.]{{0,61}}[^{_SPECIALS}.-])?"
_EMAIL: Final = re.compile(rf"[^{_SPECIALS}]+@(?:{_LABEL}\.)+{_LABEL}")
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ().-]*")
_VERSION: Final = re.compile(r"(?:(?P<template>[0-9a-fA-F-]{36})#)?(?P<number>[0-9]{1,9})")
#: RFC 3339 section 5.6, with seconds that may be left out.
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(?P<offset>[Zz]|[+-]\d\d:\d\d)?")


_NAME_PATTERN: Final = re.compile(text.NAME)
_LINE_PATTERN: Final = re.compile(text.LINE)
_LINES_PATTERN: Final = re.compile(text.LINES)


def _one_line(value: str) -> str:
    if not _LINE_PATTERN.fullmatch(value):
        raise field_fault("Must not contain line breaks or control characters.")
    if value and not _NAME_PATTERN.fullmatch(value):
        raise field_fault("Must not be blank.")
    return value


def _lines(value: str) -> str:
    if not _LINES_PATTERN.fullmatch(value):
        raise field_fault("Must not contain control characters.")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise field_fault(NULL if value is None else "Not a valid string.")
    return value


def _uuid(value: object) -> UUID:
    try:
        return parse_uuid(_text(value))
    except IdError as err:
        raise field_fault("Not a valid UUID.") from err


def _version(value: object) -> tuple[UUID | None, int]:
    match = _VERSION.fullmatch(_text(value))
    if match is None or int(match["number"]) < 1:
        raise field_fault('Not a valid template version; for example "0002".')
    return None if match["template"] is None else _uuid(match["template"]), int(match["number"])


def _time(value: object) -> datetime:
    text = _text(value)
    match = _TIME.fullmatch(text)
    if match is None:
        raise field_fault("Not a valid datetime.")
    if match["offset"] is None:
        raise field_fault("Not a valid datetime: a UTC offset is missing; end it with Z or, for example, +02:00.")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as err:
        raise field_fault("Not a valid datetime.") from err


def _email(value: str) -> str:
    if len(value) > MAX_EMAIL_CHARACTERS or not value.isprintable() or not _EMAIL.fullmatch(value):
        raise field_fault("Not a valid email address.")
    return value


def _phone(value: str) -> str:
    if not _PHONE.fullmatch(value) or sum(character.isdigit() for character in value) not in PHONE_DIGITS:
        raise field_fault("Not a valid phone number.")
    return value


def _number(least: int, *, above: bool = False) -> BeforeValidator:
    """Reads a number from `least`, or above it, to the longest page, as it was written."""

    def read(value: object) -> Decimal:
        if value is None:
            raise field_fault(NULL)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise field_fault("Not a valid number.")
        if not least <= value <= MAX_POINTS or (above and value == least):
            raise field_fault(
                f"Must be greater than {'' if above else 'or equal to '}{least} and less than or equal to {MAX_POINTS}."
            )
        return Decimal(repr(value))

    return BeforeValidator(read)


def _zone(value: str) -> str:
    if not known_zone(value):
        raise field_fault(UNKNOWN)
    return value


def _metadata(value: object) -> object:
    if not isinstance(value, dict):
        raise field_fault("Not a valid mapping type.")
    try:
        size = len(canonical(value))
    except CanonicalError as err:
        raise field_fault(f"Cannot be kept: {err}.") from err
    if size > MAX_METADATA_BYTES:
        raise field_fault(f"Longer than maximum length {MAX_METADATA_BYTES} bytes.")
    return value


def _one_of(choices: Mapping[str, StrEnum]) -> BeforeValidator:
    """Reads one of the surface's words as the domain's."""

    def read(value: object) -> StrEnum:
        if value is None:
            raise field_fault(NULL)
        if not isinstance(value, str) or value not in choices:
            raise field_fault(f"Must be one of: {', '.join(choices)}.")
        return choices[value]

    return BeforeValidator(read)


def _spelled(choices: Mapping[str, StrEnum]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(choices)})


def _at_most(most: int) -> BeforeValidator:
    """Refuses a long list before its members are looked at."""

    def check(value: object) -> object:
        if isinstance(value, list) and len(value) > most:
            raise field_fault(f"Longer than maximum length {most}.")
        return value

    return BeforeValidator(check)


#: `3.0` is the number 3 in JSON, whatever Python makes of it.
_WHOLE: Final = BeforeValidator(lambda value: int(value) if isinstance(value, float) and value.is_integer() else value)

METHODS: Final = ("KEY", "HMAC")

MODES: Final[Mapping[str, SignatureMode]] = {
    "SIGNATURE_EMAIL": SignatureMode.EMAIL,
    "SIGNATURE_SMS": SignatureMode.SMS,
    "SIGNATURE_BIOMETRIC": SignatureMode.BIOMETRIC,
}
ORDERS: Final[Mapping[str, OrderMode]] = {"PARALLEL": OrderMode.PARALLEL, "SEQUENTIAL": OrderMode.SEQUENTIAL}
ON_FAIL: Final[Mapping[str, OnParticipantFail]] = {
    "CANCEL_FLOW": OnParticipantFail.CANCEL_FLOW,
    "CONTINUE": OnParticipantFail.CONTINUE,
}

FIELD_TYPES: Final[Mapping[str, FieldType]] = {kind.value: kind for kind in FieldType}

Mode = Annotated[SignatureMode, _one_of(MODES), _spelled(MODES)]
Order = Annotated[OrderMode, _one_of(ORDERS), _spelled(ORDERS)]
OnFail = Annotated[OnParticipantFail, _one_of(ON_FAIL), _spelled(ON_FAIL)]
FieldKind = Annotated[FieldType, _one_of(FIELD_TYPES), _spelled(FIELD_TYPES)]
#: What the validators ask for, for the OpenAPI document; theirs are the sentences.
_NAME: Final[dict[str, Any]] = {"pattern": f"^{text.NAME}$"}
_LINES: Final[dict[str, Any]] = {"pattern": f"^{text.LINES}$"}

Name = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra=_NAME), AfterValidator(_one_line)]
Description = Annotated[str, Field(max_length=2000, json_schema_extra=_LINES), AfterValidator(_lines)]
Place = Annotated[Decimal, _number(0), WithJsonSchema({"type": "number", "minimum": 0, "maximum": MAX_POINTS})]
Extent = Annotated[
    Decimal, _number(0, above=True), WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": MAX_POINTS})
]
Offset = Annotated[
    Decimal, _number(-MAX_POINTS), WithJsonSchema({"type": "number", "minimum": -MAX_POINTS, "maximum": MAX_POINTS})
]
Time = Annotated[datetime, BeforeValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Id = Annotated[UUID, BeforeValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
Metadata = Annotated[dict[str, Any], BeforeValidator(_metadata)]


class Body(BaseModel):
    """Something sent: camelCase on the wire, nothing converted, nothing unknown."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, extra="forbid", frozen=True)


class IntegrationBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    auth_method: Literal["KEY", "HMAC"] = Field(description="Authentication method to generate for the tenant.")


# Templates


class TemplateBody(Body):
    template_name: Name = Field(description="Template display name.")
    description: Description | None = Field(default=None, description="Functional or business context.")


class AnchorBody(Body):
    """A text of the PDF that a field stands at, in one line; upper and lower case count, the amount of blanks does not."""

    text: Annotated[
        str, Field(min_length=1, max_length=MAX_ANCHOR_CHARACTERS, json_schema_extra=_NAME), AfterValidator(_one_line)
    ]
    occurrence: Annotated[int, _WHOLE, Field(ge=1, le=MAX_OCCURRENCE)] = Field(
        default=1, description="Which of the places with that text, in reading order, counted from 1. Default: the first."
    )
    dx: Offset | None = Field(
        default=None, description="PDF points from the text's left edge to the field's, to the right. Default: 0."
    )
    dy: Offset | None = Field(
        default=None, description="PDF points from the text's top edge to the field's, downwards. Default: 0."
    )


class FieldBody(Body):
    """Where a participant signs or fills in. Positions are kept to a thousandth of a point.

    A field stands at `page`, `x` and `y`, or at an `anchor`; without any of them it is kept, and documents go without it.
    Percentages and anchors become points as soon as they are given, so the version's PDF has to be there. A field leaves
    no page: one that would is refused, as is a PDF that comes later and has no room for it.
    """

    field_name: Annotated[str, Field(min_length=1, max_length=100, json_schema_extra=_NAME), AfterValidator(_one_line)] = Field(
        description="Field functional identifier, once in a template version."
    )
    field_type: FieldKind = Field(description="What the participant puts there.")
    page: Annotated[int, _WHOLE, Field(ge=1, le=MAX_INTEGER)] | None = Field(default=None, description="Counted from 1.")
    x: Place | None = Field(default=None, description="From the left edge of the displayed page to the field's left edge.")
    y: Place | None = Field(default=None, description="From the top edge of the displayed page to the field's top edge.")
    width: Extent | None = Field(default=None, description="Default: by type, 200 points for a signature.")
    height: Extent | None = Field(default=None, description="Default: by type, 30 points for a signature.")
    unit: Literal["points", "percent"] = Field(
        default="points",
        description="What `x`, `y`, `width` and `height` are given in: PDF points, or percent of the displayed page's width and height.",
    )
    anchor: AnchorBody | None = Field(default=None, description="Instead of `page`, `x` and `y`.")
    participant: Annotated[int, _WHOLE, Field(ge=1, le=MAX_PARTICIPANTS)] | None = Field(
        default=None,
        description="Whose field it is: a place among the document's participants, counted from 1. Default: the first's for `TEXT` "
        "and `CHECKBOX`; else the first field of a type is the first participant's, the second the second's, and what is beyond "
        "the last is the last one's.",
    )
    required: bool | None = Field(default=None, description="Default: true for `SIGNATURE` and `INITIALS`, else false.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [value is not None for value in (self.page, self.x, self.y)]
        if self.anchor is not None and (any(given) or self.unit == "percent"):
            raise schema_fault("A field at an anchor takes no page, x and y, and its size in points.")
        if self.unit == "percent" and not all(given):
            raise schema_fault("A field in percent takes page, x and y.")
        return self


def _unique_fields(fields: list[FieldBody]) -> list[FieldBody]:
    first: dict[str, int] = {}
    for index, field in enumerate(fields):
        if first.setdefault(field.field_name, index) != index:
            raise field_fault(f"Fields {first[field.field_name]} and {index} have the same fieldName.")
    return fields


Fields = Annotated[list[FieldBody], _at_most(MAX_FIELDS), AfterValidator(_unique_fields)]


# Documents


class IdentityBody(Body):
    email: Annotated[str, AfterValidator(_email)] | None = Field(default=None, description="Required for `SIGNATURE_EMAIL`.")
    phone: Annotated[str, AfterValidator(_phone)] | None = Field(default=None, description="Required for `SIGNATURE_SMS`.")
    document_number: (
        Annotated[str, Field(min_length=1, max_length=64, json_schema_extra=_NAME), AfterValidator(_one_line)] | None
    ) = Field(default=None, description="Required for `SIGNATURE_BIOMETRIC`.")


class PolicyBody(Body):
    attempts_max: Annotated[int, _WHOLE, Field(ge=1, le=MAX_ATTEMPTS)] | None = Field(
        default=None, description="Maximum number of attempts allowed. Default: no limit."
    )
    cooldown_seconds: Annotated[int, _WHOLE, Field(ge=0, le=MAX_COOLDOWN_SECONDS)] | None = Field(
        default=None, description="Minimum time between participant attempts. Default: none."
    )


class ParticipantBody(Body):
    display_name: Name = Field(description="Participant display name.")
    signature_mode: list[Mode] = Field(min_length=1, max_length=len(MODES), description="Signature channels or mechanisms.")
    identity: IdentityBody | None = None
    policy: PolicyBody | None = None

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        """What each mechanism cannot do without; the sentence for biometric is the reference page's."""
        known = self.identity or IdentityBody()
        faults = [
            sentence
            for mode, value, sentence in (
                (SignatureMode.EMAIL, known.email, "Email is required for email signature."),
                (SignatureMode.SMS, known.phone, "Phone is required for SMS signature."),
                (SignatureMode.BIOMETRIC, known.document_number, "Document number is required for biometric signature."),
            )
            if mode in self.signature_mode and value is None
        ]
        if len(set(self.signature_mode)) < len(self.signature_mode):
            faults.append("A signature mode is named twice.")
        if faults:
            raise schema_fault(*faults)
        return self


class FlowPolicyBody(Body):
    on_participant_fail: OnFail = Field(
        default=OnParticipantFail.CANCEL_FLOW,
        description="What happens when a participant fails or declines. Default: `CANCEL_FLOW`.",
    )


class DocumentBody(Body):
    template_id: Id = Field(description="Base template identifier.")
    template_version: Annotated[
        tuple[UUID | None, int], BeforeValidator(_version), WithJsonSchema({"type": "string", "examples": ["0002"]})
    ] = Field(description="Version that must be used for the document; its PDF must have been uploaded.")
    participants: Annotated[list[ParticipantBody], Field(min_length=1), _at_most(MAX_PARTICIPANTS)] = Field(
        description=f"Signers, at most {MAX_PARTICIPANTS}, each a different person; in a sequential document they sign in this order."
    )
    flow_policy: FlowPolicyBody | None = None
    order_mode: Order = Field(description="Whether all sign at once or one after the other.")
    deadline_at: Time | None = Field(default=None, description="Process deadline, in the future.")
    time_zone: Annotated[str, Field(examples=["Europe/Madrid"]), AfterValidator(_zone)] | None = Field(
        default=None,
        description="In which the document's papers tell days, and times beside UTC: a name of the IANA database. Default: the server's.",
    )
    metadata: Metadata | None = Field(
        default=None,
        description=f"Free-form object to correlate the document with your system, at most {MAX_METADATA_BYTES} bytes of JSON.",
    )


class ExtendBody(Body):
    new_deadline_at: Time = Field(description="New document deadline, later than the present one.")


INTEGRATION: Final = TypeAdapter(IntegrationBody)
TEMPLATE: Final = TypeAdapter(TemplateBody)
FIELDS: Final[TypeAdapter[list[FieldBody]]] = TypeAdapter(Fields)
DOCUMENT: Final = TypeAdapter(DocumentBody)
EXTEND: Final = TypeAdapter(ExtendBody)
