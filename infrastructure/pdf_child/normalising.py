"""Writes a PDF anew: the same pages to look at, and nothing that could make them look otherwise later.

Each page's content leaves nothing open. Form fields and annotations become part of the page, by the appearance that they have.
Links stay. The same bytes give the same bytes.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

import pikepdf

from infrastructure.pdf_child.annotations import appearances, is_seen
from infrastructure.pdf_child.contents import annotations_of
from infrastructure.pdf_child.layers import settle_layers
from infrastructure.pdf_child.program import Program, written_anew

#: What is kept of the document and of a page; the rest is for editing, or does something when it is opened or printed
#: (ISO 32000-1 tables 28 and 30).
_DOCUMENT: Final = frozenset((
    "/Type", "/Pages", "/PageLabels", "/Names", "/Dests", "/Outlines", "/PageLayout", "/PageMode", "/ViewerPreferences",
    "/StructTreeRoot", "/MarkInfo", "/Lang", "/OutputIntents", "/OCProperties",
))  # fmt: skip
_STRUCTURE: Final = frozenset(("/StructTreeRoot", "/MarkInfo"))
_PAGE: Final = frozenset((
    "/Type", "/Parent", "/MediaBox", "/CropBox", "/BleedBox", "/TrimBox", "/ArtBox", "/Rotate", "/UserUnit",
    "/Resources", "/Contents", "/Group", "/OutputIntents", "/Annots", "/StructParents", "/Tabs",
))  # fmt: skip
_LINK: Final = frozenset((
    "/Type", "/Subtype", "/Rect", "/QuadPoints", "/Border", "/BS", "/C", "/H", "/F", "/Contents", "/StructParent", "/Dest", "/A",
))  # fmt: skip

#: What a link may do: go somewhere in the document, in another one, or on the web.
_GOING: Final = frozenset(("/GoTo", "/GoToR", "/URI", "/Named"))


def normalise(document: pikepdf.Pdf, programs: Sequence[Program]) -> tuple[bytes, frozenset[int]]:
    """The document written anew, and the numbers (from 1) of the pages that annotations became a part of.

    `programs` are those of the pages. The document is of no use afterwards. Raises Unusable for what different readers
    would show differently.
    """
    drawn = set()
    form = document.Root.get("/AcroForm")
    settle_layers(document)
    for number, (page, program) in enumerate(zip(document.pages, programs, strict=True), 1):
        _balance(document, page, program)
        kept = [each for each in annotations_of(page) if is_seen(each, form, number)]
        if any(appearances(each) is not None for each in kept):
            drawn.add(number)
        page.obj["/Annots"] = pikepdf.Array(kept)
    if isinstance(form, pikepdf.Dictionary):
        form.NeedAppearances = False  # else qpdf would leave the fields as they are
    document.flatten_annotations("screen")
    for page in document.pages:
        _keep_links(page)
        _keep(page.obj, _PAGE)
    # The structure refers to fields, which have gone.
    _keep(document.Root, _DOCUMENT if "/AcroForm" not in document.Root and not drawn else _DOCUMENT - _STRUCTURE)
    if "/Names" in document.Root:
        _keep(document.Root.Names, frozenset(("/Dests",)))
    if "/Info" in document.trailer:
        del document.trailer["/Info"]
    out = BytesIO()
    document.save(out, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate, fix_metadata_version=False)
    return out.getvalue(), frozenset(drawn)


def _keep(whole: Any, names: frozenset[str]) -> None:
    for name in set(whole.keys()) - names:
        del whole[name]


def _balance(document: pikepdf.Pdf, page: pikepdf.Page, program: Program) -> None:
    if not program.whole:
        page.obj.Contents = document.make_stream(written_anew(page))
    if program.closing:
        page.contents_add(document.make_stream(f"\n{program.closing}".encode()), prepend=False)


def _keep_links(page: pikepdf.Page) -> None:
    links = annotations_of(page)
    for link in links:
        _keep(link, _LINK)
        action = link.get("/A")
        if action is not None and (not isinstance(action, pikepdf.Dictionary) or action.get("/S") not in _GOING):
            del link["/A"]
        elif action is not None and "/Next" in action:
            del action["/Next"]
    if links:
        page.obj["/Annots"] = pikepdf.Array(links)
    elif "/Annots" in page.obj:
        del page.obj["/Annots"]
