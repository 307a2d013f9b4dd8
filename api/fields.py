"""Form fields, for all surfaces: given to an envelope's participants, and filled in by them."""

import asyncio
import re
from base64 import b64decode
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final, assert_never
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic import Field as Constraint
from pydantic_core import PydanticCustomError

from api import text
from api.deps import Deps, DrawingRefused, Face, ImageFault, ImageRefused, capacity, check_image, fits, undrawable
from domain.envelope import MAX_PLACED_FIELDS, Envelope, PlacedField, labels_of
from domain.errors import FieldUnknown, FieldValueUnfit
from domain.field import ASKED, FieldType
from domain.personal import Subject
from domain.placement import Box
from domain.signing import FieldValue
from domain.template import Field

#: A field's label is its name, as long as templates let it be, or its number.
MAX_LABEL_CHARACTERS: Final = 100

#: More than a page in the least letters has room for.
MAX_VALUE_CHARACTERS: Final = 5_000

#: Of all values of one signature. Each is measured in many sizes of letters, here and when it is drawn, and drawing has to end.
MAX_CHARACTERS_TOGETHER: Final = 20_000


def _text_or_truth(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, str) and len(value) <= MAX_VALUE_CHARACTERS):
        return value
    raise PydanticCustomError("invalid_value", f"Must be true, false or a text of at most {MAX_VALUE_CHARACTERS} characters")


Value = Annotated[
    str | bool,
    BeforeValidator(_text_or_truth),
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": MAX_VALUE_CHARACTERS}, {"type": "boolean"}]}),
]


def _not_too_long(values: dict[str, str | bool]) -> dict[str, str | bool]:
    if sum(len(value) for value in values.values() if isinstance(value, str)) > MAX_CHARACTERS_TOGETHER:
        raise PydanticCustomError("invalid_value", f"Must have at most {MAX_CHARACTERS_TOGETHER} characters together")
    return values


#: What a body gives: values by the fields' labels.
Values = Annotated[
    dict[Annotated[str, Constraint(min_length=1, max_length=MAX_LABEL_CHARACTERS)], Value],
    Constraint(max_length=MAX_PLACED_FIELDS),
    AfterValidator(_not_too_long),
]

#: What a surface's document says of them.
VALUES_DESCRIBED: Final = (
    "What the signer puts into the fields, by their labels: a field's name, or where it has none its number in the envelope. "
    "true or false for a checkbox, else a text; for a date YYYY-MM-DD. A required text must not be empty, a required checkbox "
    "must be true. Name, e-mail, date and initials follow from who signs and when where nothing is given. "
    f"All texts together have at most {MAX_CHARACTERS_TOGETHER} characters."
)

#: Those that are there to be signed are required unless the template says otherwise.
_SIGNED: Final = frozenset((FieldType.SIGNATURE, FieldType.INITIALS))

#: All digits are equally wide.
_A_DAY: Final = date.max.isoformat()

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EMAIL: Final = re.compile(text.EMAIL)
_LINE: Final = re.compile(text.LINE)
_LINES: Final = re.compile(text.LINES)


@dataclass(eq=False)
class NoSuchParticipant(Exception):
    """A field is for a place among the participants that nobody has."""

    name: str
    place: int
    participants: int

    @property
    def sentence(self) -> str:
        """What to tell, and what to do."""
        return (
            f"Field {self.name} of the template is participant {self.place}'s, and there are {self.participants}; name one more."
        )


def placed_fields(fields: Sequence[Field], document: UUID, participants: Sequence[UUID]) -> tuple[PlacedField, ...]:
    """A template's fields as those of an envelope; a field that stands nowhere is left out.

    A field without a participant: where it asks something (text, checkbox) it is the first one's; else the first of
    its type is the first one's, the second the second's, and what is beyond the last is the last one's. Raises
    NoSuchParticipant.
    """
    return tuple(_placed(fields, document, participants))


def _placed(fields: Sequence[Field], document: UUID, participants: Sequence[UUID]) -> Iterator[PlacedField]:
    seen: dict[FieldType, int] = {}
    for field in fields:
        box = field.box
        if box is None or field.page is None:
            continue
        if field.participant is not None:
            place = field.participant
        elif field.type in ASKED:
            place = 1
        else:
            place = seen[field.type] = min(seen.get(field.type, 0) + 1, len(participants))
        if place > len(participants):
            raise NoSuchParticipant(field.name, place, len(participants))
        yield PlacedField(
            participant=participants[place - 1],
            document=document,
            type=field.type,
            page=field.page,
            x_millipoints=box.x_millipoints,
            y_millipoints=box.y_millipoints,
            width_millipoints=box.width_millipoints,
            height_millipoints=box.height_millipoints,
            required=field.type in _SIGNED if field.required is None else field.required,
            name=field.name,
        )


def no_room(kind: FieldType, box: Box) -> str | None:
    """What has no room in a field and may not be shortened: one letter of a text, or a day; None where there is room."""
    size = box.width_millipoints, box.height_millipoints
    if kind is FieldType.TEXT and capacity(size) == 0:
        return "Not one letter fits into it"
    if kind is FieldType.DATE and fits(kind, size, _A_DAY) is not None:
        return "A day does not fit into it"
    return None


async def filled(
    deps: Deps, envelope: Envelope, participant: UUID, given: Mapping[str, str | bool], subject: Subject
) -> tuple[FieldValue, ...]:
    """The values given for fields of a participant, concealed as the subject's; raises FieldUnknown, FieldValueUnfit.

    An empty text, and a required checkbox that is not ticked, are as good as not given: whether that will do is
    decided with the signature.
    """
    # Measuring long texts takes its time.
    read = await asyncio.to_thread(lambda: dict(_read(envelope, participant, given)))
    return tuple(FieldValue(number, deps.vault.conceal(read[number], subject)) for number in sorted(read))


def _read(envelope: Envelope, participant: UUID, given: Mapping[str, str | bool]) -> Iterator[tuple[int, str | bool]]:
    """The values by the fields' numbers."""
    numbers = {label: number for number, label in enumerate(labels_of(envelope.fields), 1)}
    for label, value in given.items():
        number = numbers.get(label)
        if number is None or envelope.fields[number - 1].participant != participant:
            raise FieldUnknown(label)
        read = _value(label, envelope.fields[number - 1], value)
        if read is not None:
            yield number, read


def _value(label: str, placed: PlacedField, value: str | bool) -> str | bool | None:
    match placed.type:
        case FieldType.SIGNATURE:
            raise FieldUnknown(label)  # it is put there by signing
        case FieldType.CHECKBOX:
            if not isinstance(value, bool):
                raise FieldValueUnfit(label, "It takes true or false.")
            return None if placed.required and not value else value
        case FieldType.TEXT | FieldType.DATE | FieldType.NAME | FieldType.EMAIL | FieldType.INITIALS:
            if not isinstance(value, str):
                raise FieldValueUnfit(label, "It takes a text.")
            if not value.strip():
                return None
            fault = _fault(placed, value)
            if fault is not None:
                raise FieldValueUnfit(label, fault)
            return value
        case _ as unreachable:
            assert_never(unreachable)


def _fault(placed: PlacedField, value: str) -> str | None:
    if not (_LINES if placed.type is FieldType.TEXT else _LINE).fullmatch(value):
        return (
            "It has control characters, or more than one line."
            if placed.type is not FieldType.TEXT
            else "It has control characters."
        )
    if placed.type is FieldType.DATE and not _is_day(value):
        return "It takes a day as YYYY-MM-DD."
    if placed.type is FieldType.EMAIL and not _EMAIL.fullmatch(value):
        return "It takes an e-mail address."
    return fits(placed.type, (placed.width_millipoints, placed.height_millipoints), value)


def _is_day(value: str) -> bool:
    try:
        return bool(_DAY.fullmatch(value)) and bool(date.fromisoformat(value))
    except ValueError:
        return False


async def refuse_unfit_image(data_uri: str) -> None:
    """Raises ImageRefused unless the image of a drawn signature, a data URI in base64 (RFC 2397), can stand on a page."""
    try:
        await check_image(b64decode(data_uri.partition(",")[2]))
    except DrawingRefused as err:
        # What breaks the program that looks at it is not drawn either.
        raise ImageRefused(ImageFault.NOT_AN_IMAGE) from err


def printable(name: str) -> bool:
    """Whether a name can be written as a signature; what has other letters is spelled out by their numbers."""
    return not undrawable(name, Face.HAND)


def own_fields(envelope: Envelope, participant: UUID, documents: Collection[UUID]) -> tuple[tuple[str, PlacedField], ...]:
    """The participant's fields on these documents, each with its label."""
    named = zip(labels_of(envelope.fields), envelope.fields, strict=True)
    return tuple((label, it) for label, it in named if it.participant == participant and it.document in documents)
