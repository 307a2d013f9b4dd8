"""Percentages of a page to thousandths of a point."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.field import SIZES
from domain.placement import Box, PageSize, PlacementError, box_at_text, box_of_percentages

A4 = PageSize(595_276, 841_890)


def box(x: str, y: str, width: str, height: str, page: PageSize = A4) -> Box:
    return box_of_percentages(page, Decimal(x), Decimal(y), Decimal(width), Decimal(height))


def test_percentages_are_of_the_page_s_width_and_height_from_its_top_left() -> None:
    assert box("10", "20", "30", "5", PageSize(600_000, 800_000)) == Box(60_000, 160_000, 180_000, 40_000)
    assert box("0", "0", "100", "100") == Box(0, 0, 595_276, 841_890)


def test_a_box_may_end_where_the_page_does() -> None:
    assert box("33.333", "99.9", "66.667", "0.1").on(A4)


@pytest.mark.parametrize(
    ("x", "y", "width", "height"),
    [
        ("-0.1", "0", "1", "1"),
        ("0", "-1E-900", "1", "1"),
        ("100.1", "0", "1", "1"),
        ("0", "0", "0", "1"),
        ("0", "0", "1", "-1"),
        ("50", "0", "50.001", "1"),
        ("0", "99", "1", "1.1"),
        ("NaN", "0", "1", "1"),
        ("0", "sNaN", "1", "1"),
        ("0", "0", "Infinity", "1"),
        ("0", "1E+999999", "1", "1"),
        ("0", "0", "0.0000001", "1"),
        ("0", "0", "1", "1E-999999"),
        ("100", "0", "1E-30", "1"),
    ],
)
def test_what_is_no_place_on_the_page_is_refused(x: str, y: str, width: str, height: str) -> None:
    with pytest.raises(PlacementError):
        box(x, y, width, height)


percent = st.decimals(0, 100, places=6)


@given(st.builds(PageSize, st.integers(36_000, 14_400_000), st.integers(36_000, 14_400_000)), percent, percent, percent, percent)
def test_every_box_lies_on_its_page_and_ends_where_the_next_begins(
    page: PageSize, x: Decimal, y: Decimal, width: Decimal, height: Decimal
) -> None:
    try:
        made = box_of_percentages(page, x, y, width, height)
    except PlacementError:
        return
    assert made.on(page)
    assert made.width_millipoints > 0
    exact = Decimal(page.width_millipoints) * x / 100
    assert abs(made.x_millipoints - exact) <= Decimal("0.5")
    if x + width < 99:
        beside = box_of_percentages(page, x + width, y, 100 - x - width, height)
        assert beside.x_millipoints == made.x_millipoints + made.width_millipoints


@pytest.mark.parametrize("changed", [Box(-1, 0, 1, 1), Box(0, -1, 1, 1), Box(9, 0, 2, 1), Box(0, 19, 1, 2)])
def test_a_box_that_leaves_the_page_is_not_on_it(changed: Box) -> None:
    assert Box(0, 0, 10, 20).on(PageSize(10, 20))
    assert not changed.on(PageSize(10, 20))


pages = st.builds(PageSize, st.integers(36_000, 14_400_000), st.integers(36_000, 14_400_000))
lengths = st.integers(1, 14_400_000)
usual_sizes = st.sampled_from(sorted(SIZES.values()))


@given(pages, percent, percent, percent, percent)
def test_a_box_in_percent_is_that_share_of_its_page_to_a_thousandth_of_a_point(
    page: PageSize, x: Decimal, y: Decimal, width: Decimal, height: Decimal
) -> None:
    try:
        made = box_of_percentages(page, x, y, width, height)
    except PlacementError:
        return
    shares = (
        (x, page.width_millipoints),
        (y, page.height_millipoints),
        (width, page.width_millipoints),
        (height, page.height_millipoints),
    )
    found = (made.x_millipoints, made.y_millipoints, made.width_millipoints, made.height_millipoints)
    assert all(abs(length - share * whole / 100) <= 1 for length, (share, whole) in zip(found, shares, strict=True))


@given(pages, st.data(), usual_sizes)
def test_a_field_of_usual_size_at_a_text_of_the_page_never_leaves_it(
    page: PageSize, data: st.DataObject, usual: tuple[int, int]
) -> None:
    corner = data.draw(st.integers(0, page.width_millipoints)), data.draw(st.integers(0, page.height_millipoints))
    made = box_at_text(page, corner, (None, None), usual)
    assert made.on(page)
    assert made.x_millipoints <= corner[0]
    assert made.y_millipoints <= corner[1]


@given(pages, st.integers(), st.integers(), lengths, lengths, usual_sizes)
def test_what_was_asked_for_at_a_text_is_taken_as_it_was_asked(
    page: PageSize, x: int, y: int, width: int, height: int, usual: tuple[int, int]
) -> None:
    assert box_at_text(page, (x, y), (width, height), usual) == Box(x, y, width, height)
