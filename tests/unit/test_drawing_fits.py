"""Texts in their boxes: what is said to fit is drawn in full, and a name never fails an execution."""

import time
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.field import SIZES, FieldType
from domain.placement import Box
from infrastructure.pdf_drawing.blocks import Block, Content, DrawingRefused, Fault, Initialled, Signed, Written
from infrastructure.pdf_drawing.executing import execute
from infrastructure.pdf_drawing.fitting import capacity, fits
from infrastructure.pdf_drawing.lettering import Face, drawable, shorten, width
from tests.unit.test_pdf_drawing import ACROSS, DOWN, document, shown, texts

DATA: Final = document()

NAMES: Final = st.text(min_size=1, max_size=120) | st.text("mW é李あ김ーקמלاـ٣5(،)\u200cก\n", max_size=60)
SIZE: Final = st.tuples(st.integers(1, 300_000), st.integers(1, 60_000))


def drawn(content: Content, size: tuple[int, int]) -> bytes:
    return execute(DATA, [Block(1, Box(10_000, 10_000, *size), content)])


def letters(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from([FieldType.TEXT, FieldType.DATE, FieldType.NAME, FieldType.EMAIL]), size=SIZE, text=NAMES)
def test_a_text_is_drawn_exactly_if_it_was_said_to_fit(kind: FieldType, size: tuple[int, int], text: str) -> None:
    reason = fits(kind, size, text)
    if reason is None:
        drawn(Written(text), size)
    else:
        assert reason.endswith(".")
        with pytest.raises(DrawingRefused) as caught:
            drawn(Written(text), size)
        assert caught.value.code is Fault.NO_ROOM


@settings(max_examples=30, deadline=None)
@given(name=NAMES, size=SIZE)
def test_a_name_is_always_drawn(name: str, size: tuple[int, int]) -> None:
    for content in (Signed(name, caption="Signed today"), Initialled(name), Written(name, shortened=True)):
        assert drawn(content, size)


@settings(max_examples=30, deadline=None)
@given(name=st.text("abc Wé", max_size=200), across=st.floats(0.001, 300), down=st.floats(0.001, 60))
def test_what_is_shortened_stays_within_its_box(name: str, across: float, down: float) -> None:
    found = shorten(name, Face.HAND, across, down, 18, 5)
    assert all(width(line, Face.HAND, found.size) <= across * 1.0001 for line in found.lines)
    assert (len(found.lines) - 1) * 1.2 * found.size + 1.2 * found.size <= down * 1.0001
    kept = letters("".join(found.lines))
    assert kept == letters(name) or letters(name).startswith(kept.removesuffix("…"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("李 竹", "/s/ 李 竹"),
        ("ก ข", "/s/ ⟨U+0E01⟩ ⟨U+0E02⟩"),
        ("محمد", "محمد"),
        ("محمّد", "/s/ ⟨U+0645 U+062D U+0645 U+0651 U+062F⟩"),
        ("⟨U+674E⟩", "/s/ ⟨U+27E8⟩U+674E⟨U+27E9⟩"),
        ("a\u202egnp", "/s/ a⟨U+202E⟩gnp"),
        ("Wolfeschlegelsteinhausenbergerdorff " * 20, "…"),
    ],
    ids=["Chinese", "Thai", "Arabic", "with a mark", "brackets", "turned around", "long"],
)
def test_a_name_that_cannot_be_drawn_as_it_is_can_be_read(name: str, told: str) -> None:
    assert letters(told) in letters(texts(drawn(Signed(name), (200_000, 30_000))))


def test_a_value_is_written_whole_or_not_at_all() -> None:
    whole = "Street 5\n12345 Town, 李"
    assert fits(FieldType.TEXT, SIZES[FieldType.TEXT], whole) is None
    assert letters(drawable(whole)) in letters(texts(drawn(Written(whole), SIZES[FieldType.TEXT])))
    assert fits(FieldType.TEXT, SIZES[FieldType.TEXT], whole * 20)
    assert "…" in texts(drawn(Written(whole * 20, shortened=True), SIZES[FieldType.TEXT]))


def test_nothing_is_drawn_of_an_empty_value() -> None:
    assert fits(FieldType.TEXT, SIZES[FieldType.TEXT], " \n") is None
    assert shown(drawn(Written(" \n"), (100_000, 20_000))) == shown(DATA)


def test_signatures_and_boxes_to_tick_always_fit() -> None:
    for kind in (FieldType.SIGNATURE, FieldType.INITIALS, FieldType.CHECKBOX):
        assert fits(kind, (1, 1), "name " * 99) is None


def test_how_much_fits_is_told_before() -> None:
    assert capacity((ACROSS * 1000, DOWN * 1000)) > 5000
    assert capacity((100_000, 5_999)) == capacity((2_000, 20_000)) == 0
    room = capacity(SIZES[FieldType.TEXT])
    assert fits(FieldType.TEXT, SIZES[FieldType.TEXT], "n" * room) is None
    assert fits(FieldType.TEXT, SIZES[FieldType.TEXT], "n" * (room + 3))


@pytest.mark.parametrize("text", ["n" * 200_000, "\n" * 200_000, "n " * 100_000, "李" * 60_000], ids=lambda text: repr(text[:2]))
def test_the_answer_comes_soon_however_long_the_text_is(text: str) -> None:
    began = time.process_time()
    assert fits(FieldType.TEXT, (100_000, 700_000), text) or not text.strip()
    assert time.process_time() - began < 2
