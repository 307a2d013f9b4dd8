"""Where the fields of a request stand on the pages of its document."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final
from uuid import UUID

from api.deps import TextPlaces
from api.surfaces.signatures.bodies import FIELD_TYPES, AnchorBody, CreateBody, FieldBody
from api.surfaces.signatures.parsing import Faults
from domain.envelope import MAX_PLACED_FIELDS, PlacedField
from domain.field import FieldType
from domain.placement import Box, PageSize, PlacementError, box_of_percentages

#: Width and height of a field at an anchor that names none, in PDF points: room for a name in 12 points, and a line above.
SIZES: Final[Mapping[FieldType, tuple[int, int]]] = {
    FieldType.SIGNATURE: (150, 36),
    FieldType.INITIALS: (60, 36),
    FieldType.DATE: (100, 20),
    FieldType.TEXT: (150, 20),
    FieldType.CHECKBOX: (14, 14),
    FieldType.NAME: (150, 20),
    FieldType.EMAIL: (180, 20),
}

_MILLI: Final = 1000


def placed(
    body: CreateBody, signers: Mapping[int, UUID], document: UUID, found: TextPlaces, faults: Faults
) -> tuple[PlacedField, ...]:
    """All fields, in the order of the request. What cannot be placed is added to `faults`.

    `signers` are the participants by their index among the recipients; `found` are the document's pages, and where
    its text has the anchors.
    """
    fields = [
        *(
            each
            for index, sent in enumerate(body.fields or ())
            for each in _explicit(sent, index, signers, document, found, faults)
        ),
        *(
            each
            for index, tag in enumerate(body.anchor_tags or ())
            for each in _anchored(tag, index, signers, document, found, faults)
        ),
    ]
    if len(fields) > MAX_PLACED_FIELDS:
        faults.add(("anchorTags",), f"They make {len(fields)} fields with the ones given; at most {MAX_PLACED_FIELDS} are kept")
    return tuple(fields)


def _explicit(
    sent: FieldBody, index: int, signers: Mapping[int, UUID], document: UUID, found: TextPlaces, faults: Faults
) -> Iterator[PlacedField]:
    who = _signer(sent.recipient_index, ("fields", index), signers, faults)
    if sent.page > len(found.pages):
        faults.add(("fields", index, "page"), f"The document has {len(found.pages)} page(s)")
        return
    try:
        numbers = (Decimal(repr(value)) for value in (sent.x, sent.y, sent.width, sent.height))
        box = box_of_percentages(found.pages[sent.page - 1], *numbers)
    except PlacementError as err:
        faults.add(("fields", index), f"Lies outside the page: {err}")
        return
    if who is not None:
        yield _field(who, document, FIELD_TYPES[sent.type], sent.page, box, sent.required)


def _anchored(
    tag: AnchorBody, index: int, signers: Mapping[int, UUID], document: UUID, found: TextPlaces, faults: Faults
) -> Iterator[PlacedField]:
    who = _signer(tag.recipient_index, ("anchorTags", index), signers, faults)
    places = found.places.get(tag.anchor_string, ())
    if not places:
        faults.add(("anchorTags", index, "anchorString"), "The document's text does not have it")
    for place in places:
        page = found.pages[place.page - 1]
        box = _box_at(tag, place.box, page)
        if not box.on(page):
            faults.add(("anchorTags", index), f"Does not fit on page {place.page} with its width and height")
        elif who is not None:
            yield _field(who, document, FIELD_TYPES[tag.type], place.page, box, tag.required)


def _box_at(tag: AnchorBody, text: Box, page: PageSize) -> Box:
    """From the text's top left corner. A field whose size is our own choice is moved as far as it takes to be on the page."""
    width, height = SIZES[FIELD_TYPES[tag.type]]
    left, width = _span(text.x_millipoints, tag.width, width, page.width_millipoints)
    top, height = _span(text.y_millipoints, tag.height, height, page.height_millipoints)
    return Box(left, top, width, height)


def _span(start: int, asked_points: float | None, usual_points: int, whole: int) -> tuple[int, int]:
    if asked_points is not None:
        return start, max(1, round(Decimal(repr(asked_points)) * _MILLI))
    length = min(usual_points * _MILLI, whole)
    return min(start, whole - length), length


def _signer(index: int | None, path: tuple[str, int], signers: Mapping[int, UUID], faults: Faults) -> UUID | None:
    """Whose field it is; the one signer's if there is but one and none is named."""
    if index is None:
        if len(signers) == 1:
            return next(iter(signers.values()))
        faults.add((*path, "recipientIndex"), "Required, since several recipients sign")
        return None
    found = signers.get(index)
    if found is None:
        faults.add((*path, "recipientIndex"), "Is not the index of a recipient who signs")
    return found


def _field(who: UUID, document: UUID, kind: FieldType, page: int, box: Box, required: bool | None) -> PlacedField:
    return PlacedField(
        participant=who,
        document=document,
        type=kind,
        page=page,
        x_millipoints=box.x_millipoints,
        y_millipoints=box.y_millipoints,
        width_millipoints=box.width_millipoints,
        height_millipoints=box.height_millipoints,
        required=required is not False,
    )
