"""Where texts stand in a PDF: held against what PDFium draws, on pages turned and cut in every way."""

import asyncio
import json
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf
import pypdfium2  # type: ignore[import-untyped]
import pytest

from domain.placement import Box, PageSize
from infrastructure import pdf
from infrastructure.pdf import MAX_WANTED, MAX_WANTED_LENGTH, PdfLimits, TextPlace, TextPlaces, UnusablePdf, find_text
from infrastructure.pdf_child import limits
from tests.shared_data import shared, some


def document(*drawn: str, font: pikepdf.Dictionary | None = None, **page: Any) -> bytes:
    """A PDF with a page for each piece of a content stream; the font is /F, a page 400 x 600 points."""
    made = pikepdf.new()
    name = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    for content in drawn:
        added = made.add_blank_page(page_size=(400, 600))
        added.obj["/Resources"] = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=made.make_indirect(font or name)))
        added.obj["/Contents"] = pikepdf.Stream(made, content.encode("latin-1"))
        for key, value in page.items():
            added.obj[f"/{key}"] = value
    out = BytesIO()
    made.save(out)
    return out.getvalue()


def text(words: str, x: float = 100, y: float = 500, size: float = 20) -> str:
    return f"BT /F {size} Tf {x} {y} Td ({words}) Tj ET\n"


def look(data: bytes, *wanted: str, limits: PdfLimits | None = None) -> TextPlaces:
    return asyncio.run(find_text(data, wanted, limits or PdfLimits()))


def found(data: bytes, wanted: str) -> list[TextPlace]:
    return list(look(data, wanted).places[wanted])


def refusal(data: bytes, wanted: Sequence[str] = ("sign",), limits: PdfLimits | None = None) -> str:
    with pytest.raises(UnusablePdf) as caught:
        asyncio.run(find_text(data, wanted, limits or PdfLimits()))
    return caught.value.code


def ink(data: bytes, page: int = 1) -> Box:
    """The box around all that is dark on a page as PDFium shows it."""
    dots = 4  # of a point, so a dot is a quarter of one
    bitmap = pypdfium2.PdfDocument(data)[page - 1].render(scale=dots, grayscale=True)
    raw = bytes(bitmap.buffer)
    rows = [raw[start : start + bitmap.width] for start in range(0, bitmap.stride * bitmap.height, bitmap.stride)]
    down = [number for number, row in enumerate(rows) if min(row) < 128]
    across = [number for number in range(bitmap.width) if any(rows[at][number] < 128 for at in down)]
    step = 1000 // dots
    return Box(across[0] * step, down[0] * step, (across[-1] + 1 - across[0]) * step, (down[-1] + 1 - down[0]) * step)


def holds(outer: Box, inner: Box, slack: int = 1_000) -> bool:
    """Whether `inner` lies within `outer`, give or take the edge of a letter (a point)."""
    return (
        outer.x_millipoints - slack <= inner.x_millipoints
        and outer.y_millipoints - slack <= inner.y_millipoints
        and inner.x_millipoints + inner.width_millipoints <= outer.x_millipoints + outer.width_millipoints + slack
        and inner.y_millipoints + inner.height_millipoints <= outer.y_millipoints + outer.height_millipoints + slack
    )


def test_a_text_is_found_with_the_box_of_its_font() -> None:
    """Helvetica's widths: S 667, i 222, g 556, n 556 thousandths of the size; the page is 600 points high."""
    (place,) = found(document(text("Sign")), "Sign")
    assert place.page == 1
    assert place.box.x_millipoints == 100_000
    assert abs(place.box.width_millipoints - 20 * (667 + 222 + 556 + 556)) < 50
    assert place.box.y_millipoints < 600_000 - 500_000 < place.box.y_millipoints + place.box.height_millipoints
    assert 18_000 < place.box.height_millipoints < 26_000


@pytest.mark.parametrize("rotation", [0, 90, 180, 270, -90, 450])
@pytest.mark.parametrize(
    "boxes",
    [
        {},
        {"CropBox": pikepdf.Array([50, 60, 350, 550])},
        {"MediaBox": pikepdf.Array([-30, -20, 370, 580])},
        {"MediaBox": pikepdf.Array([400, 600, 0, 0]), "CropBox": pikepdf.Array([90, 400, 900, 520.5])},
    ],
    ids=["plain", "cropped", "moved", "crop box larger than the page"],
)
def test_a_place_is_where_a_reader_shows_the_text(rotation: int, boxes: dict[str, Any]) -> None:
    data = document(text("Signature", 120, 470, 24), Rotate=rotation, **boxes)
    (place,) = found(data, "Signature")
    drawn = ink(data)
    assert holds(place.box, drawn)
    # The font's box is wider than the ink by side bearings, and higher by what g and S leave of ascent and descent.
    along, beside = sorted((place.box.width_millipoints, place.box.height_millipoints), reverse=True)
    long, thick = sorted((drawn.width_millipoints, drawn.height_millipoints), reverse=True)
    assert along - long < 6_000
    assert beside - thick < 10_000


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_page_has_the_size_at_which_it_is_displayed(rotation: int) -> None:
    data = document(text("x"), Rotate=rotation, CropBox=pikepdf.Array([50.5, 60, 350, 800]))
    shown = pypdfium2.PdfDocument(data)[0].get_size()
    size = PageSize(540_000, 299_500) if rotation % 180 else PageSize(299_500, 540_000)
    assert look(data).pages == (size,)
    assert shown == (size.width_millipoints / 1000, size.height_millipoints / 1000)


def test_every_place_of_a_text_is_found_on_every_page_in_reading_order() -> None:
    pages = text("sign sign", 50, 500) + text("sign", 50, 300), text("nothing"), text("design", 50, 500)
    places = found(document(*pages), "sign")
    assert [place.page for place in places] == [1, 1, 1, 3]
    first, second, third, inside = (place.box for place in places)
    assert first.y_millipoints == second.y_millipoints < third.y_millipoints
    assert first.x_millipoints + first.width_millipoints < second.x_millipoints
    assert inside.x_millipoints > 50_000, "the box begins where the text does, not the word around it"


def test_places_of_a_text_do_not_overlap() -> None:
    assert len(found(document(text("aaaaa")), "aa")) == 2


def test_several_texts_are_looked_for_at_once_and_absent_ones_have_no_place() -> None:
    places = look(document(text("buyer"), text("seller")), "buyer", "seller", "witness", "Buyer", "").places
    assert {wanted: [place.page for place in found] for wanted, found in places.items()} == {
        "buyer": [1],
        "seller": [2],
        "witness": [],
        "Buyer": [],
        "": [],
    }


@pytest.mark.parametrize(
    "drawn",
    [
        text("sign here"),
        text("sign   here"),
        text("sign\\240here"),
        "BT /F 20 Tf 100 500 Td [(sign) -600 (here)] TJ ET",
        "BT /F 20 Tf 100 500 Td (si) Tj (gn he) Tj (re) Tj ET",
        text("here", 145) + text("sign"),
        "BT /F 20 Tf 3 Tr 100 500 Td (sign here) Tj ET",
        "1 g " + text("sign here"),
        "BT /F 1 Tf 20 0 0 20 100 500 Tm (sign here) Tj ET",
    ],
    ids=[
        "plain", "wide", "no-break space", "a gap", "in pieces", "drawn out of order", "invisible", "white on white", "scaled",
    ],
)  # fmt: skip
def test_however_a_line_is_drawn_its_text_is_found(drawn: str) -> None:
    winansi = pikepdf.Dictionary(
        Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica, Encoding=pikepdf.Name.WinAnsiEncoding
    )
    (place,) = found(document(drawn, font=winansi), " sign  here ")
    assert abs(place.box.x_millipoints - 100_000) < 500
    assert 70_000 < place.box.width_millipoints < 110_000


def test_letters_beyond_ascii_are_found() -> None:
    winansi = pikepdf.Dictionary(
        Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica, Encoding=pikepdf.Name.WinAnsiEncoding
    )
    data = document(text("Firma del due\xf1o"), font=winansi)
    assert len(found(data, "due\xf1o")) == 1
    assert len(found(data, "duen\u0303o")) == 1, "the same letter, spelled as two"
    assert found(data, "dueno") == []


def test_a_text_over_two_lines_is_not_one() -> None:
    data = document(text("sign", y=500) + text("here", y=470))
    assert found(data, "sign here") == []
    assert len(found(data, "here")) == 1


def test_a_text_that_runs_upwards_has_an_upright_box() -> None:
    data = document("BT /F 20 Tf 0 1 -1 0 100 300 Tm (Signature) Tj ET")
    (place,) = found(data, "Signature")
    assert place.box.height_millipoints > 2 * place.box.width_millipoints
    assert holds(place.box, ink(data))


def test_what_is_not_displayed_is_left_out_and_what_is_half_displayed_is_cut() -> None:
    crop = pikepdf.Array([0, 0, 130, 600])
    data = document(text("sign", 100, 500) + text("sign", 300, 400) + text("sign", -100, 300), CropBox=crop)
    (place,) = found(data, "sign")
    assert (place.box.x_millipoints, place.box.width_millipoints) == (100_000, 30_000)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"PK\x03\x04", "not-a-pdf"),
        (b"%PDF-1.7", "damaged"),
        (document(text("x"))[:-200], "damaged"),
        (document(text("x"), Rotate=45), "bad-page"),
        (document(text("x"), UserUnit=2), "bad-page"),
    ],
)
def test_what_cannot_be_signed_is_refused_as_on_upload(data: bytes, code: str) -> None:
    assert refusal(data) == code


def test_the_limits_of_an_upload_hold() -> None:
    data = document(text("x"), text("y"))
    assert refusal(data, limits=PdfLimits(bytes=len(data) - 1)) == "too-large"
    assert refusal(data, limits=PdfLimits(pages=1)) == "too-many-pages"


def test_so_many_texts_are_looked_for_and_not_one_more() -> None:
    data = document(text("x"))
    wanted = [str(number).rjust(MAX_WANTED_LENGTH, "x") for number in range(MAX_WANTED)]
    assert set(asyncio.run(find_text(data, wanted, PdfLimits())).places) == set(wanted)
    for too_much in ([*wanted, "more"], ["x" * (MAX_WANTED_LENGTH + 1)]):
        with pytest.raises(ValueError, match="at once"):
            asyncio.run(find_text(data, too_much, PdfLimits()))


def test_a_text_asked_for_twice_is_found_once() -> None:
    assert len(look(document(text("sign")), "sign", "sign").places["sign"]) == 1


def test_a_text_that_stands_everywhere_is_refused() -> None:
    line = "a" * 80
    page = "".join(text(line, 5, 5 + number * 5, 4) for number in range(115))
    data = document(page, page)
    assert len(found(data, "aa")) == 2 * 115 * 40
    assert refusal(data, ["a"]) == "too-many-places"


def deep_form() -> bytes:
    """A page that draws a form that draws a form ten times over, nine times deep: a billion words."""
    made = pikepdf.new()
    font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    inner = pikepdf.Stream(made, b"BT /F 9 Tf 10 10 Td (sign) Tj ET " * 10)
    inner.stream_dict = pikepdf.Dictionary(
        Type=pikepdf.Name.XObject,
        Subtype=pikepdf.Name.Form,
        BBox=pikepdf.Array([0, 0, 400, 600]),
        Resources=pikepdf.Dictionary(Font=pikepdf.Dictionary(F=font)),
    )
    for _ in range(8):
        outer = pikepdf.Stream(made, b"/X Do " * 10)
        outer.stream_dict = pikepdf.Dictionary(
            Type=pikepdf.Name.XObject,
            Subtype=pikepdf.Name.Form,
            BBox=pikepdf.Array([0, 0, 400, 600]),
            Resources=pikepdf.Dictionary(XObject=pikepdf.Dictionary(X=made.make_indirect(inner))),
        )
        inner = outer
    page = made.add_blank_page(page_size=(400, 600))
    page.obj["/Resources"] = pikepdf.Dictionary(XObject=pikepdf.Dictionary(X=made.make_indirect(inner)))
    page.obj["/Contents"] = pikepdf.Stream(made, b"/X Do")
    out = BytesIO()
    made.save(out)
    return out.getvalue()


def test_a_page_that_would_take_for_ever_ends_in_time() -> None:
    began = time.monotonic()
    assert refusal(deep_form()) in {"took-too-long", "unreadable", "too-complex", "damaged"}
    assert time.monotonic() - began < 25


def with_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str) -> None:
    path = tmp_path / "child.py"
    path.write_text(f"print({answer!r})")
    monkeypatch.setattr(pdf, "_CHILD", path)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"sizes": []},
        {"sizes": [], "places": []},
        {"sizes": [[1, 1]] * 501, "places": []},
        {"sizes": [[1, 14_400_001]], "places": []},
        {"sizes": [[100]], "places": []},
        {"sizes": [[100, 100.0]], "places": []},
        {"sizes": [[100, True]], "places": []},
        {"sizes": 7, "places": []},
        {"sizes": [[9, 9]], "places": [[0, 2, 0, 0, 1, 1]]},
        {"sizes": [[9, 9]], "places": [[0, 0, 0, 0, 1, 1]]},
        {"sizes": [[9, 9]], "places": [[0, -1, 0, 0, 1, 1]]},
        {"sizes": [[9, 9]], "places": [[1, 1, 0, 0, 1, 1]]},
        {"sizes": [[9, 9]], "places": [[-1, 1, 0, 0, 1, 1]]},
        {"sizes": [[9, 9]], "places": [[0, 1, 0, 0, 10, 1]]},
        {"sizes": [[9, 9]], "places": [[0, 1, 0, 0, 1]]},
        {"sizes": [[9, 9]], "places": [["0", 1, 0, 0, 1, 1]]},
        {"sizes": [[9, 9]], "places": None},
    ],
)
def test_an_answer_that_is_not_the_child_s_own_is_refused(
    answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_answer(monkeypatch, tmp_path, json.dumps(answer))
    assert refusal(b"%PDF-") == "unreadable"


@pytest.mark.parametrize("answer", ["[" * 900_000, "9" * 900_000, '{"sizes": [' + "[9, 9], " * 200_000])
def test_an_answer_that_only_costs_is_refused(answer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_answer(monkeypatch, tmp_path, answer)
    assert refusal(b"%PDF-") == "unreadable"


def test_the_largest_answer_of_the_child_is_read() -> None:
    """The bound on what is read leaves room for all pages and places, with the longest numbers."""
    place = [MAX_WANTED, 500, *[14_400_000] * 4]
    answer = {"sizes": [[14_400_000, 14_400_000]] * 500, "places": [place] * limits.MAX_PLACES}
    assert len(json.dumps(answer)) < pdf._MAX_LINE_BYTES


@pytest.mark.parametrize("folder", ["benign", "handmade", "malformed"])
def test_files_made_by_others_are_searched_or_refused(folder: str) -> None:
    """Nothing hangs, and what is found lies on its page."""
    files = [path.read_bytes() for path in some(sorted((shared("pdf-corpus") / folder).rglob("*.pdf")), 5)]
    assert files

    async def search(data: bytes) -> str:
        try:
            places = await find_text(data, ["a", "the", "PDF"], PdfLimits())
        except UnusablePdf as err:
            return err.code
        assert all(place.box.on(places.pages[place.page - 1]) for found in places.places.values() for place in found)
        return "ok"

    async def search_all() -> list[str]:
        return await asyncio.gather(*(search(data) for data in files))

    codes = asyncio.run(search_all())
    assert "took-too-long" not in codes
    assert "ok" in codes
