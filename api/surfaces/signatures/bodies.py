"""Request bodies. What a JSON Schema can say is checked here; what takes more is in `rules` and `placement`."""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from api.surfaces.signatures.models import Designation
from api.text import Email, Line, Lines, Name
from api.zones import UNKNOWN, known_zone
from domain.envelope import MAX_MILLIPOINTS
from domain.field import FieldType
from domain.ids import IdError, parse_uuid

#: The published limits.
MAX_RECIPIENTS: Final = 20
MAX_FIELDS: Final = 200
MAX_ANCHORS: Final = 200
MAX_HOURS: Final = 8760
DEFAULT_HOURS: Final = 168
MAX_NAME_CHARACTERS: Final = 255
MAX_REASON_CHARACTERS: Final = 500

#: No PDF that is accepted has more; a page beyond the document's own is told when the document is known.
MAX_PAGE: Final = 100_000

#: An anchor is a mark in a text, not a passage of it.
MAX_ANCHOR_CHARACTERS: Final = 200

FieldWord = Literal["signature", "initials", "initial", "date", "text", "checkbox", "name", "email"]

FIELD_TYPES: Final[dict[FieldWord, FieldType]] = {
    "signature": FieldType.SIGNATURE,
    "initials": FieldType.INITIALS,
    "initial": FieldType.INITIALS,
    "date": FieldType.DATE,
    "text": FieldType.TEXT,
    "checkbox": FieldType.CHECKBOX,
    "name": FieldType.NAME,
    "email": FieldType.EMAIL,
}


def _id(value: object) -> UUID:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "not a string")
    try:
        return parse_uuid(value)
    except IdError as err:
        raise PydanticCustomError("uuid", "Invalid uuid") from err


def _zone(value: str) -> str:
    if not known_zone(value):
        raise PydanticCustomError("time_zone", UNKNOWN.removesuffix("."))
    return value


def _whole(value: object) -> object:
    """JSON has one kind of number: 1.0 is an integer (RFC 8259 section 6)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _at_most(most: int) -> BeforeValidator:
    """Refuses a long list before its members are looked at."""

    def check(value: object) -> object:
        if isinstance(value, list) and len(value) > most:
            raise PydanticCustomError("too_long", "too long", {"max_length": most})
        return value

    return BeforeValidator(check)


Id = Annotated[UUID, BeforeValidator(_id), WithJsonSchema({"type": "string", "format": "uuid"})]
Percentage = Annotated[float, Field(ge=0, le=100)]
Extent = Annotated[float, Field(gt=0, le=100)]
Points = Annotated[float, Field(gt=0, le=MAX_MILLIPOINTS // 1000)]
Order = Annotated[int, Field(ge=1, le=MAX_RECIPIENTS), BeforeValidator(_whole)]
Index = Annotated[int, Field(ge=0, le=MAX_RECIPIENTS - 1), BeforeValidator(_whole)]
Page = Annotated[int, Field(ge=1, le=MAX_PAGE), BeforeValidator(_whole)]
Hours = Annotated[int, Field(ge=1, le=MAX_HOURS), BeforeValidator(_whole)]


class Body(BaseModel):
    """Something sent: camelCase on the wire, nothing converted.

    Unknown members are passed over, as Zod's objects do; of what may be left out, null says the same.
    """

    model_config = ConfigDict(alias_generator=to_camel, strict=True, extra="ignore", frozen=True)


class RecipientBody(Body):
    first_name: Annotated[Name, Field(min_length=1, max_length=100)]
    last_name: Annotated[Line, Field(max_length=100)] | None = None
    email: Email
    designation: Designation | None = Field(
        default=None, description="`Signer`, the default, signs; `CC` gets a copy and signs nothing."
    )
    order: Order | None = Field(
        default=None,
        description="Given for all recipients or for none; then exactly 1..N. With it signers sign one after the other.",
    )


class FieldBody(Body):
    """Where a recipient signs or fills in, in percent of the displayed page from its top left corner."""

    type: FieldWord
    page: Page = Field(description="Counted from 1.")
    x: Percentage = Field(description="From the left edge of the page to the field's left edge.")
    y: Percentage = Field(description="From the top edge of the page to the field's top edge.")
    width: Extent
    height: Extent
    recipient_index: Index | None = Field(
        default=None, description="The recipient, counted from 0; may be left out where one recipient alone is a `Signer`."
    )
    required: bool | None = Field(default=None, description="Default: true.")


class AnchorBody(Body):
    """A field at every place where the PDF's text has the anchor; its top left corner is the text's."""

    anchor_string: Annotated[str, Field(min_length=1, max_length=MAX_ANCHOR_CHARACTERS)]
    type: FieldWord
    recipient_index: Index | None = Field(
        default=None, description="The recipient, counted from 0; may be left out where one recipient alone is a `Signer`."
    )
    required: bool | None = Field(default=None, description="Default: true.")
    width: Points | None = Field(default=None, description="PDF points. Default: by type, 200 for a signature.")
    height: Points | None = Field(default=None, description="PDF points. Default: by type, 30 for a signature.")


class CreateBody(Body):
    render_id: Id = Field(description="A render of this project that has succeeded.")
    name: Annotated[Name, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)] | None = Field(
        default=None, description="Default: `Signature request` and the beginning of the render's id."
    )
    recipients: Annotated[list[RecipientBody], Field(min_length=1, max_length=MAX_RECIPIENTS), _at_most(MAX_RECIPIENTS)] = Field(
        description="Each another person; at least one of them a `Signer`."
    )
    fields: Annotated[list[FieldBody], Field(max_length=MAX_FIELDS), _at_most(MAX_FIELDS)] | None = Field(
        default=None, description="Explicit placements. At least one of `fields` and `anchorTags` is given."
    )
    anchor_tags: Annotated[list[AnchorBody], Field(max_length=MAX_ANCHORS), _at_most(MAX_ANCHORS)] | None = Field(
        default=None, description="Placements by the text of the PDF."
    )
    expiration_hours: Hours | None = Field(default=None, description=f"Default: {DEFAULT_HOURS}.")
    time_zone: Annotated[str, AfterValidator(_zone), Field(examples=["Europe/Madrid"])] | None = Field(
        default=None,
        description="In which the request's papers tell days, and times beside UTC: a name of the IANA database. Default: the server's.",
    )


class CancelBody(Body):
    reason: Annotated[Lines, Field(max_length=MAX_REASON_CHARACTERS)] | None = Field(
        default=None, description="Becomes the request's `errorMessage`."
    )
