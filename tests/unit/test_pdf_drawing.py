"""Executed documents: what is drawn stands where it was placed as PDFium shows it, or is refused with a reason."""

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from time import process_time
from typing import Any, Final

import pikepdf
import pypdfium2  # type: ignore[import-untyped]
import pytest
from PIL import Image, ImageChops, ImageDraw

from domain.placement import Box
from infrastructure.pdf_child import Unusable
from infrastructure.pdf_child.intake import FAULTS_OF_THE_FILE, inspect
from infrastructure.pdf_drawing.blocks import (
    Block,
    Content,
    DrawingRefused,
    Fault,
    Foot,
    Initialled,
    Signed,
    Ticked,
    Written,
)
from infrastructure.pdf_drawing.drawn_image import read_drawn_image
from infrastructure.pdf_drawing.executing import execute
from infrastructure.pdf_drawing.image_refusal import MAX_BYTES, ImageFault, ImageRefused
from infrastructure.pdf_drawing.lettering import Face, fit, spelled_out, undrawable, width
from tests.shared_data import shared, some

FOOT: Final = Foot("0192b1c4-5d7e-7c3a-9f10-1234567890ab", "5f" * 32, datetime(2026, 11, 21, 7, 25, 3, tzinfo=UTC))

#: As they are displayed, in points; every page below shows this much.
ACROSS, DOWN = 400, 300


def document(content: bytes = b"", pages: int = 1, **page: Any) -> bytes:
    made = pikepdf.new()
    shared = made.make_indirect(
        pikepdf.Dictionary(
            Font=pikepdf.Dictionary(
                F=pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
            )
        )
    )
    for _ in range(pages):
        added = made.add_blank_page(page_size=(ACROSS, DOWN))
        added.obj["/Resources"] = shared
        if content:
            added.obj["/Contents"] = made.make_stream(content)
        for key, value in page.items():
            added.obj[f"/{key}"] = value
    out = BytesIO()
    made.save(out)
    return out.getvalue()


def block(content: Content, x: float = 50, y: float = 40, across: float = 200, down: float = 30, page: int = 1) -> Block:
    return Block(page, Box(*(round(length * 1000) for length in (x, y, across, down))), content)


def shown(data: bytes, page: int = 1) -> Image.Image:
    """A page as PDFium displays it, two dots a point, grey."""
    picture: Image.Image = pypdfium2.PdfDocument(data)[page - 1].render(scale=2, grayscale=True).to_pil().convert("L")
    return picture


def texts(data: bytes, page: int = 1) -> str:
    found: str = pypdfium2.PdfDocument(data)[page - 1].get_textpage().get_text_range()
    return found


def ink(picture: Image.Image) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of all that is dark, in points."""
    found = picture.point(lambda shade: 255 if shade < 200 else 0).getbbox()
    assert found, "nothing is drawn"
    left, top, right, bottom = (dot / 2 for dot in found)
    return left, top, right, bottom


def differ(one: Image.Image, other: Image.Image) -> bool:
    """Whether a person would see it: letters may be smoothed in another way on a page that is turned."""
    assert one.size == other.size
    counts = ImageChops.difference(one, other).histogram()
    return sum(counts[128:]) > one.width * one.height / 1000


def drawing(kind: str = "PNG", size: tuple[int, int] = (300, 100)) -> bytes:
    picture = Image.new("RGBA" if kind == "PNG" else "RGB", size, (255, 255, 255, 0) if kind == "PNG" else "white")
    ImageDraw.Draw(picture).line([(0, 0), (size[0] - 1, size[1] - 1)], fill="black", width=8)
    out = BytesIO()
    picture.save(out, kind)
    return out.getvalue()


BLOCKS: Final = (
    block(Signed("Zoë Łukasiewicz", caption="Signed 2026-11-21 07:25:03 UTC")),
    block(Initialled("ΑΩ"), x=300, y=40, across=60, down=28),
    block(Written("Екатерина Иванова"), y=100, across=160, down=18),
    block(Ticked(ticked=True), y=130, across=14, down=14),
    block(Signed("Ana", drawing()), x=150, y=180),
)

#: Each shows 400 by 300 points of a page, turned and cut in its own way.
GEOMETRIES: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "a quarter turn": {"MediaBox": [0, 0, DOWN, ACROSS], "Rotate": 90},
    "a half turn": {"Rotate": 180},
    "three quarters": {"MediaBox": [0, 0, DOWN, ACROSS], "Rotate": 270},
    "a quarter back": {"MediaBox": [0, 0, DOWN, ACROSS], "Rotate": -90},
    "cut": {"MediaBox": [-50, -60, 700, 800], "CropBox": [-20, 30, -20 + ACROSS, 30 + DOWN]},
    "cut and turned": {"MediaBox": [0, 0, 700, 800], "CropBox": [70, 90, 70 + DOWN, 90 + ACROSS], "Rotate": 90},
    "cut and turned back": {"MediaBox": [10, 0, 700, 800], "CropBox": [70 + DOWN, 90 + ACROSS, 70, 90], "Rotate": 270},
    "cut by its media box": {"MediaBox": [0, 0, ACROSS, DOWN], "CropBox": [-99, -99, 999, 999]},
}


@pytest.fixture(scope="module")
def plain() -> Image.Image:
    return shown(execute(document(), BLOCKS, FOOT))


@pytest.mark.parametrize("page", GEOMETRIES.values(), ids=GEOMETRIES)
def test_a_page_looks_the_same_however_it_is_turned_and_cut(page: dict[str, Any], plain: Image.Image) -> None:
    assert not differ(shown(execute(document(**page), BLOCKS, FOOT)), plain)


@pytest.mark.parametrize("drawn", BLOCKS, ids=lambda drawn: type(drawn.content).__name__)
def test_what_is_drawn_stands_in_its_box(drawn: Block) -> None:
    left, top, right, bottom = ink(shown(execute(document(), [drawn])))
    box = drawn.box
    assert box.x_millipoints / 1000 - 0.5 <= left < right <= (box.x_millipoints + box.width_millipoints) / 1000 + 0.5
    assert box.y_millipoints / 1000 - 0.5 <= top < bottom <= (box.y_millipoints + box.height_millipoints) / 1000 + 0.5
    assert bottom - top > 0.3 * box.height_millipoints / 1000


def test_what_is_drawn_can_be_read_and_searched() -> None:
    found = texts(execute(document(), BLOCKS, FOOT))
    for words in ("/s/ Zoë Łukasiewicz", "Signed 2026-11-21 07:25:03 UTC", "ΑΩ", "Екатерина Иванова", FOOT.process, FOOT.head):
        assert words in found
    assert "/s/ Ana" not in found  # she drew it


def where(data: bytes, words: str, page: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of words as PDFium shows them, in points of the displayed page."""
    shown = pypdfium2.PdfDocument(data)[page - 1]
    across, down = (round(length * 100) for length in shown.get_size())
    to_dots = pypdfium2.PdfPosConv(shown, (0, 0, across, down, 0))
    text = shown.get_textpage()
    found = text.search(words, match_case=True).get_next()
    assert found, "the words cannot be found"
    dots = []
    for number in range(found[0], sum(found)):
        left, bottom, right, top = text.get_charbox(number)
        dots += [to_dots.to_bitmap(left, bottom), to_dots.to_bitmap(right, top)]
    x, y = ([dot[axis] / 100 for dot in dots] for axis in (0, 1))
    return min(x), min(y), max(x), max(y)


def stands_in(box: Box, found: tuple[float, float, float, float]) -> bool:
    left, top = box.x_millipoints / 1000, box.y_millipoints / 1000
    right, bottom = left + box.width_millipoints / 1000, top + box.height_millipoints / 1000
    return left <= found[0] < found[2] <= right and top <= found[1] < found[3] <= bottom


#: What a careless or a sly page leaves behind for what follows: scaled, clipped, in a text, in marked content.
LEFT_BEHIND: Final = {
    "saved twice and never restored": b"q q 0.5 0 0 0.5 90 90 cm",
    "restored and never saved": b"Q Q Q 0.5 0 0 0.5 90 90 cm",
    "scaled before it is restored and never saved": b"0.5 0 0 0.5 90 90 cm Q q Q Q 2 0 0 2 0 0 cm",
    "a text that does not end": b"q 3 0 0 3 0 0 cm BT /F 9 Tf 3 Tr",
    "a text that ends twice": b"BT ET ET Q EMC 0 0 0 0 50 50 cm",
    "a clipping path that is not used": b"0 0 9 9 re W",
    "marked content that does not end": b"/Hidden BMC /Span <</ActualText (x)>> BDC q",
    "a string that does not end": b"q (abc",
    "a number in hexadecimal that does not end": b"<61 62",
    "a dictionary that does not end": b"/Span << /ActualText [ 1",
    "a comment at its end": b"q % not yet",
    "an image that does not end": b"q 9 0 0 9 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \xff",
    "an image": b"Q q 9 0 0 9 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \xff EI",
}


@pytest.mark.parametrize("content", [b"", *LEFT_BEHIND.values()], ids=["nothing", *LEFT_BEHIND])
def test_the_letters_of_a_signature_stand_in_its_box(content: bytes) -> None:
    """On each page however it is turned, cut and left behind."""
    for page in GEOMETRIES.values():
        signed = block(Signed("Ada", caption="Signed today"), x=270, y=180, across=120, down=30)
        executed = execute(document(content, **page), [signed], FOOT)
        assert stands_in(signed.box, where(executed, "/s/ Ada", 1))
        assert stands_in(signed.box, where(executed, "Signed today", 1))


@pytest.mark.parametrize("folder", ["benign", "handmade"])
def test_what_intake_accepts_can_be_executed_and_has_the_signature_in_its_box(folder: str) -> None:
    tried = 0
    for path in some(sorted((shared("pdf-corpus") / folder).rglob("*.pdf")), 4):
        try:
            sheets, normalised = inspect(path.read_bytes(), 500)
        except (Unusable, *FAULTS_OF_THE_FILE):
            continue
        width, height = sheets[-1].size
        across, down = min(width // 2, 200_000), min(height // 3, 30_000)
        signed = Block(len(sheets), Box(width - across, height // 2, across, down), Signed("Ada"))
        executed = execute(normalised, [signed], FOOT)
        assert stands_in(signed.box, where(executed, "/s/ Ada", len(sheets))), path.name
        tried += 1
    assert tried >= 3


@pytest.mark.parametrize("content", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_what_a_page_leaves_behind_moves_nothing(content: bytes, plain: Image.Image) -> None:
    executed = execute(document(content), BLOCKS, FOOT)
    assert not differ(shown(executed), plain)
    with pikepdf.open(BytesIO(executed)) as opened:
        operators = [str(each.operator) for each in pikepdf.parse_content_stream(opened.pages[0])]
    for opening, closing in (({"q"}, "Q"), ({"BT"}, "ET"), ({"BMC", "BDC"}, "EMC")):
        assert sum(operator in opening for operator in operators) == operators.count(closing)
    assert "W" not in operators or operators[operators.index("W") + 1] == "n"


@pytest.mark.parametrize(
    "content", [b"0.5 0 0 0.5 90 20 cm Q 0 0 80 80 re f", b"q 1 0 0 1 9 9 cm q 0 0 80 80 re f BT /F 20 Tf (x) Tj"]
)
def test_the_page_itself_looks_as_before(content: bytes) -> None:
    signed = [block(Written("here"), x=300, y=10, across=60, down=20)]
    before, after = shown(document(content)), shown(execute(document(content), signed))
    after.paste(255, (600, 20, 720, 60))
    assert not ImageChops.difference(before, after).getbbox()


def test_pages_that_share_what_they_use_each_get_their_own() -> None:
    executed = execute(
        document(b"BT /F 9 Tf 9 9 Td (x) Tj ET", pages=3), [block(Written("first")), block(Written("third"), page=3)]
    )
    assert ["first" in texts(executed, page) for page in (1, 2, 3)] == [True, False, False]
    assert "third" in texts(executed, 3)


def test_a_document_that_was_executed_can_be_executed_again() -> None:
    twice = execute(execute(document(), [block(Written("once"))]), [block(Written("again"), y=100)])
    assert "once" in texts(twice)
    assert "again" in texts(twice)


def test_the_same_gives_the_same_bytes() -> None:
    data = document(pages=2)
    assert execute(data, BLOCKS, FOOT) == execute(data, BLOCKS, FOOT)


def test_the_foot_gives_way_to_blocks() -> None:
    low, high = (block(Written("x"), x=20, y=y, across=300, down=14) for y in (DOWN - 14, 0))
    for blocks, edge in (([], DOWN - 12), ([low], 4), ([low, high], DOWN - 12)):
        picture = shown(execute(document(), blocks, FOOT)).crop((660, 0, 800, 2 * DOWN))
        found = picture.point(lambda shade: 255 if shade < 200 else 0).getbbox()
        assert found
        assert edge <= found[1] / 2 <= edge + 8


def test_the_foot_of_a_test_says_so_on_each_page_however_narrow() -> None:
    test = replace(FOOT, test=True)
    for across, said in ((ACROSS, f"Test, without effect Process {FOOT.process}"), (36, "Test, without effect")):
        executed = execute(document(pages=2, MediaBox=[0, 0, across, 300]), [], test)
        assert all(said in " ".join(texts(executed, page).split()) for page in (1, 2))
    assert "Test" not in texts(execute(document(), [], FOOT))


def test_boxes_that_overlap_are_drawn_in_their_order() -> None:
    one, other = block(Written("under")), block(Signed("Ada", drawing()))
    assert "under" in texts(execute(document(), [one, other]))
    assert execute(document(), [one, other]) != execute(document(), [other, one])


def refusal(*blocks: Block, data: bytes | None = None) -> tuple[Fault, int | None]:
    with pytest.raises(DrawingRefused) as caught:
        execute(document() if data is None else data, blocks, FOOT)
    assert caught.value.sentence.endswith(".")
    return caught.value.code, caught.value.block


GOOD: Final = block(Written("x"), x=0, y=0, across=50, down=40)


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (block(Written("x"), page=2), Fault.NO_SUCH_PAGE),
        (block(Written("x"), page=0), Fault.NO_SUCH_PAGE),
        (block(Written("x"), x=300, across=100.001), Fault.OUTSIDE),
        (block(Written("x"), y=-0.001), Fault.OUTSIDE),
        (block(Written("x"), across=0), Fault.OUTSIDE),
        (block(Written("A text that is far too long for its box. " * 20)), Fault.NO_ROOM),
        (block(Written("x"), down=4), Fault.NO_ROOM),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_said(bad: Block, fault: Fault) -> None:
    assert refusal(GOOD, bad) == (fault, 1)


@pytest.mark.parametrize(
    "data",
    [b"", b"%PDF-1.7\n", document(MediaBox=[0, 0, 0, 0]), document(UserUnit=2)],
    ids=["nothing", "a header", "a page of no size", "another unit"],
)
def test_a_file_that_cannot_be_drawn_on_is_refused(data: bytes) -> None:
    assert refusal(data=data) == (Fault.UNREADABLE, None)


def test_a_text_shrinks_until_it_fits_and_breaks_words_only_at_last() -> None:
    assert fit("short", Face.PLAIN, 100, 20, 10, 5) is not None
    shrunk = fit("somebody@example.org", Face.PLAIN, 90, 12, 10, 5)
    assert shrunk
    assert shrunk.lines == ("somebody@example.org",)
    assert 5 <= shrunk.size < 10
    broken = fit("somebody@" + "long." * 9 + "example.org", Face.PLAIN, 90, 40, 10, 5)
    assert broken
    assert len(broken.lines) > 1
    assert all(width(line, Face.PLAIN, broken.size) <= 90 for line in broken.lines)
    assert fit("two lines\nas they were given", Face.PLAIN, 400, 40, 10, 5).lines == ("two lines", "as they were given")  # type: ignore[union-attr]


def test_accents_count_with_their_letter() -> None:
    assert undrawable("Nguyễn e\u0301 Ærø Ŵ ¿Qué? 5 € – Γειά Ђ Հայ") == ()
    assert undrawable("ก a ก\u200d") == ("ก", "\u200d")


def test_nobody_can_be_called_what_another_is_written_as() -> None:
    assert spelled_out("Ko กข  Yu") == "Ko ⟨U+0E01 U+0E02⟩ Yu"
    assert spelled_out("⟨U+674E⟩") == "⟨U+27E8⟩U+674E⟨U+27E9⟩"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_drawn_signature_is_read(kind: str) -> None:
    found = read_drawn_image(drawing(kind))
    assert (found.width, found.height, len(found.rgba)) == (300, 100, 300 * 100 * 4)


def test_a_picture_of_65536_shades_keeps_them() -> None:
    shades = Image.frombytes("I;16", (3, 1), b"\x00\x00\x00\x80\xff\xff")
    out = BytesIO()
    shades.save(out, "PNG")
    assert read_drawn_image(out.getvalue()).rgba == b"\0\0\0\xff\x7f\x7f\x7f\xff\xff\xff\xff\xff"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", ImageFault.NOT_AN_IMAGE),
        (b"GIF89a" + bytes(20), ImageFault.NOT_AN_IMAGE),
        (drawing()[:-40], ImageFault.NOT_AN_IMAGE),
        (drawing("JPEG")[:300], ImageFault.NOT_AN_IMAGE),
        (drawing().replace(b"IDAT", b"IDAt"), ImageFault.NOT_AN_IMAGE),
        (bytes(MAX_BYTES + 1), ImageFault.TOO_LARGE),
        (drawing(size=(2001, 2000)), ImageFault.TOO_LARGE),
    ],
)
def test_what_is_no_image_of_a_signature_is_refused(data: bytes, fault: ImageFault) -> None:
    with pytest.raises(ImageRefused) as caught:
        read_drawn_image(data)
    assert caught.value.code is fault


def test_an_image_that_shows_nothing_is_refused() -> None:
    for colour in ((0, 0, 0, 0), (250, 250, 250, 255), (0, 0, 0, 255)):
        out = BytesIO()
        Image.new("RGBA", (30, 10), colour).save(out, "PNG")
        with pytest.raises(ImageRefused, match="shows nothing"):
            read_drawn_image(out.getvalue())


def test_a_drawn_signature_keeps_its_proportions() -> None:
    tall = drawing(size=(50, 200))
    left, top, right, bottom = ink(shown(execute(document(), [block(Initialled("", tall), across=60, down=40)])))
    assert 0.2 <= (right - left) / (bottom - top) <= 0.3


def test_a_large_image_on_many_pages_costs_little() -> None:
    """Initials stand on every page; a picture of four megapixels is unpacked once, and kept as fine as print shows it."""
    large = drawing(size=(2000, 2000))
    began = process_time()
    executed = execute(document(pages=60), [block(Initialled("A", large), page=page) for page in range(1, 61)])
    assert process_time() - began < 5
    assert len(executed) < 100_000
    found = ink(shown(executed, 60))
    assert 27 <= found[3] - found[1] <= 31
