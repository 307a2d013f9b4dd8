"""The canonical form against the `rfc8785` library, over all of I-JSON."""

import json
import struct
from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import (
    MAX_INTEGER,
    CanonicalError,
    canonical,
    canonical_exact,
    parse_canonical,
    parse_exact,
    parse_json,
)

#: Every scalar value of Unicode: keys beyond the BMP sort differently in UTF-16 than by code point.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["", "\ue000", "\uffff", "\U00010000", "\U0010ffff", "\ufb33", "\x00", "\x7f", "\u2028", '"', "\\"]
)
integers = st.integers(-MAX_INTEGER, MAX_INTEGER)
#: Every bit pattern that is a number is as likely as any other, so exponents of all sizes and subnormals come up.
doubles = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack(">d", bits.to_bytes(8, "big"))[0]).filter(
    lambda value: value == value and abs(value) != float("inf")
) | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)


def values(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
        max_leaves=20,
    )


exact = values(st.none() | st.booleans() | integers | texts)
any_value = values(st.none() | st.booleans() | integers | texts | doubles)


@given(any_value)
def test_every_value_is_spelled_as_the_reference_library_spells_it(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(exact)
def test_values_without_floats_are_spelled_alike_by_both_functions(value: Any) -> None:
    assert canonical_exact(value) == canonical(value) == rfc8785.dumps(value)
    assert parse_exact(canonical_exact(value)) == value


@given(doubles)
def test_every_double_is_spelled_as_the_reference_library_spells_it_and_reads_back(value: float) -> None:
    spelled = canonical(value)
    assert spelled == rfc8785.dumps(value)
    assert parse_canonical(spelled) == value


@given(any_value)
def test_every_canonical_text_reads_back_as_its_value(value: Any) -> None:
    raw = canonical(value)
    assert parse_canonical(raw) == value
    assert canonical(parse_canonical(raw)) == raw


@given(any_value, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_any_other_spelling_of_a_value_has_the_same_canonical_form(value: Any, ascii_only: bool, indent: Any) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert canonical(parse_json(text)) == canonical(value)


@given(st.integers(min_value=MAX_INTEGER + 1) | st.integers(max_value=-MAX_INTEGER - 1))
def test_an_integer_that_a_double_might_round_is_refused(number: int) -> None:
    for refuse in (canonical, canonical_exact):
        try:
            refuse(number)
        except CanonicalError:
            continue
        raise AssertionError(number)


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_make_the_parser_raise_anything_but_its_own_error(raw: bytes) -> None:
    for parse in (parse_json, parse_exact, parse_canonical):
        try:
            value = parse(raw)
        except CanonicalError:
            continue
        if parse is parse_canonical:
            assert canonical(value) == raw


@given(exact, st.data())
def test_two_values_have_one_spelling_only_if_they_are_equal(value: Any, data: st.DataObject) -> None:
    other = data.draw(exact)
    same = json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical(value) == canonical(other)) == same
