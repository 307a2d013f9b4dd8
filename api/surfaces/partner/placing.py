"""Where the fields of a template stand: points, percentages and anchors made into thousandths of a point on its pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from api.deps import Deps, Normalised, PdfLimits, TextPlace, UnusablePdf, find_text
from api.fields import no_room
from api.surfaces.partner.answers import Failed
from api.surfaces.partner.bodies import AnchorBody, FieldBody
from api.surfaces.partner.refusals import absent
from api.surfaces.partner.validation import at
from domain.errors import AnchorNotFound, FieldOutsideDocument
from domain.field import SIZES
from domain.placement import Box, PageSize, PlacementError, box_at_text, box_of_percentages
from domain.template import Field, Looked, StoredFile, Template


@dataclass(frozen=True, slots=True)
class VersionFile:
    """The PDF of a template's version."""

    template: UUID
    version: int
    file: StoredFile

    async def pages(self, deps: Deps) -> Normalised:
        """Its pages; raises Failed for a PDF that is lost, or that was accepted when less was looked for."""
        try:
            found = await deps.files.of(self.file.sha256)
        except UnusablePdf as err:
            raise Failed(at(("_schema",), err.sentence)) from err
        if found is None:
            raise self.lost
        return found

    async def content(self, deps: Deps, sha256: str) -> bytes:
        """A form of it; raises Failed for one that is lost."""
        content = await deps.blobs.get(sha256)
        if content is None:
            raise self.lost
        return content

    @property
    def lost(self) -> Failed:
        """There should be a PDF and is none."""
        details = {"templateId": str(self.template), "version": self.version}
        return Failed(absent("The PDF of this version is not in the store.", details))


async def placed(deps: Deps, template: UUID, state: Template, body: Sequence[FieldBody]) -> tuple[tuple[Field, ...], Looked]:
    """The fields of a body for the current version, and the pages that they were placed by.

    Raises AnchorNotFound, FieldOutsideDocument, and Failed for what cannot be placed otherwise.
    """
    number = state.current
    file = state.versions[number].file
    if file is None:
        _refuse_unresolvable(number, body)
        return tuple(_field(index, sent, (), {}) for index, sent in enumerate(body)), Looked(number, None, ())
    held = VersionFile(template, number, file)
    somewhere = any(sent.page is not None or sent.anchor is not None for sent in body)
    sizes = (await held.pages(deps)).sizes if somewhere else ()
    texts = await _texts(deps, held, body)
    return tuple(_field(index, sent, sizes, texts) for index, sent in enumerate(body)), Looked(number, file.sha256, sizes)


def _refuse_unresolvable(version: int, body: Sequence[FieldBody]) -> None:
    for index, sent in enumerate(body):
        if sent.anchor is not None or sent.unit == "percent":
            member = "unit" if sent.anchor is None else "anchor"
            raise Failed(at((index, member), f"Upload the PDF of version {version} first: the place is looked up on its pages."))


async def _texts(deps: Deps, held: VersionFile, body: Sequence[FieldBody]) -> Mapping[str, Sequence[TextPlace]]:
    """Where the texts of all anchors stand."""
    wanted = [sent.anchor.text for sent in body if sent.anchor is not None]
    if not wanted:
        return {}
    content = await held.content(deps, held.file.sha256)
    try:
        return (await find_text(content, wanted, PdfLimits(held.file.size_bytes, held.file.pages))).places
    except UnusablePdf as err:
        raise Failed(at(("_schema",), err.sentence)) from err


def _field(index: int, sent: FieldBody, sizes: Sequence[PageSize], texts: Mapping[str, Sequence[TextPlace]]) -> Field:
    field = Field(
        sent.field_name,
        sent.field_type,
        sent.page,
        _thousandths(sent.x),
        _thousandths(sent.y),
        _thousandths(sent.width),
        _thousandths(sent.height),
        sent.participant,
        sent.required,
    )
    if sent.anchor is not None:
        page, box = _at_text(index, field, sent.anchor, sizes, texts[sent.anchor.text])
        field = _standing(field, page, box)
    elif sent.unit == "percent" and sent.page is not None:
        field = _standing(field, sent.page, _in_percent(index, sent, sent.page, sizes))
    if (stands := field.box) is not None and (fault := no_room(field.type, stands)) is not None:
        raise Failed(at((index, "_schema"), f"{fault}; make it larger."))
    return field


def _standing(field: Field, page: int, box: Box) -> Field:
    return replace(
        field,
        page=page,
        x_millipoints=box.x_millipoints,
        y_millipoints=box.y_millipoints,
        width_millipoints=box.width_millipoints,
        height_millipoints=box.height_millipoints,
    )


def _at_text(
    index: int, field: Field, anchor: AnchorBody, sizes: Sequence[PageSize], places: Sequence[TextPlace]
) -> tuple[int, Box]:
    if not places:
        raise AnchorNotFound(field.name)
    if anchor.occurrence > len(places):
        raise Failed(at((index, "anchor", "occurrence"), f"The document has the text {len(places)} time(s)."))
    place = places[anchor.occurrence - 1]
    corner = (
        place.box.x_millipoints + (_thousandths(anchor.dx) or 0),
        place.box.y_millipoints + (_thousandths(anchor.dy) or 0),
    )
    asked = (field.width_millipoints, field.height_millipoints)
    return place.page, box_at_text(sizes[place.page - 1], corner, asked, SIZES[field.type])


def _in_percent(index: int, sent: FieldBody, page: int, sizes: Sequence[PageSize]) -> Box:
    if page > len(sizes):
        raise FieldOutsideDocument(sent.field_name, page, len(sizes))
    size, (width, height) = sizes[page - 1], SIZES[sent.field_type]
    try:
        return box_of_percentages(
            size,
            sent.x or Decimal(0),
            sent.y or Decimal(0),
            sent.width or Decimal(100 * width) / size.width_millipoints,
            sent.height or Decimal(100 * height) / size.height_millipoints,
        )
    except PlacementError as err:
        raise Failed(at((index, "_schema"), f"Lies outside the page: {err}.")) from err


def _thousandths(points: Decimal | None) -> int | None:
    return None if points is None else int((points * 1000).to_integral_value())
