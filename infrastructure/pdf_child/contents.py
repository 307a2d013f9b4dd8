"""How much a document draws: a few kilobytes may stand for gigabytes, or for years of work."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pikepdf

from infrastructure.pdf_child.limits import MAX_CONTENT_BYTES, MAX_DEPTH, MAX_DRAWN_BYTES, MAX_MARKS, Unusable
from infrastructure.pdf_child.program import Program, content_of, marks, read_program


class _Extent(NamedTuple):
    """Bytes that a reader goes through, and how deep drawings are used by drawings."""

    drawn: int
    depth: int


class Contents:
    """Reads what the pages draw, each drawing once; raises Unusable where it cannot be unpacked or is too much."""

    def __init__(self, document: pikepdf.Pdf) -> None:
        self._document = document
        self._read_bytes = self._read_marks = 0
        self._drawn_bytes = 0
        self._known: dict[tuple[int, int], _Extent] = {}
        self._within: set[tuple[int, int]] = set()

    def read(self, page: pikepdf.Page, number: int) -> Program:
        """The program of a page."""
        try:
            program, extent = self._look_into(content_of(page), page.obj.get("/Resources"))
            appearances = [self._drawing(each, None) for each in appearances_of(page)]
        except pikepdf.PdfError as err:
            raise Unusable("bad-content", page=number) from err
        self._drawn_bytes += extent.drawn + sum(each.drawn for each in appearances)
        if self._drawn_bytes > MAX_DRAWN_BYTES:
            raise Unusable("too-complex")
        return program

    def _look_into(self, content: bytes, resources: Any) -> tuple[Program, _Extent]:
        self._read_bytes += len(content)
        self._read_marks += marks(content)
        if self._read_bytes > MAX_CONTENT_BYTES or self._read_marks > MAX_MARKS:
            raise Unusable("too-complex")
        program = read_program(self._document, content)
        if not program.ended:
            raise pikepdf.PdfError("readers differ on where a content that breaks off ends")
        drawings = resources.get("/XObject") if isinstance(resources, pikepdf.Dictionary) else None
        drawn, depth = len(content), 0
        if isinstance(drawings, pikepdf.Dictionary):
            for name, times in program.uses.items():
                extent = self._drawing(drawings.get(name), resources)
                drawn, depth = drawn + times * extent.drawn, max(depth, extent.depth)
        return program, _Extent(drawn, depth)

    def _drawing(self, thing: Any, outer: Any) -> _Extent:
        """Of a form XObject; one without resources of its own has those around it (ISO 32000-1 section 7.8.3)."""
        if not isinstance(thing, pikepdf.Stream) or thing.get("/Subtype") == pikepdf.Name.Image:
            return _Extent(0, 0)
        name = thing.objgen
        if name not in self._known:
            if name in self._within or len(self._within) >= MAX_DEPTH:
                raise Unusable("too-complex")  # a drawing of itself has no end
            self._within.add(name)
            _, extent = self._look_into(thing.read_bytes(), thing.get("/Resources", outer))
            self._within.remove(name)
            self._known[name] = _Extent(extent.drawn, extent.depth + 1)
        extent = self._known[name]
        if len(self._within) + extent.depth > MAX_DEPTH:
            raise Unusable("too-complex")
        return extent


def appearances_of(page: pikepdf.Page) -> Iterator[Any]:
    """The streams that show a page's annotations, in all their states (ISO 32000-1 section 12.5.5)."""
    for annotation in annotations_of(page):
        appearances = annotation.get("/AP")
        normal = appearances.get("/N") if isinstance(appearances, pikepdf.Dictionary) else None
        if isinstance(normal, pikepdf.Stream):
            yield normal
        elif isinstance(normal, pikepdf.Dictionary):
            yield from (state for _, state in normal.items() if isinstance(state, pikepdf.Stream))


def annotations_of(page: pikepdf.Page) -> list[pikepdf.Dictionary]:
    """What lies on a page beside its content; what is no annotation is left out."""
    annotations = page.obj.get("/Annots")
    found = list(annotations) if isinstance(annotations, pikepdf.Array) else []
    return [each for each in found if isinstance(each, pikepdf.Dictionary)]
