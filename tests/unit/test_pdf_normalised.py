"""PDFs written anew: they show what they showed before, and nothing in them can make them show something else."""

import asyncio
from io import BytesIO

import pikepdf
import pypdfium2  # type: ignore[import-untyped]
import pytest
from PIL import Image, ImageChops

from infrastructure.pdf import PdfFacts, PdfLimits, UnusablePdf, inspect_pdf
from tests.hostile_pdfs import annotated, catalog, field, file, layered, page, stream, text
from tests.shared_data import shared, some

#: Of 255. The edges of a field are smoothed differently when it is drawn with the page.
SEEN = 64

FORM = b"/Type /XObject /Subtype /Form /BBox [0 0 150 30] /Resources << /Font << /F 5 0 R >> >>"
DRAWN = stream(b"1 0 0 rg 10 5 100 20 re f BT /F 12 Tf 0 g 12 10 Td (agreed) Tj ET", FORM)


def accept(data: bytes) -> PdfFacts:
    return asyncio.run(inspect_pdf(data, PdfLimits()))


def refusal(data: bytes) -> UnusablePdf:
    with pytest.raises(UnusablePdf) as caught:
        accept(data)
    return caught.value


def read(data: bytes) -> pikepdf.Pdf:
    return pikepdf.open(BytesIO(accept(data).normalised))


def pictures(data: bytes, most: int = 3) -> list[Image.Image]:
    """The first pages as PDFium shows them on a screen, forms too, a dot for four points each way."""
    document = pypdfium2.PdfDocument(data)
    document.init_forms()
    return [document[index].render().to_pil().convert("L").reduce(4) for index in range(min(len(document), most))]


def difference(one: bytes, other: bytes) -> int:
    """The most by which a dot of one differs from that of the other, of 255."""
    pairs = zip(pictures(one), pictures(other), strict=True)
    return max(max(ImageChops.difference(before, after).tobytes()) for before, after in pairs)


def test_the_same_bytes_give_the_same_bytes() -> None:
    data = annotated(b"<< /Subtype /Stamp /Rect [50 50 200 80] /F 4 /AP << /N 7 0 R >> >>", {7: DRAWN})
    assert accept(data).normalised == accept(data).normalised


def test_a_form_field_and_a_stamp_become_a_part_of_the_page() -> None:
    appearance = b"/AP << /N 7 0 R >>"
    for data in (
        field(b"/FT /Tx /V (agreed) " + appearance, more={7: DRAWN}),
        annotated(b"<< /Subtype /Stamp /Rect [50 50 200 80] /F 4 %s >>" % appearance, {7: DRAWN}),
        annotated(
            b"<< /Subtype /Stamp /Rect [50 50 200 80] /F 20 %s >>" % appearance,
            {3: page(b"/Rotate 90 /Annots [6 0 R]"), 7: DRAWN},
        ),
    ):
        normalised = accept(data).normalised
        assert "agreed" in pypdfium2.PdfDocument(normalised)[0].get_textpage().get_text_range()
        assert difference(data, normalised) < SEEN
        opened = read(data)
        assert "/AcroForm" not in opened.Root
        assert "/Annots" not in opened.pages[0].obj


def test_a_box_that_is_ticked_stays_so_and_one_that_is_not_stays_empty() -> None:
    states = b"/FT /Btn /V /%s /AS /%s /AP << /N << /Yes 7 0 R /Off 8 0 R >> >>"
    for state, shown in ((b"Yes", True), (b"Off", False)):
        data = field(states % (state, state), more={7: DRAWN, 8: stream(b"", FORM)})
        normalised = accept(data).normalised
        assert ("agreed" in pypdfium2.PdfDocument(normalised)[0].get_textpage().get_text_range()) == shown
        assert difference(data, normalised) < SEEN


def test_what_is_not_to_be_seen_on_a_screen_does_not_appear() -> None:
    for flags in (2, 32):  # hidden, no view
        data = annotated(b"<< /Subtype /Stamp /Rect [50 50 200 80] /F %d /AP << /N 7 0 R >> >>" % flags, {7: DRAWN})
        normalised = accept(data).normalised
        assert "agreed" not in pypdfium2.PdfDocument(normalised)[0].get_textpage().get_text_range()
        assert difference(data, normalised) < SEEN


def test_a_value_that_nothing_shows_names_its_page() -> None:
    refused = refusal(field(b"/FT /Tx /V (1 000 EUR)"))
    assert refused.code == "unclear-form"
    assert "page 1" in refused.sentence


def test_links_stay_and_can_only_go_somewhere() -> None:
    link = b"<< /Subtype /Link /Rect [9 9 99 99] /Border [0 0 0] /A << /S /URI /URI (https://example.com) /Next << /S /Named /N /Print >> >> >>"
    opened = read(annotated(link))
    (kept,) = opened.pages[0].Annots
    assert str(kept.A.URI) == "https://example.com"
    assert "/Next" not in kept.A
    opened = read(annotated(b"<< /Subtype /Link /Rect [9 9 99 99] /A << /S /Hide /T (f) >> >>"))
    (kept,) = opened.pages[0].Annots
    assert "/A" not in kept


def test_nothing_happens_when_the_document_is_opened_and_nobody_is_named() -> None:
    entries = b"/OpenAction << /S /Named /N /Print >> /AA << >> /PieceInfo << >> /Metadata 7 0 R /Lang (de)"
    data = file(
        {1: catalog(entries), 3: page(b"/AA << >> /Dur 3 /LastModified (D:2026)"), 7: stream(b"<x/>"), 8: b"<< /Author (Ana) >>"},
        trailer=b"/Info 8 0 R",
    )
    opened = read(data)
    assert set(opened.Root.keys()) == {"/Type", "/Pages", "/Lang"}
    assert set(opened.pages[0].obj.keys()) == {"/Type", "/Parent", "/MediaBox", "/Resources", "/Contents"}
    assert "/Info" not in opened.trailer
    assert b"Ana" not in accept(data).normalised


def test_no_layer_can_be_switched_any_more() -> None:
    opened = read(layered(b"/Order [9 0 R] /AS [<< /Event /Print >>]", b"/Usage << /Print << /PrintState /ON >> >>"))
    assert set(opened.Root.OCProperties.D.keys()) == set()
    assert "/Usage" not in opened.Root.OCProperties.OCGs[0]


def test_what_is_left_open_is_closed_and_what_was_never_opened_is_left_out() -> None:
    for content in (b"q BT q 2 0 0 2 0 0 cm", b"Q Q ET " + text(b"words") + b" Q q", text(b"words") + b" EMC q"):
        data = file({4: stream(content)})
        normalised = accept(data).normalised
        opened = pikepdf.open(BytesIO(normalised))
        operators = [str(each.operator) for each in pikepdf.parse_content_stream(opened.pages[0])]
        assert operators.count("q") == operators.count("Q")
        assert operators.count("BT") == operators.count("ET")
        assert "EMC" not in operators
        assert difference(data, normalised) == 0


def test_inherited_sizes_and_turns_are_the_pages_own() -> None:
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 300 500] /Rotate 90 >>"
    opened = read(file({2: pages, 3: page().replace(b"/MediaBox [0 0 400 600]", b"")}))
    assert list(opened.pages[0].obj.MediaBox) == [0, 0, 300, 500]
    assert opened.pages[0].obj.Rotate == 90


@pytest.mark.parametrize("folder", ["benign", "handmade", "malformed"])
def test_files_of_others_look_as_they_did(folder: str) -> None:
    async def look(data: bytes) -> bytes | None:
        try:
            return (await inspect_pdf(data, PdfLimits())).normalised
        except UnusablePdf:
            return None

    files = [path.read_bytes() for path in some(sorted((shared("pdf-corpus") / folder).rglob("*.pdf")), 5)]
    compared = 0
    for data in files:
        if (normalised := asyncio.run(look(data))) is not None:
            assert difference(data, normalised) < SEEN
            compared += 1
    assert compared
