"""Whether a PDF can be signed, and its normalised form."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import pikepdf
from pikepdf import settings

from infrastructure.pdf_child.active import refuse_active
from infrastructure.pdf_child.contents import Contents
from infrastructure.pdf_child.limits import FLATE_BYTES, MAX_OBJECTS, NESTING, Unusable
from infrastructure.pdf_child.normalising import normalise
from infrastructure.pdf_child.places import find_places
from infrastructure.pdf_child.program import Program
from infrastructure.pdf_child.second_reader import compare, compare_pictures
from infrastructure.pdf_child.sheets import Sheet, check_page

#: How the parser, and what is done here with what it found, takes exception to a file.
FAULTS_OF_THE_FILE = (
    pikepdf.PdfError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class _Checked:
    """A document that can be signed as far as qpdf sees it, and what its pages are."""

    document: pikepdf.Pdf
    sheets: list[Sheet]
    programs: list[Program]


def inspect(data: bytes, max_pages: int) -> tuple[list[Sheet], bytes]:
    """The pages and the normalised form; raises Unusable, or one of FAULTS_OF_THE_FILE."""
    with _checked(data, max_pages) as checked:
        # Whichever generation of an object is asked for, some readers take the latest.
        generations = any(getattr(each, "objgen", (0, 0))[1] for each in checked.document.objects)
        normalised, drawn_on = normalise(checked.document, checked.programs)
        put_right = generations or bool(checked.document.get_warnings())
    compare(data, normalised, checked.sheets, drawn_on)
    if put_right:
        compare_pictures(data, normalised, checked.sheets)
    return checked.sheets, normalised


def find(data: bytes, max_pages: int, wanted: list[str]) -> tuple[list[Sheet], list[tuple[int, ...]]]:
    """The pages, and where texts stand on them (`places.find_places`); raises as `inspect`."""
    with _checked(data, max_pages) as checked:
        return checked.sheets, find_places(data, checked.sheets, wanted)


@contextmanager
def _checked(data: bytes, max_pages: int) -> Iterator[_Checked]:
    settings.set_qpdf_limits(flate_max_memory=FLATE_BYTES, parser_max_nesting=NESTING)
    try:
        # Recovery would guess at what a broken file means, and another reader may guess differently.
        document = pikepdf.open(BytesIO(data), attempt_recovery=False, suppress_warnings=True)
    except pikepdf.PasswordError as err:
        raise Unusable("encrypted") from err
    with document:
        if document.is_encrypted:
            raise Unusable("encrypted")
        if len(document.objects) > MAX_OBJECTS:
            raise Unusable("too-complex")
        pages = len(document.pages)
        if pages < 1:
            raise Unusable("no-pages")
        if pages > max_pages:
            raise Unusable("too-many-pages", pages=pages, most=max_pages)
        refuse_active(document)
        sheets = [check_page(page, number) for number, page in enumerate(document.pages, 1)]
        contents = Contents(document)
        programs = [contents.read(page, number) for number, page in enumerate(document.pages, 1)]
        yield _Checked(document, sheets, programs)
