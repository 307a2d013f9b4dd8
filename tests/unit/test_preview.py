"""The picture of a page with its fields: as readers show the page, and each field where it is."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageChops

from domain.field import FieldType
from domain.placement import Box
from infrastructure.pdf_drawing.blocks import DrawingRefused, Fault, PreviewBox
from infrastructure.pdf_drawing.previewing import MAX_PIXELS, picture
from tests.unit.test_pdf_drawing import ACROSS, DOWN, GEOMETRIES, document

BOX = Box(100_000, 60_000, 120_000, 40_000)


def shown(data: bytes, *boxes: PreviewBox, width: int = 2 * ACROSS) -> Image.Image:
    return Image.open(BytesIO(picture(data, 1, boxes, width))).convert("RGB")


def changed(one: Image.Image, other: Image.Image) -> tuple[float, ...]:
    """Left, top, right and bottom of what differs, in points."""
    found = ImageChops.difference(one, other).getbbox()
    assert found
    return tuple(dot / 2 for dot in found)


@pytest.mark.parametrize("page", GEOMETRIES.values(), ids=GEOMETRIES)
def test_a_field_stands_where_it_is_on_the_displayed_page(page: dict[str, Any]) -> None:
    data = document(**page)
    plain, marked = shown(data), shown(data, PreviewBox("1", FieldType.TEXT, BOX))
    assert plain.size == marked.size == (2 * ACROSS, 2 * DOWN)
    assert changed(plain, marked) == pytest.approx((100, 60, 220, 100), abs=1)


def test_each_kind_has_its_colour_and_what_lies_under_it_is_seen() -> None:
    data = document(b"0 0 400 300 re f")
    inks = [shown(data, PreviewBox("", kind, BOX)).getpixel((430, 190)) for kind in FieldType]
    assert len(set(inks)) == len(FieldType)
    assert all(max(ink) < 128 for ink in inks if isinstance(ink, tuple))


@pytest.mark.parametrize(
    ("label", "box"),
    [
        ("small", Box(100_000, 60_000, 14_000, 14_000)),
        ("corner", Box(386_000, 286_000, 14_000, 14_000)),
        ("top", Box(386_000, 0, 14_000, 14_000)),
        ("a" * 200, Box(300_000, 100_000, 14_000, 14_000)),
        ("李 竹\n", Box(0, 0, 400_000, 300_000)),
        ("dust", Box(50_000, 50_000, 1, 1)),
    ],
    ids=lambda value: value[:6] if isinstance(value, str) else "",
)
def test_every_label_is_seen(label: str, box: Box) -> None:
    """Written in white on a tag within the picture, also where the box is smaller than a letter or at an edge."""
    tagged = shown(document(), PreviewBox(label, FieldType.CHECKBOX, box))
    tag = ImageChops.difference(tagged, shown(document(), PreviewBox("", FieldType.CHECKBOX, box)))
    found = tag.getbbox()
    assert found
    assert found[2] - found[0] > 10
    whole = ImageChops.difference(tagged, shown(document())).getbbox()
    assert whole
    assert 0 <= whole[0] < whole[2] <= tagged.width
    white = Image.eval(tagged.crop(whole).convert("L"), lambda shade: 255 if shade > 250 else 0).getbbox()
    assert white, "nothing is written"


def test_an_unknown_page_or_file_is_refused() -> None:
    for page in (0, 2, -1):
        with pytest.raises(DrawingRefused) as caught:
            picture(document(), page, [], 900)
        assert caught.value.code is Fault.NO_SUCH_PAGE
    with pytest.raises(DrawingRefused) as caught:
        picture(b"%PDF-1.7", 1, [], 900)
    assert caught.value.code is Fault.UNREADABLE


def test_a_picture_has_the_width_asked_for_and_is_never_too_large() -> None:
    assert shown(document(), width=333).width == 333
    assert shown(document(), width=0).width > 0
    for size in ([0, 0, 36, 14_400], [0, 0, 14_400, 36]):
        found = shown(document(MediaBox=size), width=100_000)
        assert found.width * found.height <= 1.02 * MAX_PIXELS
