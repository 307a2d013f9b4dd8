"""The page for signatures that have no place in their document: of its size, with all who signed, however many."""

from collections import Counter
from typing import Any

import pypdfium2  # type: ignore[import-untyped]
import pytest

from infrastructure.pdf_drawing.blocks import SignatureEntry, SignaturePage
from infrastructure.pdf_drawing.executing import execute
from tests.unit.test_pdf_drawing import ACROSS, DOWN, FOOT, GEOMETRIES, document, drawing, texts

NAMES = ("Ana Müller-Łukasiewicz", "ก 竹", "Wolfeschlegelsteinhausenbergerdorff " * 8, "Al")


def page(count: int) -> SignaturePage:
    return SignaturePage(
        tuple(
            SignatureEntry(
                NAMES[number % 4],
                drawing() if number % 3 == 2 else None,
                f"Signed on day {number}.",
                "Buyer" if number % 2 else "",
                f"process-{number}.",
            )
            for number in range(count)
        )
    )


def executed(count: int, **geometry: Any) -> tuple[list[tuple[float, float]], list[str]]:
    """The sizes of the pages after the document's own, and their texts."""
    data = execute(document(pages=2, **geometry), [], FOOT, page(count))
    sizes = [each.get_size() for each in pypdfium2.PdfDocument(data)]
    assert len(sizes) > 2
    return sizes[2:], [" ".join(texts(data, number + 1).split()) for number in range(2, len(sizes))]


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_it_has_the_size_of_the_last_page_as_that_is_displayed(geometry: dict[str, Any]) -> None:
    sizes, _ = executed(1, **geometry)
    assert sizes == [pytest.approx((ACROSS, DOWN), abs=0.01)]


def test_one_signature_is_told_with_all_that_belongs_to_it() -> None:
    _, (text,) = executed(1)
    assert text.startswith(f"Signatures /s/ {NAMES[0]} {NAMES[0]} Signed on day 0. Process process-0.")
    assert FOOT.process in text


@pytest.mark.parametrize("box", [[0, 0, 595, 842], [0, 0, 36, 36], [0, 0, 36, 14_400], [0, 0, 14_400, 36], [0, 0, 2384, 3370]])
def test_twenty_signatures_stand_each_on_one_page(box: list[int]) -> None:
    sizes, pages = executed(20, MediaBox=box)
    assert {tuple(map(round, size)) for size in sizes} == {tuple(box[2:])}
    for number in range(20):
        page_of_day = [text for text in pages if f"Signed on day {number}." in text]
        assert len(page_of_day) == 1
        assert f"Process process-{number}." in page_of_day[0]
    whole = " ".join(pages)
    assert whole.count("Signatures") == 1
    assert whole.count("Buyer") == 10
    assert Counter(whole.split())["/s/"] == 14
    assert whole.count("⟨U+0E01⟩ 竹") >= 5


def test_all_of_it_lies_on_the_page() -> None:
    data = execute(document(MediaBox=[0, 0, 300, 200]), [], FOOT, page(4))
    for shown in list(pypdfium2.PdfDocument(data))[1:]:
        content = shown.get_textpage()
        for index in range(content.count_rects()):
            left, bottom, right, top = content.get_rect(index)
            assert 10 <= left < right <= 290
            assert 0 <= bottom < top <= 190


def test_the_same_signatures_give_the_same_bytes() -> None:
    data = document()
    assert execute(data, [], FOOT, page(5)) == execute(data, [], FOOT, page(5))
