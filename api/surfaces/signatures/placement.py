"""Where the fields of a request stand on the pages of its document."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final
from uuid import UUID

from api.deps import TextPlaces
from api.fields import no_room
from api.surfaces.signatures.bodies import FIELD_TYPES, AnchorBody, CreateBody, FieldBody
from api.surfaces.signatures.parsing import Faults
from domain.envelope import MAX_PLACED_FIELDS, PlacedField
from domain.field import SIZES, FieldType
from domain.placement import Box, PlacementError, box_at_text, box_of_percentages

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
    kind = FIELD_TYPES[sent.type]
    if (fault := no_room(kind, box)) is not None:
        faults.add(("fields", index), fault)
    elif who is not None:
        yield _field(who, document, kind, sent.page, box, sent.required)


def _anchored(
    tag: AnchorBody, index: int, signers: Mapping[int, UUID], document: UUID, found: TextPlaces, faults: Faults
) -> Iterator[PlacedField]:
    who = _signer(tag.recipient_index, ("anchorTags", index), signers, faults)
    places, kind = found.places.get(tag.anchor_string, ()), FIELD_TYPES[tag.type]
    if not places:
        faults.add(("anchorTags", index, "anchorString"), "The document's text does not have it")
    for place in places:
        page = found.pages[place.page - 1]
        corner, asked = (place.box.x_millipoints, place.box.y_millipoints), (_millipoints(tag.width), _millipoints(tag.height))
        box = box_at_text(page, corner, asked, SIZES[kind])
        if not box.on(page):
            faults.add(("anchorTags", index), f"Does not fit on page {place.page} with its width and height")
        elif (fault := no_room(kind, box)) is not None:
            faults.add(("anchorTags", index), fault)
        elif who is not None:
            yield _field(who, document, kind, place.page, box, tag.required)


def _millipoints(points: float | None) -> int | None:
    return None if points is None else max(1, round(Decimal(repr(points)) * _MILLI))


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
